"""The command line of `towpath lock`."""

from __future__ import annotations

import argparse

USAGE = "towpath lock [options] [--] CMD [ARGUMENT…]"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_EPILOG = (
    "Ends with CMD's exit code, 128 and the number for a signal. Without a run of CMD: 1 no control plane, "
    "2 usage, 4 not allowed, 5 no such workspace, 6 locked (--try), 8 not granted in time (--wait), 126 and "
    "127 as a shell. 9: the lock was lost while CMD ran, and CMD was killed before another task got it."
)


def parser() -> argparse.ArgumentParser:
    """What `towpath lock` takes."""
    made = argparse.ArgumentParser(
        prog="towpath lock",
        usage=USAGE,
        description="Run CMD in this terminal while holding a lock of a workspace.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "-w",
        "--workspace",
        metavar="NAME",
        help="default: the registered one whose root contains this directory",
    )
    add("--path", action="append", default=[], metavar="PATH", help="lock only this path; repeatable")
    add("--shared", action="store_true", help="share the lock with other shared claims")
    add("--try", action="store_true", dest="reject", help="do not wait: end with 6 if it is locked")
    add("--wait", type=_seconds, metavar="TIME", help="end with 8 if it takes longer: 90, 10m, 2h")
    add("--title", metavar="TEXT", help="shown in lists; default: the command")
    add(
        "--label",
        action="append",
        default=[],
        type=_label,
        metavar="NAME=VALUE",
        help="to find it by; repeatable",
    )
    add("--url", metavar="URL", help="where the API is [env: TOWPATH_URL]")
    add("--data-dir", metavar="DIR", help="of the `towpath up` to talk to [env: TOWPATH_DATA_DIR]")
    add("command", nargs=argparse.REMAINDER, metavar="CMD", help="program and arguments; no shell")
    return made


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; exits with 2 and a message where they are wrong, with 0 after `--help`."""
    made = parser()
    given = made.parse_args(arguments)
    if given.command[:1] == ["--"]:
        del given.command[0]
    if not given.command:
        made.error("give a command to run: towpath lock -- CMD")
    if given.reject and given.wait is not None:
        made.error("--try does not wait: leave it or --wait out")
    return given


def _seconds(text: str) -> float:
    number, factor = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    try:
        value = float(number) * factor
    except ValueError:
        value = 0.0
    if not 0 < value <= 30 * 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no time up to 30d: write 90, 1.5s, 10m or 2h")
    return value


def _label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or ":" in name:
        raise argparse.ArgumentTypeError("a label is NAME=VALUE, and NAME holds no `:`")
    return name, value
