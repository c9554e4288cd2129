"""The NATS client and the JetStream API, without any knowledge of events.

Start with `client.py` and `jetstream_api.py`. It is the lowest layer: every other adapter of NATS may import
it; `adapters/event_store` decodes messages into events.
"""
