"""Failures of commands: one message on stderr and one documented exit code each.

The last case is a defect of Towpath, or a response from another program. Its message names the type and the
place of the error, never the error's own text, which may quote a secret.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from infra.cli.output.stderr import say
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit
from infra.runtime.standard_streams import divert

_OUTPUT = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EBADF)
_SHOWN_FRAMES = 2


def exit_code(command: Callable[[], object]) -> int:
    """Run `command` and report its errors; returns the exit code."""
    try:
        command()
    except SystemExit as ended:
        return _flushed(ended.code)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except CliError as error:
        say(f"towpath: {error}")
        return error.exit
    except OSError as error:
        return _of_system(error)
    except Exception as error:
        say(f"towpath: {_unexpected(error)}")
        return Exit.ERROR
    return _flushed(None)


def _flushed(code: object) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # a reader that exited early, such as `head`, changes no exit code
        divert(sys.stdout)
    except OSError as error:
        return _of_system(error)
    return code if isinstance(code, int) else Exit.OK if code is None else Exit.ERROR


def _of_system(error: OSError) -> int:
    """Report an error of the operating system."""
    what = error.strerror or type(error).__name__
    if error.errno == errno.ENOENT and _directory_is_gone():
        say("towpath: the current directory does not exist any more; cd to one that does")
    elif error.filename is not None:
        say(f"towpath: {os.fsdecode(error.filename)}: {what}")
    elif error.errno in _OUTPUT:
        say(f"towpath: the output cannot be written: {what}")
    else:
        say(f"towpath: the system refuses: {what}")
    return Exit.ERROR


def _directory_is_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _unexpected(error: Exception) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "site-packages" not in one.filename]
    places = ", ".join(f"{Path(one.filename).name}:{one.lineno}" for one in frames[-_SHOWN_FRAMES:])
    return (
        f"unexpected {type(error).__name__} at {places}. This is a fault of Towpath, or what answers is no "
        "Towpath of this version (`towpath version` shows both); please report it with this line"
    )
