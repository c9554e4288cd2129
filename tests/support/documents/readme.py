"""The code blocks of a Markdown file, and the commands a reader would type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"^#+ +(.+)$")


@dataclass(frozen=True)
class Typed:
    """A command that the page shows, and the lines that it shows below."""

    command: str
    shown: list[str]


@dataclass(frozen=True)
class Block:
    """A fenced block below `heading`."""

    heading: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What stands behind each `$ `, continued lines included."""
        joined = self.text.replace("\\\n", " ")
        found = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
        return [re.sub(r"\s+#\s.*$", "", line).strip() for line in found]

    @property
    def session(self) -> list[Typed]:
        """Each command with what is shown below it; `^C` stands for itself."""
        found: list[Typed] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            if line.startswith("$ ") or line == "^C":
                found.append(Typed(line.removeprefix("$ "), []))
            else:
                found[-1].shown.append(line)
        return found


def blocks(path: Path) -> list[Block]:
    """All fenced blocks of a file in order."""
    found: list[Block] = []
    heading, language, lines = "", None, list[str]()
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            if language is None:
                language, lines = line[3:].strip(), []
            else:
                found.append(Block(heading, language, "\n".join(lines)))
                language = None
        elif language is not None:
            lines.append(line)
        elif match := _HEADING.match(line):
            heading = match[1]
    return found


def console(path: Path, heading: str) -> list[str]:
    """The commands below one heading."""
    found = [command for block in blocks(path) if block.heading == heading for command in block.commands]
    assert found, f"{path.name} has no commands below {heading!r}"
    return found
