"""Model of a signed checkpoint message, for the published schemas.

The program itself reads and writes `domain.evidence.checkpoint.LogCheckpoint`, whose canonical text is
signed; a test holds the fields of both together.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class CheckpointData(BaseModel):
    """A signed checkpoint of the log. Hashes and signature are lower-case hex; see docs/verify.md."""

    number: int = Field(ge=1, description="1, 2, …; the stream's sequence")
    first_seq: int = Field(ge=1, description="first sequence of the range")
    last_seq: int = Field(ge=1, description="last sequence of the range")
    root: Hash = Field(description="Merkle root over the range")
    tree_root: Hash = Field(description="Merkle root over everything up to last_seq")
    peaks: list[Hash] = Field(description="roots of that tree's complete subtrees, the largest first")
    prints: str = Field(description="base64 of the first 4 bytes of every leaf hash of the range")
    previous: Hash = Field(description="SHA-256 of the previous checkpoint; zeros for the first")
    time: str = Field(description="when it was signed, RFC 3339 UTC")
    key_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")] = Field(description="which key")
    signature: Annotated[str, StringConstraints(pattern="^[0-9a-f]{128}$")] = Field(description="Ed25519")
