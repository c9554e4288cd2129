"""Ports: what the domain and the parts around it need from outside, named by role. Start with `log.py`.

A port with several adapters has a contract suite in `tests/contract` that every adapter passes. Ports that
belong to one concept stand beside it: `Tracer` in `context`, `LogRoom` in `log`, `DeadLetters` in `services`.
"""
