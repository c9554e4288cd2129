"""Outputs of attempts: kept for some days, and read in ranges while they grow.

The shim writes them, masked (`runner/process/shim/output.py`). Start with `ranges.py`. Intake, attempts and
`runner/service.py` import it.
"""
