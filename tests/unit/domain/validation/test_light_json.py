"""JSON without the module `json` is what that module reads and writes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from domain.validation import light_json

VALUES: list[Any] = [
    None,
    True,
    "",
    'käse "\\\n\t\x00\u2028\U0001f9c0',
    "\ud800",
    0,
    -(2**70),
    1.5,
    1e300,
    math.inf,
    [],
    {},
    {"a": [1, {"b": None}], "": [[]], "x": (1, 2)},
    {"event": "ended", "why": "exit", "exit_code": 0, "message": None},
    {2: "a", None: 2, 1.5: 3, True: 4},
]
TEXTS = [
    *map(json.dumps, VALUES),
    ' \r\n\t{"a" :\n[ 1 , 2.0e3 ] } \n',
    '"\\u00e4\\ud83e\\uddc0"',
    "-Infinity",
    '{"a": 1, "a": 2}',
]
BAD = ["", " ", "{", "[1,]", '{"a"}', "nul", "1 2", "{} x", '"a', '"\n"', "\ufeff1", "'a'", '{"a": 1,}', "01"]


@pytest.mark.parametrize("value", VALUES)
def test_it_writes_the_same(value: Any) -> None:
    assert light_json.dumps(value) == json.dumps(value)


@pytest.mark.parametrize("text", TEXTS)
def test_it_reads_the_same(text: str) -> None:
    assert light_json.loads(text) == light_json.loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", BAD)
def test_it_refuses_the_same(text: str) -> None:
    for loads in (json.loads, light_json.loads):
        with pytest.raises(ValueError):  # noqa: PT011 - of either module's words
            loads(text)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        light_json.dumps({"a": {1}})
    with pytest.raises(ValueError, match="utf-8"):
        light_json.loads(b'"\xff"')


def test_it_needs_no_other_module() -> None:
    used = "import sys, domain.validation.light_json as it; it.loads(it.dumps([1]))"
    script = f"{used}; print('json' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_another_python_has_the_module_itself() -> None:
    used = "import sys; sys.modules['_json'] = None; import domain.validation.light_json as it"
    script = f"{used}; print(it.dumps(it.loads(b'[1, null]')), 'json' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1, null] True"
