"""The frame of `/asyncapi`: one page without script, font or other host.

A content security policy permits only the style and the empty icon in the page itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.55 system-ui, sans-serif; scroll-padding-top: 1rem;
  --line: light-dark(#dde1e6, #33383f); --soft: light-dark(#f5f7f9, #1c2026);
  --dim: light-dark(#5a6572, #9aa5b1); --ink: light-dark(#1c2430, #e4e8ed);
  --link: light-dark(#0b5cad, #7db8f5); --page: light-dark(#fff, #14171b) }
* { box-sizing: border-box }
body { margin: 0; color: var(--ink); background: var(--page) }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere }
nav { position: fixed; inset: 0 auto 0 0; width: 19rem; overflow-y: auto; padding: 1.25rem 1rem;
  border-right: 1px solid var(--line); background: var(--soft); font-size: .87rem }
nav strong { display: block; margin: 1rem 0 .25rem }
nav strong::first-letter, h2::first-letter { text-transform: uppercase }
nav a { display: block; padding: .1rem 0; overflow-wrap: anywhere }
main { margin-left: 19rem; padding: 1.5rem 2.5rem 4rem; max-width: 76rem }
h1 { margin: 0 0 .25rem; font-size: 1.7rem } h2 { margin: 2.5rem 0 .75rem }
section { border: 1px solid var(--line); border-radius: .5rem; margin: 0 0 1rem; padding: .9rem 1.1rem }
h3 { margin: 0; font-size: 1rem; display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap }
h4 { margin: 1rem 0 .2rem; font-size: .78rem; color: var(--dim); text-transform: uppercase;
  letter-spacing: .04em }
p { margin: .4rem 0; max-width: 62rem; overflow-wrap: anywhere } .dim { color: var(--dim) }
.tag { font: 600 .75rem/1 ui-monospace, monospace; padding: .3rem .45rem; border-radius: .3rem; color: #fff;
  background: #5b6470 }
.receive { background: #1b6ec2 } .send { background: #1a7f4b }
.note { margin-left: auto; color: var(--dim); font-size: .85rem }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid var(--line); padding: .3rem .75rem .3rem 0; vertical-align: top;
  overflow-wrap: anywhere }
summary { cursor: pointer; color: var(--dim); margin-top: .8rem; font-size: .85rem }
 td:first-child { width: 15rem } td:nth-child(2) { width: 22rem }
tr:first-child td { border-top: 0 } .must::after { content: " *"; color: #c4453c }
@media (max-width: 60rem) { nav { position: static; width: auto; border-right: 0; max-height: 16rem;
  border-bottom: 1px solid var(--line) } main { margin-left: 0; padding: 1rem }
  td { display: block; width: auto; border: 0; padding: 0 }
  td:first-child { width: auto; margin-top: .4rem } td:nth-child(2) { width: auto } }
"""

_CODE = re.compile(r"`([^`]+)`")
_LIMITS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("maxLength", "length ≤"))

Group = tuple[str, Sequence[tuple[str, str]]]
Schema = Mapping[str, Any]


def page_response(page: str) -> HTMLResponse:
    """`page` with a policy that blocks everything else."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(page, headers=headers)


def frame(title: str, about: str, links: Iterable[str], groups: Iterable[Group], body: str) -> str:
    """A whole page: `groups` of (anchor, label) are the navigation beside `body`."""
    entries = "".join(
        f"<strong>{escape(name)}</strong>"
        + "".join(f'<a href="#{escape(anchor)}"><code>{escape(label)}</code></a>' for anchor, label in items)
        for name, items in groups
    )
    found = " · ".join(f'<a href="{escape(link)}">{escape(link)}</a>' for link in links)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f'<style>{_STYLE}</style></head><body><nav aria-label="Contents"><a href="#top">{escape(title)}</a>'
        f'{entries}</nav><main id="top"><h1>{escape(title)}</h1><p>{text(about)}</p>'
        f'<p class="dim">Machine-readable: {found}</p>{body}</main></body></html>'
    )


def card(anchor: str, tag: str, heading: str, about: str, rest: str, note: str = "") -> str:
    """One box with a coloured tag, a heading that can be linked to, and its content."""
    badge = f'<span class="tag {escape(tag)}">{escape(tag.upper())}</span>' if tag else ""
    aside = f'<span class="note">{escape(note)}</span>' if note else ""
    said = f"<p>{text(about)}</p>" if about else ""
    title = f"<h3>{badge}<code>{escape(heading)}</code>{aside}</h3>"
    return f'<section id="{escape(anchor)}">{title}{said}{rest}</section>'


def table(caption: str, rows: Iterable[tuple[str, str, str]], required: Iterable[str] = ()) -> str:
    """Rows of name, type (HTML) and description; "" if there are none."""
    must = set(required)
    found = "".join(
        f"<tr><td><code{' class=must' if name in must else ''}>{escape(name)}</code></td>"
        f"<td>{kind}</td><td>{text(about)}</td></tr>"
        for name, kind, about in rows
    )
    heading = f"<h4>{escape(caption)}</h4>" if caption else ""
    return f"{heading}<table>{found}</table>" if found else ""


def shapes(schemas: Mapping[str, Schema]) -> str:
    """All named schemas, each with its fields."""
    return "".join(
        card(f"shape-{name}", "", name, schema.get("description", ""), fields("Fields", schema))
        for name, schema in sorted(schemas.items())
    )


def shape_group(schemas: Mapping[str, Schema]) -> Group:
    """The schemas' entry in the navigation."""
    return ("Shapes", [(f"shape-{name}", name) for name in sorted(schemas)])


def fields(caption: str, schema: Schema) -> str:
    """The properties of an object schema; required ones are marked."""
    rows = [
        (name, kind(one), str(one.get("description", "")))
        for name, one in schema.get("properties", {}).items()
    ]
    return table(caption, rows, schema.get("required", ()))


def text(said: str) -> str:
    """Text of the document as HTML; text between backticks becomes code."""
    return _CODE.sub(r"<code>\1</code>", escape(said))


def kind(schema: Schema) -> str:
    """A schema in a few words, as HTML: named ones are links."""
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#shape-{name}"><code>{name}</code></a>'
    variants = [kind(one) for one in schema.get("anyOf", schema.get("oneOf", []))]
    if variants:
        return " or ".join(dict.fromkeys(variants))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if values:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    return escape(_plain(schema))


def _plain(schema: Schema) -> str:
    name = str(schema.get("format") or schema.get("type", "any"))
    if isinstance(schema.get("additionalProperties"), dict):
        return "map of text" if schema["additionalProperties"].get("type") == "string" else "map"
    limits = [f"{word} {_number(schema[key])}" for key, word in _LIMITS if key in schema]
    return f"{name}, {', '.join(limits)}" if limits else name


def _number(value: float) -> str:
    """The full number, for copying."""
    return str(int(value)) if value == int(value) else str(value)
