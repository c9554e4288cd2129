"""`towpath verify`: checks a log against signed checkpoints, the rules of histories and the read model.

Start with `run.py`.
"""
