"""Path index: finds the items that overlap given paths, in time that depends on the paths alone. Pure.

A trie whose nodes are addressed by their own path, so that a node costs one dict entry. `_at` holds the items
with a path that ends at a node, `_below` those with a path somewhere below it. A query looks at the nodes on
the way to its own paths and at the items below them. Its cost depends on its own paths and the items found,
not on the size of the index.

A growing dict moves all its entries at once, which takes tens of milliseconds for some hundred thousand. A
large one is therefore split into many, which grow one at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from itertools import repeat
from operator import and_
from typing import Generic, TypeVar, cast

Item = TypeVar("Item", bound=Hashable)
SPLIT_AT = 8_192
PARTS = 64
"""A power of two."""
WHOLE = ("",)
"""The path of an item that covers everything: the root of the trie."""


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
                    break  # its parents are in it, too
                self.above.add(node)


class PathIndex(Generic[Item]):
    """Items by the paths they cover."""

    def __init__(self) -> None:
        self._at: _Nodes[Item] = _Nodes()
        self._below: _Nodes[Item] = _Nodes()

    def __bool__(self) -> bool:
        """Whether anything is in the index."""
        return bool(self._at)

    def add(self, item: Item, cover: Cover) -> None:
        """Add an item that is not in the index."""
        self._at.put(cover.paths, item)
        self._below.put(cover.above, item)

    def remove(self, item: Item, cover: Cover) -> None:
        """Remove an item that was added with the same paths."""
        self._at.take(cover.paths, item)
        self._below.take(cover.above, item)

    def overlapping(self, cover: Cover) -> set[Item]:
        """Items with a path that equals, contains or lies inside one of those of `cover`."""
        found: set[Item] = set()
        self._at.find(cover.paths, found)
        self._below.find(cover.paths, found)
        self._at.find(cover.above, found)
        return found


class _Nodes(Generic[Item]):
    """The items at each node, in one dict, or in PARTS dicts once that one is large."""

    __slots__ = ("_last", "_parts")

    def __init__(self) -> None:
        self._parts: list[dict[str, Item | set[Item]]] = [{}]
        self._last = 0

    def __bool__(self) -> bool:
        return any(self._parts)

    def put(self, names: Collection[str], item: Item) -> None:
        """Add `item` at these nodes."""
        nodes = self._parts[0]
        for name in names:
            if self._last:
                nodes = self._parts[hash(name) & self._last]
            there = nodes.setdefault(name, item)
            if type(there) is set:
                there.add(item)
            elif there != item:
                nodes[name] = {cast(Item, there), item}
        if len(nodes) > SPLIT_AT and not self._last:
            self._split()

    def take(self, names: Collection[str], item: Item) -> None:
        """Remove `item` from these nodes."""
        nodes = self._parts[0]
        for name in names:
            if self._last:
                nodes = self._parts[hash(name) & self._last]
            there = nodes.get(name)
            if type(there) is set:
                there.discard(item)
                if len(there) == 1:
                    nodes[name] = there.pop()
            elif there == item:
                del nodes[name]

    def find(self, names: Collection[str], found: set[Item]) -> None:
        """Add the items at these nodes to `found`."""
        if self._last:  # maps of C functions save a Python call for each name
            numbers = map(and_, map(hash, names), repeat(self._last))
            there_all = map(dict.get, map(self._parts.__getitem__, numbers), names)
        else:
            there_all = map(self._parts[0].get, names)
        for there in there_all:
            if there is None:
                continue
            if type(there) is set:
                found |= there
            else:
                found.add(cast(Item, there))

    def _split(self) -> None:
        whole = self._parts[0]
        self._last = PARTS - 1
        self._parts = [{} for _ in range(PARTS)]
        for name, there in whole.items():
            self._parts[hash(name) & self._last][name] = there
