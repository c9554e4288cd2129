"""Work queues on durable JetStream consumers: events to act on, timers that came due, dead letters.

Start with `work_queue.py`.
"""
