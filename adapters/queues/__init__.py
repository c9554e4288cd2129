"""Work queues on durable JetStream consumers (events, due timers), and dead letters.

Start with `work_queue.py`. It may import `adapters/nats` and the codec of `adapters/event_store`; only
`infra` imports it.
"""
