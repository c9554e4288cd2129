"""The expected contents of `infra/contracts/`."""

from __future__ import annotations

import json
from typing import Any

from api.app import described
from infra.documents.asyncapi import asyncapi_document
from infra.documents.schemas import schemas
from infra.documents.typescript import typescript


def contract_files() -> dict[str, str]:
    """File name below `infra/contracts/` to text."""
    openapi = described().openapi()
    asyncapi = asyncapi_document(openapi["info"]["version"])
    return {
        "openapi.json": _json(openapi),
        "asyncapi.json": _json(asyncapi),
        "towpath.d.ts": typescript(openapi, asyncapi),
        **{f"schemas/{name}": _json(schema) for name, schema in schemas().items()},
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
