"""The published contracts for people and programs: OpenAPI, and the pages `/docs` and `/asyncapi`.

Start with `openapi.py`. Routes import it for the documentation of their statuses; it knows no route.
"""
