"""The runner's durable state: one SQLite file with its attempts and its outbox, and a guard of the disk."""
