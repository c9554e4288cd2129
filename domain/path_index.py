"""An index of paths: which of the items that cover paths overlap some other paths. Pure.

A trie whose nodes are addressed by their own path, so that a node costs an entry in a dict. `_at` says
which items end at a node, `_below` which have a path somewhere under it. A question looks at the nodes
on the way to its own paths and at what lies under them: it costs its own paths and what it finds, however
many paths are in the index.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar, cast

Item = TypeVar("Item", bound=Hashable)
WHOLE = ("",)
"""The paths of an item that covers everything: the root of the trie."""


class PathIndex(Generic[Item]):
    """Items by the paths they cover, each path relative and normalised; no paths means everything."""

    def __init__(self) -> None:
        self._at: dict[str, Item | set[Item]] = {}
        self._below: dict[str, Item | set[Item]] = {}

    def __bool__(self) -> bool:
        """Whether anything is in the index."""
        return bool(self._at)

    def add(self, item: Item, paths: Iterable[str]) -> None:
        """Put in an item that is not in the index."""
        above: set[str] = set()
        for path in tuple(paths) or WHOLE:
            _put(self._at, path, item)
            for node in _new_ancestors(path, above):
                _put(self._below, node, item)

    def remove(self, item: Item, paths: Iterable[str]) -> None:
        """Take out an item that `add` put in with the same paths."""
        above: set[str] = set()
        for path in tuple(paths) or WHOLE:
            _take(self._at, path, item)
            for node in _new_ancestors(path, above):
                _take(self._below, node, item)

    def overlapping(self, paths: Iterable[str]) -> set[Item]:
        """Items with a path that equals, contains or lies inside one of `paths`."""
        found: set[Item] = set()
        above: set[str] = set()
        for path in tuple(paths) or WHOLE:
            _find(self._at, path, found)
            _find(self._below, path, found)
            for node in _new_ancestors(path, above):
                _find(self._at, node, found)
        return found


def _new_ancestors(path: str, known: set[str]) -> list[str]:
    """The nodes above `path` that are not `known` yet, the nearest first; they are known from now on.

    With a node all those above it are known, so the search ends at the first.
    """
    new: list[str] = []
    node = path
    while node:
        node = node.rpartition("/")[0]
        if node in known:
            break
        known.add(node)
        new.append(node)
    return new


def _put(nodes: dict[str, Item | set[Item]], node: str, item: Item) -> None:
    there = nodes.get(node)
    if there is None:
        nodes[node] = item
    elif type(there) is set:
        there.add(item)
    else:
        nodes[node] = {cast(Item, there), item}


def _take(nodes: dict[str, Item | set[Item]], node: str, item: Item) -> None:
    there = nodes[node]
    if type(there) is set:
        there.remove(item)
        if len(there) == 1:
            nodes[node] = there.pop()
    else:
        del nodes[node]


def _find(nodes: dict[str, Item | set[Item]], node: str, found: set[Item]) -> None:
    there = nodes.get(node)
    if type(there) is set:
        found |= there
    elif there is not None:
        found.add(cast(Item, there))
