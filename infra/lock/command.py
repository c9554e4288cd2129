"""Entry of `towpath lock`: options, URL, the fork of the keeper; then this process becomes the front."""

from __future__ import annotations

import os
import signal

from infra.errors.exit_codes import Exit
from infra.lock.control_plane import ControlPlane
from infra.lock.endings import Ending
from infra.lock.endpoint import where
from infra.lock.front import TAKEN, Front
from infra.lock.keeper.specification import program
from infra.lock.options import Options, parse
from infra.lock.orphans import has_children, sweep
from infra.lock.stderr import tell
from infra.lock.terminal_job import TerminalJob, collect_what_comes, let_go_of_files
from runner.isolation.process_traits import adopt_orphans, hide_memory

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import NoReturn

INHERITED: tuple[int, ...] = (*TAKEN, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that the command ignores where the caller does."""
NOT_FOR_THE_KEEPER = (
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM),  # it ends with the command or the front
    *(signal.SIGTTOU, signal.SIGPIPE),
)
KILLED = (
    "its keeper was killed, and with it the command: the lock is lost, and comes back after lease and grace"
)


def main(arguments: list[str]) -> NoReturn:
    """Run it and exit."""
    options = parse(arguments)
    _open_standard_streams()
    try:
        program(options.command[0])
        control = ControlPlane(*where(options.url, options.data_dir))
    except Ending as ending:
        _end(ending.code, str(ending))
    except ValueError as error:
        _end(Exit.USAGE, str(error))
    ignored = [number for number in INHERITED if signal.getsignal(number) is signal.SIG_IGN]
    sweeps = not has_children()  # of an earlier program in this process, which are not ours to end
    front, passing = os.pipe()
    told, say = os.pipe()
    group = os.getpgrp()
    keeper = os.fork()
    if keeper == 0:
        os.close(passing)
        os.close(told)
        _keep(options, control, front, say, group, ignored)
    os.close(front)
    os.close(say)
    if sweeps:
        adopt_orphans()
    hide_memory()
    let_go_of_files()
    collect_what_comes()
    process = Front(passing, told, ignored)
    code = process.run()
    os.waitpid(keeper, 0)
    if sweeps and has_children():
        sweep()
    if not process.was_told:
        _end(code, KILLED)
    os._exit(code)


def _open_standard_streams() -> None:
    """Let closed ones lead nowhere: a pipe of ours would take their place."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)


def _keep(
    options: Options, control: ControlPlane, front: int, say: int, group: int, ignored: list[int]
) -> NoReturn:
    """The keeper's process; never returns into its parent's code."""
    try:
        os.setpgid(0, 0)
        for number in NOT_FOR_THE_KEEPER:
            signal.signal(number, signal.SIG_IGN)
        job = TerminalJob(group, ignored)
        let_go_of_files()
        control.begin(options.workspace)  # it answers while the modules below are loaded
        from infra.lock.keeper.process import Keeper

        collect_what_comes()
        control.main.interrupt = front
        Keeper(options, control, job, front, say).run()
    except BaseException as error:
        tell(f"{type(error).__name__}: {error}")
    finally:
        os._exit(1)


def _end(code: int, message: str) -> NoReturn:
    tell(message)
    os._exit(code)
