"""Workspaces: which id means which root directory, and the paths inside it that a claim covers.

Start with `registry.py`.
"""
