"""Writing of the read model: a batch of events becomes rows, which are written with their position.

Start with `writer.py`; `rows.py` defines how each event changes a task's row. Only the store of
`adapters/read_model` writes with it; `infra/audit` computes the same rows to compare them.
"""
