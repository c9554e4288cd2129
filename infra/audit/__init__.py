"""`towpath verify`: checks a log against signed checkpoints, the transition rules and the read model.

Start with `verification.py`.
"""
