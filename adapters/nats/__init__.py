"""The NATS client and the JetStream API, without any knowledge of events.

Start with `client.py` and `jetstream_api.py`. `adapters/event_store` decodes messages into events.
"""
