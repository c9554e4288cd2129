"""What there is right now, in figures, and what of it needs a person.

Start with `stock.py`, which Prometheus reads, too; `overview.py` adds what `attention.py` finds.
"""
