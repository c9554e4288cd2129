"""What a browser loads: the console and its login (`session.py`), and the documents of the interfaces.

Start with `console.py`.
"""
