"""Forked children of the bench: servers, drivers, baselines. Each is ended by its id, none is forgotten.

The bench itself runs no event loop and no thread, so that forking is safe and nothing of its own takes
part in a measurement. What a child prints goes to stderr: stdout belongs to the result.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 4.0


class ChildFailed(Exception):
    """A child ended without a result; the message is its traceback."""


class Child:
    """One process that runs `main` and hands its result back."""

    def __init__(self, name: str, main: Callable[[], object]) -> None:
        context = multiprocessing.get_context("fork")
        self._name = name
        self._receiver, sender = context.Pipe(duplex=False)
        parent = os.getpid()
        self._process = context.Process(target=_become, args=(main, sender, parent), name=name, daemon=True)
        self._process.start()
        sender.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def result(self, timeout: float) -> Any:
        """What `main` returned. ChildFailed where it raised, died, or took longer than `timeout` seconds."""
        try:
            if not self._receiver.poll(timeout):
                raise ChildFailed(f"{self._name} took longer than {timeout:.0f} s")
            good, value = self._receiver.recv()
        except EOFError:
            raise ChildFailed(f"{self._name} died") from None
        finally:
            self.stop()
        if not good:
            raise ChildFailed(f"{self._name} failed:\n{value}")
        return value

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL after STOP_SECONDS; again does nothing."""
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def in_child(name: str, work: Callable[[], Coroutine[Any, Any, Any]], timeout: float) -> Any:
    """Run a coroutine in a child of its own, on uvloop, and return its result."""
    return Child(name, lambda: run_loop(work)).result(timeout)


def run_loop(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine on uvloop, as the product's processes do."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def _become(main: Callable[[], object], sender: Connection, parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)
    try:
        answer = (True, main())
    except Exception:
        answer = (False, traceback.format_exc(limit=-8))
    sender.send(answer)
