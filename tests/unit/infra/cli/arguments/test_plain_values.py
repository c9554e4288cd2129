"""Values converted without pydantic are what typer makes of them, and refused in the same words."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from infra.cli.arguments.options import duration
from infra.cli.arguments.plain_values import convert_plainly


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


def _made(*, plainly: bool, seen: list[Any]) -> Any:
    app = typer.Typer(add_completion=False)

    @app.command()
    def command(
        words: Annotated[list[str] | None, typer.Argument()] = None,
        number: Annotated[int, typer.Option(min=1, max=10)] = 5,
        form: Form = Form.TABLE,
        text: str | None = None,
        many: Annotated[list[str] | None, typer.Option()] = None,
        time: Annotated[float | None, typer.Option(parser=duration)] = None,
        flag: bool = False,
        place: Path | None = None,
    ) -> None:
        seen.append((words, number, form, text, many, time, flag, place))

    made = typer.main.get_command(app)
    if plainly:
        for one in made.get_params(typer.Context(made)):  # type: ignore[arg-type]
            convert_plainly(one)
    return made


@pytest.mark.parametrize(
    "line",
    [
        *("", "a b", "--number 7", "--number 0", "--number 11", "--number x", "--number 00000000000007"),
        *("--form json", "--form JSON", "--form nothing", "--text x", "--many a --many b", "--time 5m"),
        *("--time nonsense", "--flag", "--place here", "--number ٣", "--nothing"),
    ],
)
def test_the_same_as_typer(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for plainly in (False, True):
        seen: list[Any] = []
        with pytest.raises(SystemExit) as ended:
            _made(plainly=plainly, seen=seen).main(line.split(), prog_name="towpath")
        results.append((ended.value.code, capsys.readouterr(), seen))

    assert results[0] == results[1]
