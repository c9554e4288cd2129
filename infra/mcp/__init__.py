"""`towpath mcp`: a server of the Model Context Protocol over stdio, for coding agents.

Start with `server.py`. Everything goes over HTTP with `packages/towpath-client`; each claim is a runner of
its own there, as `towpath lock` is, so its lock lives as long as this process. This package is imported by
`towpath mcp` alone: it and `mcp` come with the extra `towpath[mcp]`.
"""
