"""The event store on JetStream: appends with compare-and-set, reads and feeds of the log, replay of tasks.

Start with `appender.py` (writing) and `log_reader.py` (reading); `codec.py` is the stored form of an event.
"""
