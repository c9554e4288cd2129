"""`with_lock.sh` writes JSON with nothing but a shell's tools: what stands in a command stays what it is."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.support.repository import REPO

SCRIPT = REPO / "docs" / "examples" / "with_lock.sh"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        'say "hi"',
        "back\\slash\\n",
        "two\nlines\n",
        "tab\tcr\r",
        "\x01\x1b[0m\x7f",
        "käse 🧀",
        "%s $HOME",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_value_is_a_json_string(text: str, locale: str) -> None:
    function = re.search(r"^text\(\) \{.*?^\}$", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)
    assert function is not None
    done = subprocess.run(
        ["sh", "-c", f'{function[0]}\ntext "$1"', "sh", text],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": locale},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == text


def test_what_is_no_text_is_left_out_and_what_is_long_is_cut() -> None:
    function = re.search(r"^text\(\) \{.*?^\}$", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)
    assert function is not None
    for given, shown in (
        (b"a\xffb", "ab"),
        (b"x" * 100_000, "x" * 1000),
        (b"y" + "é".encode() * 600, "y" + "é" * 499),
    ):
        done = subprocess.run(
            ["sh", "-c", f'{function[0]}\ntext "$1"', "sh", given], capture_output=True, check=True
        )
        assert json.loads(done.stdout) == shown
