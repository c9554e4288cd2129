"""Measures the recorders beside the library's own: `python -m bench` in this package's directory."""
