"""How attempts reach this runner: a pool's work queue on NATS, or its own small HTTP server."""
