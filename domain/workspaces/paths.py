"""Lock paths: their normal form, and whether one covers or overlaps another.

Overlap is decided on path components, never on string prefixes: `src` overlaps `src/api` but not
`src2`. Paths are normalised once, on input; after that only components are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.errors import Invalid

Components = tuple[str, ...]
MAX_PATHS = 256
MAX_PATH_CHARS = 1024
MAX_PATH_DEPTH = 64
UP = r"(^|/)\.\.(/|$)"
"""A path with a `..` component, which is refused; a regular expression."""
DEEP = rf"^([^/]+/+){{{MAX_PATH_DEPTH}}}[^/]"
"""A relative path with more than MAX_PATH_DEPTH components, which is refused; a regular expression."""


def normalise_root(root: str) -> str:
    """`root` without doubled or trailing slashes; Invalid unless it is absolute, without `.` and `..`."""
    if not root.startswith("/") or "\x00" in root or len(root) > MAX_PATH_CHARS:
        raise Invalid("bad-root", "`root` must be an absolute POSIX path of at most 1024 characters")
    parts = root.split("/")
    if ".." in parts or "." in parts:
        raise Invalid("bad-root", "`root` must not contain `.` or `..`; give the real path")
    return "/" + "/".join(part for part in parts if part)


def normalise_lock_paths(paths: Sequence[str], root: str) -> list[str]:
    """Paths relative to `root`, without duplicates or paths covered by another; [] = the whole workspace.

    Raises:
        Invalid: a path holds `..` or NUL, is absolute outside `root`, too long or too deep, or too many.
    """
    if len(paths) > MAX_PATHS:
        raise Invalid("bad-lock-path", f"at most {MAX_PATHS} lock paths; lock a directory above them instead")
    found = [_relative(path, root) for path in paths]
    if any(not one for one in found):
        return []
    kept: list[Components] = []
    for one in sorted(set(found)):  # the paths that a path covers follow it directly
        if not kept or not _covers(kept[-1], one):
            kept.append(one)
    return ["/".join(one) for one in kept]


def components(path: str) -> Components:
    """The components of a normalised path: `src/api` -> (`src`, `api`)."""
    return tuple(part for part in path.split("/") if part)


def plain_path(path: str) -> str:
    """`path` with single slashes between components (`src/api`); a normalised one is returned as it is."""
    if path.startswith("/") or path.endswith("/") or "//" in path:
        return "/".join(components(path))
    return path


def paths_overlap(left: Iterable[Components], right: Iterable[Components]) -> bool:
    """Whether any path of one side equals, contains or lies in one of the other; no paths = everything."""
    ours, theirs = set(left), set(right)
    if not ours or not theirs:
        return True
    return _reaches(ours, theirs) or _reaches(theirs, ours)


def roots_overlap(one: str, other: str) -> bool:
    """Whether two roots are equal or one lies inside the other."""
    left, right = components(one), components(other)
    return _covers(left, right) or _covers(right, left)


def _covers(outer: Components, inner: Components) -> bool:
    return inner[: len(outer)] == outer


def _reaches(outer: set[Components], inner: set[Components]) -> bool:
    """Whether a path of `inner` equals one of `outer` or lies in it."""
    return any(path[:depth] in outer for path in inner for depth in range(len(path) + 1))


def _relative(path: str, root: str) -> Components:
    advice = "give paths relative to the workspace's root, without `..`"
    if not path or "\x00" in path or len(path) > MAX_PATH_CHARS:
        raise Invalid("bad-lock-path", f"a lock path is empty, too long or holds NUL; {advice}")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise Invalid("bad-lock-path", f"lock path {path!r} holds `..`; {advice}")
    if path.startswith("/"):
        base = components(root)
        if not _covers(base, parts):
            raise Invalid("bad-lock-path", f"lock path {path!r} is outside the root {root}; {advice}")
        parts = parts[len(base) :]
    if len(parts) > MAX_PATH_DEPTH:
        raise Invalid(
            "bad-lock-path",
            f"a lock path has {len(parts)} components, and {MAX_PATH_DEPTH} is the most; "
            "lock a directory above it instead",
        )
    return parts


def listed(paths: Iterable[str]) -> str:
    """Paths for people, separated by spaces; a path that contains a space is quoted."""
    return " ".join(f"'{path}'" if not path or any(map(str.isspace, path)) else path for path in paths)
