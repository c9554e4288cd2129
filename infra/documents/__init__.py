"""Generates documents from code: the contracts in `infra/contracts/`, tables in `docs/`, NATS accounts.

Start with `write.py` (`make docs`). Contracts are made from the models that validate at run time, so that a
contract matches the code. A test fails if the files differ.
"""

from pathlib import Path

CONTRACTS = Path(__file__).parents[1] / "contracts"
