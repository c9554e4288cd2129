"""Removes what jobs leave: their directories, however deep, wide or oddly named.

Start with `removal.py`.
"""
