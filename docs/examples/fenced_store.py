"""A small store that rejects a write under a grant older than one that has written already.

    python fenced_store.py FILE put KEY VALUE
    python fenced_store.py FILE get KEY

`put` reads TOWPATH_WORKSPACE and TOWPATH_LOCK_TOKEN, as every job with a workspace has them.
The token is checked and raised in the same transaction as the write: no other writer comes between the two.
Exit code 4: a later grant has written here, so this process is a leftover and should stop.
"""

import os
import sqlite3
import sys

SCHEMA = """
CREATE TABLE IF NOT EXISTS fences (workspace TEXT PRIMARY KEY, token INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, token INTEGER NOT NULL);
"""
RAISE = """
INSERT INTO fences (workspace, token) VALUES (?, ?)
ON CONFLICT (workspace) DO UPDATE SET token = excluded.token WHERE excluded.token >= fences.token
"""


class Fenced(Exception):
    """A later grant has written here."""


def put(store: sqlite3.Connection, workspace: str, token: int, key: str, value: str) -> None:
    with store:  # one transaction: both, or neither
        if store.execute(RAISE, (workspace, token)).rowcount == 0:
            raise Fenced(f"token {token} is too old: a later grant of {workspace} has written here")
        store.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (key, value, token))


def main(file: str, verb: str, key: str, *value: str) -> int:
    store = sqlite3.connect(file, timeout=30)
    store.executescript(SCHEMA)
    if verb == "get":
        found = store.execute("SELECT value, token FROM entries WHERE key = ?", (key,)).fetchone()
        sys.stdout.write("{} {}\n".format(*found or ("nothing", 0)))
        return 0
    try:
        put(store, os.environ["TOWPATH_WORKSPACE"], int(os.environ["TOWPATH_LOCK_TOKEN"]), key, *value)
    except Fenced as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


if __name__ == "__main__":
    if [len(sys.argv), *sys.argv[2:3]] not in ([5, "put"], [4, "get"]):
        sys.exit("usage: fenced_store.py FILE put KEY VALUE, or fenced_store.py FILE get KEY")
    if sys.argv[2] == "put" and not {"TOWPATH_WORKSPACE", "TOWPATH_LOCK_TOKEN"} <= os.environ.keys():
        sys.exit("put needs a task with a workspace: towpath run --workspace NAME -- python fenced_store.py")
    sys.exit(main(*sys.argv[1:]))
