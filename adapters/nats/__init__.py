"""The NATS client and the JetStream API, without any knowledge of events.

Start with `client.py` and `jetstream_api.py`. What decodes a message lives in `adapters/event_store`.
"""
