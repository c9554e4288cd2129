"""The lifecycle of services: one start/stop protocol, groups of services, and the end of asyncio tasks.

Every part uses it, so it stands where all may import it; it decides nothing. Start with `service.py`.
"""
