"""The library's own test cases on three nodes, three replicas."""

from __future__ import annotations

from tests.contract.eventsourcing.upstream_cases import on

globals().update(on("three_nodes", __name__))
