"""The API as the command line calls it: requests, streams that resume, ids and titles.

Start with `http.py`.
"""
