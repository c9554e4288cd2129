"""Audit record: what a person did or found beside the log, with who and when.

Audit records are not events: no fold reads them, and `towpath verify` does not check them, since a
verification must not become part of what it verifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

AuditKind = Literal["verification", "dead-letter"]
DATA_BYTES = 14 * 1024
"""The longest `data` of a record, as JSON."""


class AuditData(BaseModel):
    """An audit record as it is stored."""

    at: datetime = Field(description="when, by the control plane's clock")
    by: str = Field(description="the actor, as in events")
    data: dict[str, Any] = Field(description="what was found or done; depends on the kind")


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A stored audit record. `number` is its sequence among the records of all kinds."""

    number: int
    what: AuditData
