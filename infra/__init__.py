"""Infrastructure: settings, processes, the command line and the tools of operators.

May import everything. Start with `composition.py`, the one place where the parts are put together.
"""
