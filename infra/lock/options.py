"""The command line of `towpath lock`. What is plain is read here; the rest, help and errors are argparse's.

An import of argparse takes as long as a third of what the claim takes.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

USAGE = "towpath lock [options] [--] CMD [ARGUMENT…]"
_NAMES = {
    "-w": "workspace",
    "--workspace": "workspace",
    "--path": "path",
    "--shared": "shared",
    "--try": "reject",
    "--wait": "wait",
    "--title": "title",
    "--label": "label",
    "--url": "url",
    "--data-dir": "data_dir",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_EPILOG = (
    "Ends with CMD's exit code, 128 and the number for a signal. Without a run of CMD: 1 no control plane, "
    "2 usage, 4 not allowed, 5 no such workspace, 6 locked (--try), 8 not granted in time (--wait), 126 and "
    "127 as a shell. 9: the lock was lost while CMD ran, and CMD was killed before another task got it."
)


class Options:
    """What was given."""

    def __init__(self) -> None:
        self.command: list[str] = []
        self.workspace: str | None = None
        self.path: list[str] = []
        self.shared = False
        self.reject = False
        self.wait: float | None = None
        self.title: str | None = None
        self.label: list[tuple[str, str]] = []
        self.url: str | None = None
        self.data_dir: str | None = None


def parser() -> argparse.ArgumentParser:
    """What `towpath lock` takes."""
    import argparse

    def checked(convert: Callable[[str], T]) -> Callable[[str], T]:
        def converted(text: str) -> T:
            try:
                return convert(text)
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from None

        return converted

    made = argparse.ArgumentParser(
        prog="towpath lock",
        usage=USAGE,
        description="Run CMD in this terminal while holding a lock of a workspace.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "-w",
        "--workspace",
        metavar="NAME",
        help="default: the registered one whose root contains this directory",
    )
    add("--path", action="append", default=[], metavar="PATH", help="lock only this path; repeatable")
    add("--shared", action="store_true", help="share the lock with other shared claims")
    add("--try", action="store_true", dest="reject", help="do not wait: end with 6 if it is locked")
    add("--wait", type=checked(_seconds), metavar="TIME", help="end with 8 if it takes longer: 90, 10m, 2h")
    add("--title", metavar="TEXT", help="shown in lists; default: the command")
    add(
        "--label",
        action="append",
        default=[],
        type=checked(_label),
        metavar="NAME=VALUE",
        help="to find it by; repeatable",
    )
    add("--url", metavar="URL", help="where the API is [env: TOWPATH_URL]")
    add("--data-dir", metavar="DIR", help="of the `towpath up` to talk to [env: TOWPATH_DATA_DIR]")
    add("command", nargs=argparse.REMAINDER, metavar="CMD", help="program and arguments; no shell")
    return made


def parse(arguments: list[str]) -> Options:
    """The options; exits with 2 and a message where they are wrong, with 0 after `--help`."""
    given = plain(arguments)
    if given is None:
        given = parser().parse_args(arguments, Options())
        if given.command[:1] == ["--"]:
            del given.command[0]
    if not given.command:
        parser().error("give a command to run: towpath lock -- CMD")
    if given.reject and given.wait is not None:
        parser().error("--try does not wait: leave it or --wait out")
    return given


def plain(arguments: list[str]) -> Options | None:
    """The options where each is written in full and its value stands behind it; else None."""
    given, at = Options(), 0
    while at < len(arguments) and (word := arguments[at]) != "--" and word[:1] == "-":
        name = _NAMES.get(word)
        if name in ("shared", "reject"):
            setattr(given, name, True)
            at += 1
            continue
        value = arguments[at + 1] if at + 1 < len(arguments) else "-"
        if name is None or value[:1] == "-":
            return None
        try:
            _set(given, name, value)
        except ValueError:
            return None
        at += 2
    given.command = arguments[at + (arguments[at : at + 1] == ["--"]) :]
    return given


def _set(given: Options, name: str, value: str) -> None:
    if name == "path":
        given.path.append(value)
    elif name == "label":
        given.label.append(_label(value))
    else:
        setattr(given, name, _seconds(value) if name == "wait" else value)


def _seconds(text: str) -> float:
    number, factor = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    try:
        value = float(number) * factor
    except ValueError:
        value = 0.0
    if not 0 < value <= 30 * 86_400:
        raise ValueError(f"{text!r} is no time up to 30d: write 90, 1.5s, 10m or 2h")
    return value


def _label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or ":" in name:
        raise ValueError("a label is NAME=VALUE, and NAME holds no `:`")
    return name, value
