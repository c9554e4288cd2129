"""The launcher: a warm process of the runner, from which the guards of jobs are forked.

It saves each job an interpreter's start and imports. It has one thread, no environment, and gets no job: that
goes from the runner to the guard alone. `clone` makes each guard the runner's own child, so runner and guard
see each other's death as if the runner had forked it, and the launcher's death ends no job.

Stdin: a socket; each message brings a guard's standard input and output. A new guard writes its pid to its
output first. If none can be forked, the launcher writes the negative error number there. So the end of the
output without a line means that there is no guard, whatever became of the launcher. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import traceback
from collections.abc import Callable
from typing import NoReturn

from runner.clock import stamp, this_boot
from runner.isolation.process_traits import die_with_parent, hide_memory, name_process
from runner.process.masking.masker import Masker
from runner.process.shim.guard import FORWARDED, Guard
from runner.process.shim.job_start import close_others
from runner.process.shim.shim import Shim

CLONE_PARENT = 0x8000
REHEARSALS = 20
CLONE = {"x86_64": 56, "aarch64": 220}
"""The number of the system call `clone`; containers often forbid its successor, `clone3`."""
# Keeps the interpreter's lock, as the child goes on in the middle of this call.
_LIBC = ctypes.PyDLL(None, use_errno=True)


def available() -> bool:
    """Whether a launcher can work on this machine."""
    return os.uname().machine in CLONE


def serve(main: Callable[[], None]) -> None:
    """Fork a process that runs `main` for each message, until the runner is gone."""
    close_others()
    hide_memory()
    name_process("towpath-launch")
    _rehearse()
    die_with_parent(signal.SIGKILL)
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, every object
    door = socket.socket(fileno=0)
    while True:
        message, handles, _, _ = socket.recv_fds(door, 1, 2)
        if not message:
            return
        if len(handles) == 2:  # fewer: this process may open no more files, and the runner sees the end
            _launch(main, *handles)
        for handle in handles:
            os.close(handle)


def _rehearse() -> None:
    """Do some times what guards and shims do, so that less in their memory is made or changed later."""
    job = {"runner_pid": 0, "cgroup": None, "lease": None, "grace": 0.0, "command": ["true"]}
    for _ in range(REHEARSALS):
        order = json.loads(json.dumps({**job, "boot": this_boot()}))
        Masker(["secret"]).feed(b"output")
        ticks, say_tick = os.pipe()
        guard = Guard(order, os.getpid(), ticks)
        shim = Shim(order, b"", 0, say_tick)
        shim.control_open = False
        shim.listen(0)
        guard.step()
        shim.reap()
        shim.tell("rehearsed", at=stamp())  # the launcher's output has no reader
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, *FORWARDED):
        signal.signal(number, signal.SIG_DFL)
    close_others()


def _launch(main: Callable[[], None], orders: int, said: int) -> None:
    try:
        pid = clone()
    except OSError as error:
        with contextlib.suppress(OSError):  # the runner has given up this launch
            os.write(said, b"%d\n" % -(error.errno or 0))
        return
    if pid == 0:
        _become_guard(main, orders, said)


def clone() -> int:
    """As `os.fork`, but the new process is a child of this one's parent. For a process of one thread.

    The C library does not learn of it: its record of this thread's id is the launcher's until the next fork.
    Only locks that record their owner use it, within a process.
    """
    pid: int = _LIBC.syscall(CLONE[os.uname().machine], CLONE_PARENT | signal.SIGCHLD, None, None, None, None)
    if pid < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return pid


def _become_guard(main: Callable[[], None], orders: int, said: int) -> NoReturn:
    code = 1
    try:
        # by this session, which a job leaves, a later runner recognizes guard and shim
        os.setsid()
        os.dup2(orders, 0)
        os.dup2(said, 1)
        os.write(1, b"%d\n" % os.getpid())
        main()
        code = 0
    except (SystemExit, BrokenPipeError):
        pass  # the runner is gone, or has given up this launch
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
