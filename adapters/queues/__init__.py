"""Work queues on durable JetStream consumers (events, due timers), and dead letters.

Start with `work_queue.py`.
"""
