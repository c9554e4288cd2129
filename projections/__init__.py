"""Consumers of the log: each folds or acts on events, and can be rebuilt from them."""
