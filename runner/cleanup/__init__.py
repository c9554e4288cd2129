"""Removes what jobs leave: their directories, however deep, wide or oddly named.

Start with `removal.py`. Every part of the runner that deletes files of jobs imports it.
"""
