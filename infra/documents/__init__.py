"""Makes the published contracts below `infra/contracts/`: OpenAPI, AsyncAPI, JSON Schemas, TypeScript.

Everything is made from the models that validate at run time, so that a contract cannot promise what the
code does not keep. `make docs` writes the files; a test fails when they drift.
"""

from pathlib import Path

CONTRACTS = Path(__file__).parents[1] / "contracts"
