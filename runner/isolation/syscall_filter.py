"""A seccomp filter: a process and its children cannot change limits or priorities of others.

Changing limits, scheduling, affinity or priorities fails with EPERM unless the target is 0, the calling
process. Reading is permitted. A process's own pid is rejected like any other, since a filter cannot compare
it. Standard library only: the shim imports it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from runner.isolation.process_traits import LIBC, forgo_privileges

PR_SET_SECCOMP = 22
MODE_FILTER = 2
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
X32_BIT = 0x40000000

# Of the machine and of its 32-bit programs: the value of AUDIT_ARCH_…, `prlimit64`, what names a process
# first (sched_setparam, sched_setscheduler, sched_setaffinity, sched_setattr), then `setpriority` and
# `ioprio_set`, which name a kind and then a process, group or user.
X86_64 = (0xC000003E, 302, (142, 144, 203, 314), 141, 251)
I386 = (0x40000003, 340, (154, 156, 241, 351), 97, 289)
AARCH64 = (0xC00000B7, 261, (118, 119, 122, 274), 140, 30)
ARM = (0x40000028, 369, (154, 156, 241, 380), 97, 314)
MACHINES = {"x86_64": (X86_64, I386), "aarch64": (AARCH64, ARM)}
PRIO_USER, IOPRIO_WHO_USER = 2, 3  # 0 is the calling process' user then, with all that is its own

Call = tuple[int, int, tuple[int, ...], int, int]


def available() -> bool:
    """Whether this kernel supports filters, on a known architecture."""
    if os.uname().machine not in MACHINES:
        return False
    LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, None, 0, 0)  # always fails
    return ctypes.get_errno() == errno.EFAULT


def keep_from_others() -> None:
    """Install the filter. Without root it also disables gaining privileges. Raises OSError."""
    program = _program(MACHINES[os.uname().machine])
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    if LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, head, 0, 0) == 0:
        return
    forgo_privileges()
    if LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, head, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl(PR_SET_SECCOMP)")


def _program(tables: tuple[Call, ...]) -> bytes:
    parts = [_step(LOAD, ARCHITECTURE)]
    for table in tables:
        body = _calls(table)
        parts += [_step(JUMP_EQUAL, table[0], 0, len(body)), *body]
    return b"".join([*parts, _step(RETURN, REFUSE)])  # an unknown architecture


def _calls(table: Call) -> list[bytes]:
    """The rejected calls of one architecture."""
    architecture, limits, first, *named = table
    parts = [_step(LOAD, NUMBER)]
    if architecture == X86_64[0]:
        parts += [_step(JUMP_AT_LEAST, X32_BIT, 0, 1), _step(RETURN, REFUSE)]
    parts += _call(limits, [*_unless_zero(0, (*_unless_zero(2, _refuse()), *_unless_zero(2, _refuse(), 4)))])
    for number in first:
        parts += _call(number, [*_unless_zero(0, _refuse())])
    for number, user in zip(named, (PRIO_USER, IOPRIO_WHO_USER), strict=True):
        of_user = [_step(LOAD, ARGUMENTS), _step(JUMP_EQUAL, user, 0, 1), *_refuse()]
        parts += _call(number, [*of_user, *_unless_zero(1, _refuse())])
    return [*parts, _step(RETURN, ALLOW)]


def _call(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for that call number; otherwise continue with the next."""
    body = [*body, _step(RETURN, ALLOW)]
    return [_step(JUMP_EQUAL, number, 0, len(body)), *body]


def _unless_zero(argument: int, then: tuple[bytes, ...], offset: int = 0) -> Iterator[bytes]:
    """`then`, unless the lower half of the argument (all of a pid) is 0; the upper half is at offset 4."""
    yield _step(LOAD, ARGUMENTS + 8 * argument + offset)
    yield _step(JUMP_EQUAL, 0, len(then), 0)
    yield from then


def _refuse() -> tuple[bytes, ...]:
    return (_step(RETURN, REFUSE),)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
