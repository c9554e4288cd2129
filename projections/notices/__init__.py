"""Process manager `notifier`: tells channels what their rules ask for.

Start with `notifier.py`, which decides that one works; `work.py` is what that one does. `teller.py` makes
messages of events and conditions, `observer.py` finds what the log does not hold (silent runners, dead
letters), `delivery.py` sends to one channel.
"""
