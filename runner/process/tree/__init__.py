"""The host's processes: who is whose child, in which state, and signals that reach exactly the intended one.

Start with `process_tree.py`. Standard library only: shims import it, and so does `towpath lock`.
"""
