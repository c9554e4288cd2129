"""Workspaces: the root directory of each registered id, and the paths inside it that a claim covers.

Start with `registry.py`. It is below tasks and locks, which import it.
"""
