"""What a command follows across lost connections: the event stream, an output, a task until it ends.

Start with `follow.py`. Events come by `stream.py`, which `resume.py` continues after a restore of the log.
"""
