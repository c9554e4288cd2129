"""The options of `towpath lock`, and what it costs to read them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.lock.options import Options, parse, parser, plain

HEAVY = {
    "argparse",
    "asyncio",
    "pydantic",
    "httpx",
    "typer",
    "click",
    "pathlib",
    "http.client",
    "email",
    "ssl",
    "subprocess",
    "typing",
    "json",
    "re",
    "datetime",
}


def test_options_stand_before_the_command() -> None:
    given = parse(
        ["-w", "shop", "--path", "a", "--path", "b", "--label", "x=y=z", "--wait", "10m", "make", "--try"]
    )
    assert (given.workspace, given.path, given.label) == ("shop", ["a", "b"], [("x", "y=z")])
    assert (given.wait, given.reject, given.command) == (600.0, False, ["make", "--try"])
    assert parse(["--try", "--", "--odd"]).command == ["--odd"]
    assert parse(["--", "env", "--", "x"]).command == ["env", "--", "x"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--"], ["--wait", "soon", "x"], ["--wait", "0", "x"], ["--wait", "nan", "x"], ["--label", "x", "y"],
     ["--label", "a:b=c", "y"], ["--try", "--wait", "1", "x"], ["--pat", "x", "y"]],
)  # fmt: skip
def test_wrong_usage_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "towpath lock" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["make", "-- make -j8", "-w shop --path a --path b --shared --label a=b=c --wait 1.5h -- sh -c x -- y",
     "--workspace shop --try --url http://x --data-dir d --title t make --try --path c", "-- -- x", "- x",
     "--wait 90 x", "--try", "--path a"],
)  # fmt: skip
def test_what_is_plain_is_read_as_argparse_reads_it(words: str) -> None:
    found = plain(words.split())
    by_argparse = parser().parse_args(words.split(), Options())
    if by_argparse.command[:1] == ["--"]:
        del by_argparse.command[0]
    assert found is None or vars(found) == vars(by_argparse)
    assert (found is None) == words.startswith("- ")


@pytest.mark.parametrize(
    "words",
    ["-wshop x", "--path=a x", "--title -x", "--wait soon x", "--label x y", "--pat a x", "--path", "-h"],
)
def test_what_is_not_plain_is_left_to_argparse(words: str) -> None:
    assert plain(words.split()) is None


def test_garbage_of_what_runs_long_is_collected() -> None:
    script = (
        "import gc; gc.disable(); from infra.lock.terminal_job import collect_what_comes;"
        "collect_what_comes(); kept = gc.get_freeze_count();"
        "print(gc.isenabled(), kept > 1000, len(gc.get_objects()) < kept)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3


def test_nothing_heavy_is_imported_before_the_command_runs() -> None:
    ours = "infra.entry, infra.lock.command, infra.lock.keeper.process, runner.process.shim.shim"
    script = f"import sys, {ours}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
