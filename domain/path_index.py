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


class Cover:
    """Paths, relative and normalised, with the nodes above them; no paths means everything."""

    __slots__ = ("above", "paths")

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths) or WHOLE
        self.above: set[str] = set()
        for node in self.paths:
            while node:
                node = node.rpartition("/")[0]
                if node in self.above:
                    break  # and so are all those above it
                self.above.add(node)


class PathIndex(Generic[Item]):
    """Items by what they cover."""

    def __init__(self) -> None:
        self._at: dict[str, Item | set[Item]] = {}
        self._below: dict[str, Item | set[Item]] = {}

    def __bool__(self) -> bool:
        """Whether anything is in the index."""
        return bool(self._at)

    def add(self, item: Item, cover: Cover) -> None:
        """Put in an item that is not in the index."""
        _put(self._at, cover.paths, item)
        _put(self._below, cover.above, item)

    def remove(self, item: Item, cover: Cover) -> None:
        """Take out an item that `add` put in with the same paths."""
        _take(self._at, cover.paths, item)
        _take(self._below, cover.above, item)

    def overlapping(self, cover: Cover) -> set[Item]:
        """Items with a path that equals, contains or lies inside one of those of `cover`."""
        found: set[Item] = set()
        _find(self._at, cover.paths, found)
        _find(self._below, cover.paths, found)
        _find(self._at, cover.above, found)
        return found


def _put(nodes: dict[str, Item | set[Item]], names: Iterable[str], item: Item) -> None:
    for name in names:
        there = nodes.setdefault(name, item)
        if type(there) is set:
            there.add(item)
        elif there != item:
            nodes[name] = {cast(Item, there), item}


def _take(nodes: dict[str, Item | set[Item]], names: Iterable[str], item: Item) -> None:
    for name in names:
        there = nodes.get(name)
        if type(there) is set:
            there.discard(item)
            if len(there) == 1:
                nodes[name] = there.pop()
        elif there == item:
            del nodes[name]


def _find(nodes: dict[str, Item | set[Item]], names: Iterable[str], found: set[Item]) -> None:
    for there in map(nodes.get, names):
        if there is None:
            continue
        if type(there) is set:
            found |= there
        else:
            found.add(cast(Item, there))
