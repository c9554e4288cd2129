"""What speaks to the outside: HTTP routes, the callback gateway, the live stream, reports over NATS.

Routes are thin: parse, call one use case, map the result. Nothing here decides about a task; what the
domain refuses becomes a status by one table in `api.problems`. Importing opens nothing.
"""
