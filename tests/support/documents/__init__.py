"""The code that the documents show, and how to run it."""
