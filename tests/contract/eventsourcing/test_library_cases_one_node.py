"""The library's own test cases on one node."""

from __future__ import annotations

from tests.contract.eventsourcing.upstream_cases import on

globals().update(on("one_node", __name__))
