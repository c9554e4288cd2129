"""Figures of the present for Prometheus and the overview, and what of them needs a person.

Start with `stock.py`, which Prometheus reads, too; `overview.py` adds what `attention.py` finds. The routes
of operations and `api/metrics` import it.
"""
