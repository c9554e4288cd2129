"""Secrets in a job's output: found and masked by the shim before anything is stored.

Start with `masker.py`. It imports the standard library only; `secret_encodings.py` is the runner's, which
computes the encoded forms of each secret before a job starts.
"""
