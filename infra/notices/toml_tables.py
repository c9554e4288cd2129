"""Reads tables of a TOML file, and collects the faults: each with its table and key, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors.validator_messages import did_you_mean, in_words

T = TypeVar("T")
Given = TypeVar("Given")
Model = TypeVar("Model", bound="TomlTable")


class TomlTable(BaseModel):
    """What a table may hold; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TomlTables:
    """The file's tables. `faults` is complete once everything was read."""

    def __init__(self, tables: Mapping[str, Any], known: tuple[str, ...]) -> None:
        self.faults: list[str] = []
        self._tables = tables
        for key in sorted(set(tables) - set(known)):
            self.fault("the file", key, f"there is no such table{did_you_mean(key, known)}")

    def entries(self, kind: str, *, needed: bool = True) -> list[tuple[str, dict[str, Any]]]:
        """Each `[[kind]]`, and what to call it in a fault."""
        found = self._tables.get(kind, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self.fault("the file", kind, f"write each one below a line [[{kind}]]")
            return []
        if not found and needed:
            self.fault("the file", kind, f"there is none: write at least one [[{kind}]]")
        return [(f"{kind} {number}{_named(one)}", one) for number, one in enumerate(found, start=1)]

    def table(self, where: str, model: type[Model], table: dict[str, Any]) -> Model | None:
        """The table as `model`; None where it has faults."""
        try:
            return model.model_validate(table)
        except ValidationError as error:
            known = list(model.model_fields)
            for one in error.errors(include_url=False, include_input=False):
                key = str(one["loc"][0])
                if one["type"] == "extra_forbidden":
                    self.fault(where, key, f"there is no such key{did_you_mean(key, known)}")
                elif one["type"] == "missing":
                    self.fault(where, key, "it is missing")
                else:
                    self.fault(where, key, in_words(str(one["msg"])))
            return None

    def value(self, where: str, key: str, read: Callable[[Given], T], given: Given) -> T | None:
        """What `read` makes of the value; None where it raises OSError or ValueError, whose text is told."""
        try:
            return read(given)
        except (OSError, ValueError) as error:
            self.fault(where, key, str(error))
            return None

    def fault(self, where: str, key: str, words: str) -> None:
        """Note a fault. `words` hold no secret."""
        self.faults.append(f"{where}, `{key}`: {words}")


def _named(table: dict[str, Any]) -> str:
    name = table.get("name", table.get("channel"))
    return f" (`{name[:64]}`)" if isinstance(name, str) and name.isprintable() else ""
