"""`towpath verify`: checks a log against signed checkpoints, the transition rules and the read model.

Start with `verification.py`. It reads stored bytes and shares only pure rules with the code it checks. The
command, and `restore` of a backup, import it.
"""
