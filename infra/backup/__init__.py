"""`towpath backup` and `towpath restore`: copies of the streams that cannot be rebuilt.

Start with `backup_and_restore.py`. Only the two commands import it.
"""
