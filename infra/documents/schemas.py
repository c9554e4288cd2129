"""JSON Schemas (2020-12), one file per event and message.

A schema's `$id` is a URN, so that it does not depend on the file's location; references stay within the file.
Schemas are open: readers must ignore unknown fields, since newer versions may add some.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.problems import Problem, ValidationProblem
from domain.log.events import EVENTS
from domain.protocol import Accepted, Ask, Heartbeat, Report, Submission
from domain.task.view import TaskRead
from infra.documents.checkpoints import CheckpointData

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANSWERS: tuple[type[BaseModel], ...] = (TaskRead, Problem, ValidationProblem)


def schemas() -> dict[str, dict[str, Any]]:
    """File name to schema, e.g. `task.running.v1.json`."""
    events = {f"{kind}.{event}.v1": model for (kind, event), model in EVENTS.items()}
    wire: dict[str, type[BaseModel]] = {
        "submission.v1": Submission,
        "accepted.v1": Accepted,
        "report.v1": Report,
        "ask.v1": Ask,
        "heartbeat.v1": Heartbeat,
        "checkpoint.v1": CheckpointData,
        "task.v1": TaskRead,
        "problem.v1": Problem,
    }
    return {f"{name}.json": _schema(name, model) for name, model in {**events, **wire}.items()}


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    made = model.model_json_schema(mode="serialization" if model in _ANSWERS else "validation")
    return {"$schema": DIALECT, "$id": f"urn:towpath:schema:{name}", **made}
