"""The event store on JetStream: appends with compare-and-set, reads and feeds of the log, replay of tasks.

Start with `appender.py` (writing) and `reading/log_reader.py`; `codec.py` is the stored form of an event. It
may import `adapters/nats`. `adapters/queues` and `adapters/runners` use its codec, `infra` builds it.
"""
