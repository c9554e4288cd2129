"""The installation file: where `towpath up` listens, so that commands need no ports or tokens.

`up` writes it atomically (mode 0600), locks it while it runs, and removes it at its end. The kernel releases
the lock however the process ends. A file without a lock is therefore stale and ignored: another program may
use its ports by now. So is a file that other users could have written.

The data directory decides which system a command addresses: the one in the settings, else the nearest
`.towpath` of an `up`, here or in a parent directory. If nothing runs on it, the command fails instead of
trying the default ports.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr, ValidationError

from infra.config import installation_file
from infra.config.installation_file import FILE
from infra.config.settings import Settings

FOR_RUNNERS = "nats-runner-password"
_OF_NATS = ("nats_url", "nats_user", "nats_password", "nats_ca", "nats_port", "nats_monitor_url")
_WHERE = {"url": "where its API is (--url)", "nats": "where its NATS is (--nats-url or --nats-port)"}
Need = Literal["url", "nats"]
"""What a command has to reach: the API, or NATS itself."""


class NotRunning(Exception):
    """No `towpath up` runs on the selected data directory; the message says what to do."""

    def __init__(self, directory: Path, need: Need) -> None:
        super().__init__(f"no `towpath up` runs on {directory}: start it, or say {_WHERE[need]}")
        self.directory = directory


class Installation(BaseModel):
    """The content of the file. `nats_url` is None if the installation's own NATS runs on `nats_port`."""

    url: str
    token: str | None = None
    nats_port: int | None = None
    nats_url: str | None = None
    nats_user: str | None = None
    nats_password: str | None = None
    nats_ca: Path | None = None
    database_url: str | None = None


def with_own_token(settings: Settings) -> Settings:
    """The settings with a token for this machine's commands, if the API requires tokens."""
    if not settings.has_operator_tokens or settings.token is not None:
        return settings
    token = secrets.token_urlsafe(32)
    before = f"{settings.api_tokens.get_secret_value()}," if settings.api_tokens else ""
    update = {"api_tokens": SecretStr(f"{before}admin:{token}"), "token": SecretStr(token)}
    return settings.model_copy(update=update)


def with_bot_token(settings: Settings) -> tuple[Settings, SecretStr | None]:
    """The settings with one more token, by which the chat bot acts for people; None: it needs none."""
    if not settings.has_operator_tokens:
        return settings, None
    taken = {one.name for one in settings.operator_tokens()}
    name = next(one for one in ("bot", "chat-bot", f"bot-{secrets.token_hex(4)}x") if one not in taken)
    token = secrets.token_urlsafe(32)
    before = f"{settings.api_tokens.get_secret_value()}," if settings.api_tokens else ""
    update = {"api_tokens": SecretStr(f"{before}admin={name}+behalf:{token}")}
    return settings.model_copy(update=update), SecretStr(token)


class Published:
    """This process's installation file, until `withdraw`."""

    def __init__(self, directory: Path, installation: Installation) -> None:
        self._path = directory / FILE
        draft = directory / f"{FILE}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        self._held = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(self._held, installation.model_dump_json(indent=2).encode())
        fcntl.lockf(self._held, fcntl.LOCK_EX)
        draft.replace(self._path)

    def withdraw(self) -> None:
        """Remove the file; further calls do nothing."""
        if self._held >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._held)
            self._held = -1


def publish(given: Settings, started: Settings, nats_port: int | None) -> Published:
    """Write the file. `given`: the settings that `up` got; `started`: the same with its actual ports."""
    own_nats = given.nats_url is None
    password = given.nats_password
    told = Installation(
        url=started.listen_url,
        token=started.token.get_secret_value() if started.token else None,
        nats_port=nats_port if own_nats else None,
        nats_url=given.nats_url,
        nats_user=given.nats_user,
        nats_password=password.get_secret_value() if password else None,
        nats_ca=given.nats_ca,
        database_url=given.database_url,
    )
    return Published(given.data_dir, told)


def find(settings: Settings) -> tuple[Path, Installation] | None:
    """The running installation of the data directory, or of the nearest `.towpath` if none was set."""
    directory = _meant(settings)
    found = None if directory is None else _read(directory)
    return None if directory is None or found is None else (directory, found)


def completed(settings: Settings, need: Need, over: Collection[str] = ()) -> Settings:
    """The settings, completed with the values of the running installation.

    Values that were set stay, except those of the fields in `over`.

    Raises:
        NotRunning: nothing runs on the selected data directory, and the setting for `need` is missing.
    """
    given = settings.model_fields_set.difference(over)
    directory = _meant(settings)
    if directory is None:
        return settings
    told = _read(directory)
    if told is None:
        if given.isdisjoint(("url",) if need == "url" else ("nats_url", "nats_port")):
            raise NotRunning(directory, need)
        return settings
    update: dict[str, Any] = {"data_dir": directory}
    if "url" not in given:
        update["url"] = told.url
        if "token" not in given and told.token is not None:
            update["token"] = SecretStr(told.token)
    if given.isdisjoint(_OF_NATS):
        password = None if told.nats_password is None else SecretStr(told.nats_password)
        update |= {"nats_url": told.nats_url, "nats_user": told.nats_user, "nats_password": password}
        update |= {"nats_ca": told.nats_ca, "nats_port": told.nats_port or settings.nats_port}
    if "database_url" not in given:
        update["database_url"] = told.database_url
    return settings.model_copy(update=update)


def for_part(settings: Settings) -> Settings:
    """The settings of an API or projector run alone: unchanged if NATS was set, else `completed`.

    Raises:
        NotRunning: as `completed`.
    """
    return settings if _is_nats_set(settings) else completed(settings, "nats")


def for_runner(settings: Settings) -> Settings:
    """The settings of a runner run alone; on an `up`'s own NATS it connects as the user for runners.

    Raises:
        NotRunning: as `completed`.
    """
    if not settings.runner_nats:
        return settings if "url" in settings.model_fields_set else completed(settings, "url")
    if _is_nats_set(settings):
        return settings
    found = completed(settings, "nats")
    password = found.data_dir / FOR_RUNNERS
    if found is settings or found.nats_url is not None or not password.is_file():
        return found
    secret = SecretStr(password.read_text().strip())
    url = f"nats://127.0.0.1:{found.nats_port}"
    return found.model_copy(update={"nats_url": url, "nats_user": "runner", "nats_password": secret})


def _is_nats_set(settings: Settings) -> bool:
    return not settings.model_fields_set.isdisjoint(("nats_url", "nats_port"))


def _meant(settings: Settings) -> Path | None:
    """The data directory in the settings, else the nearest `.towpath` of an `up`, else None."""
    if "data_dir" in settings.model_fields_set:
        return settings.data_dir
    found = installation_file.nearest(str(settings.data_dir.parent), settings.data_dir.name)
    return Path(found) if found is not None else None


def running_on(directory: Path) -> Installation | None:
    """The installation whose `up` runs on exactly this directory."""
    return _read(directory)


def _read(directory: Path) -> Installation | None:
    told = installation_file.read(str(directory))
    try:
        return Installation.model_validate(told) if told is not None else None
    except ValidationError:
        return None
