"""The command line's API client: requests here, what lasts longer in `following/`, tasks in `tasks/`.

Start with `http.py`. Commands (`infra/cli/commands/`) call it and show what it returns. A plain request goes
over `light_http.py`, without importing httpx (docs/adr/0071-short-commands-import-little.md).
"""
