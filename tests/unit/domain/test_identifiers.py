"""Nothing but a name or a canonical UUID gets into a subject."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.identifiers import NAME_PATTERN, CheckedTaskId, Name, check_name, check_task_id
from tests.unit.domain.samples import TASK_ID

SUBJECT_SIGNS = ".*> \t\r\n\x00"
name_type: TypeAdapter[str] = TypeAdapter(Name)
task_id_type: TypeAdapter[str] = TypeAdapter(CheckedTaskId)


def _accepts(check: Callable[[str], str], value: str) -> bool:
    try:
        return check(value) == value
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["a", "acme-api", "A_1", "-", "x" * 64])
def test_names(name: str) -> None:
    assert check_name(name) == name_type.validate_python(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a.b", "*", ">", "a b", "a\n", "\na", "é", "a/b", "１"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="a pool is 1 to 64"):
        check_name(name, "pool")
    with pytest.raises(ValidationError):
        name_type.validate_python(name)


@given(st.text(max_size=70))
def test_both_checks_of_a_name_agree(value: str) -> None:
    accepted = _accepts(check_name, value)
    assert accepted == _accepts(name_type.validate_python, value)
    assert accepted == bool(re.fullmatch(r"[A-Za-z0-9_\-]{1,64}", value))
    assert not (accepted and set(value) & set(SUBJECT_SIGNS))


def test_the_published_pattern_is_anchored() -> None:
    assert NAME_PATTERN.startswith("^")
    assert NAME_PATTERN.endswith("$")


@given(st.integers(0, 2**128 - 1), st.integers(1, 8))
def test_a_uuid_of_any_version_in_canonical_form_is_a_task_id(number: int, version: int) -> None:
    value = str(UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | version << 76 | 0x2 << 62))
    assert check_task_id(value) == task_id_type.validate_python(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        TASK_ID.upper(),
        f"{{{TASK_ID}}}",
        f"urn:uuid:{TASK_ID}",
        TASK_ID.replace("-", ""),
        TASK_ID.replace("-", "."),
        f"{TASK_ID}\n",
        f" {TASK_ID}",
        TASK_ID[:-1],
        "0198c5a2-7c1e-7bbd-1f5e-0d9a4f6f1c11",
        "0198c5a2-7c1e-0bbd-9f5e-0d9a4f6f1c11",
        "0198c5a2-7c1e-9bbd-9f5e-0d9a4f6f1c11",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_what_is_no_task_id(value: str) -> None:
    with pytest.raises(ValueError, match="a UUID of RFC 9562"):
        check_task_id(value)
    with pytest.raises(ValidationError):
        task_id_type.validate_python(value)
