"""The command line's API client: requests, streams that resume, ids and titles.

Start with `http.py`.
"""
