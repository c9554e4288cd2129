"""NATS infrastructure: the embedded server, connections, accounts, streams and their capacity.

Start with `stream_definitions.py` and `embedded_server.py`. All of `infra` above it may import it; other
parts get a connection.
"""
