"""Ports: the interfaces through which the domain and its callers reach the outside. Start with `log.py`.

A port with several adapters has a contract suite in `tests/contract` that every adapter passes. A port that
belongs to one concept stands beside it: `Tracer` in `context`, `LogCapacity` in `log`, `DeadLetters` in
`services`.
"""
