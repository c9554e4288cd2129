"""Users and recipes of the file: who may act from a chat, with every fault told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.chat.people import Recipe, User
from infra.config.settings import Settings
from infra.notices.file import NotifyFileError, load_notify_file

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
USER = '[[user]]\nid = 4711\nname = "alice"\nrole = "operator"\n'


def settings(tmp_path: Path, text: str, token: str | None = TOKEN) -> Settings:
    path = tmp_path / "notify.toml"
    path.write_text(text)
    path.chmod(0o600)
    return Settings(notify=path, data_dir=tmp_path, telegram_token=SecretStr(token) if token else None)


def test_users_and_recipes_are_read_and_need_no_channel(tmp_path: Path) -> None:
    recipe = 'name = "deploy"\ncommand = ["make", "deploy"]\nworkspace = "shop"\ntimeout = "10m"\n'
    more = f"[[recipe]]\n{recipe}arguments = true\n"
    file = load_notify_file(settings(tmp_path, USER + more))
    assert file.people.users == {4711: User(4711, "alice", "operator")}
    deploy = Recipe("deploy", ("make", "deploy"), "operator", "shop", None, None, 600.0, takes_arguments=True)
    assert file.people.recipes == {"deploy": deploy}
    assert {token for token, _ in file.bots} == {TOKEN}
    assert TOKEN not in repr(file)


def test_every_fault_is_told_and_no_token(tmp_path: Path) -> None:
    text = (
        '[[user]]\nid = "4711"\nname = "a b"\nrole = "root"\n'
        + 2 * '[[user]]\nid = 5\nname = "bob"\nrole = "viewer"\n'
        + '[[recipe]]\nname = "d e"\ncommand = []\nrole = "viewer"\nshell = true\n'
        + '[[recipe]]\nname = "x"\ncommand = [""]\ntimeout = "0s"\n'
        + '[[recipe]]\nname = "y"\ncommand = ["true"]\ntimeout = "soon"\n'
    )
    with pytest.raises(NotifyFileError) as told:
        load_notify_file(settings(tmp_path, text, "not-a-token"))
    words = str(told.value)
    for part in (
        "user 1 (`a b`), `id`",
        "user 1 (`a b`), `name`: a name has 1 to 64",
        "user 1 (`a b`), `role`",
        "user `5`, `id`: 2 of them",
        "user `bob`, `name`: 2 of them",
        "recipe 1 (`d e`), `name`",
        "recipe 1 (`d e`), `command`",
        "recipe 1 (`d e`), `role`",
        "recipe 1 (`d e`), `shell`: there is no such key",
        "recipe 2 (`x`), `command`: an empty text",
        "recipe 3 (`y`), `timeout`",
        "`TOWPATH_TELEGRAM_TOKEN`: it is no bot token",
    ):
        assert part in words
    assert "not-a-token" not in words


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (USER, "`user`: no bot takes what they write"),
        ('[[recipe]]\nname = "x"\ncommand = ["true"]\n', "`user`: recipes are run by users"),
    ],
)
def test_what_nobody_could_use_is_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(NotifyFileError, match=fault):
        load_notify_file(settings(tmp_path, text, None))
