"""A read model whose tables changed is made anew: only another SCHEMA_VERSION tells an installation so."""

from __future__ import annotations

import hashlib

from adapters.read_model.tables import SCHEMA_VERSION, metadata

PINNED = (14, "dc3be4f0ff3174a7")


def test_changed_columns_have_another_version() -> None:
    columns = [
        f"{table.name}.{one.name} {one.type} null={one.nullable} key={one.primary_key}"
        for table in metadata.sorted_tables
        for one in table.columns
    ]
    digest = hashlib.sha256("\n".join(sorted(columns)).encode()).hexdigest()[:16]
    assert (SCHEMA_VERSION, digest) == PINNED, "raise SCHEMA_VERSION, then pin it here with this digest"
