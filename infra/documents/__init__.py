"""Generates the published contracts in `infra/contracts/`: OpenAPI, AsyncAPI, JSON Schemas, TypeScript.

They are made from the models that validate at run time, so that a contract matches the code. `make docs`
writes the files; a test fails if they differ.
"""

from pathlib import Path

CONTRACTS = Path(__file__).parents[1] / "contracts"
