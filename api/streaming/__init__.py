"""Server-sent events: the log from any position and then live, for readers of any speed.

Start with `event_stream.py`. Routes import it; it may import `api/queries`.
"""
