"""The rules of Towpath: tasks, claims and locks, as pure decisions over past facts.

Nothing here waits, reads a clock, makes an id or knows NATS, HTTP or SQL. What the rules need from
outside comes in as an argument or through a Protocol of `domain.ports`.
"""
