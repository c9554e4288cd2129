"""Each world is freed after its test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def freed() -> Iterator[None]:
    """A world's caches hold its methods, and these the world: only the collector frees it, with 1 GB in all.

    What there was before is frozen meanwhile, so that the collector looks at the world alone.
    """
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()
