"""`docs/settings.md`: the table of settings."""

from __future__ import annotations

from pydantic.fields import FieldInfo

from infra.config.settings import Settings, env_name


def settings_table() -> str:
    """All settings as a Markdown table, for `docs/settings.md`."""
    rows = [
        f"| `{env_name(name)}` | {_shown_default(info)} | {info.description} |"
        for name, info in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | what it does |", "|---|---|---|", *rows]) + "\n"


def _shown_default(info: FieldInfo) -> str:
    if info.default is None or info.default == ():
        return "–"
    value = ",".join(info.default) if isinstance(info.default, tuple) else info.default
    return f"`{value}`"
