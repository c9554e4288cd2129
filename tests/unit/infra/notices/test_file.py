"""The file of channels and rules: every fault is told with its table and key, and no secret is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.notices.apprise_service import AppriseUrl
from adapters.notices.telegram import TelegramChat
from domain.notices.rules import Rule, Trigger
from infra.config.settings import load_settings
from infra.notices.example import example, telegram_example
from infra.notices.file import NotifyFile, NotifyFileError, load_notify_file

TOKEN = "4711:AAtest-token_of-the-fake-bot-api-0123456789"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CHANNEL = (
    f'[[channel]]\nname = "ops"\nkind = "webhook"\nurl = "https://hooks.example/T0"\nsecret = "{SECRET}"\n'
)
RULE = '[[rule]]\nchannel = "ops"\nevents = ["failed"]\n'


def read(tmp_path: Path, text: str, mode: int = 0o600, **changes: object) -> NotifyFile:
    path = tmp_path / "notify.toml"
    path.write_text(text)
    path.chmod(mode)
    return load_notify_file(load_settings(notify=path).model_copy(update=changes))


def private(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def faults(tmp_path: Path, text: str, **options: object) -> list[str]:
    with pytest.raises(NotifyFileError) as caught:
        read(tmp_path, text, **options)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)
    assert TOKEN.partition(":")[2] not in str(caught.value)
    assert "hooks.example/T0" not in str(caught.value)
    return str(caught.value).replace(f"{tmp_path / 'notify.toml'}: ", "").splitlines()


def test_what_it_holds(tmp_path: Path) -> None:
    more = 'digest = "30s"\nquiet = "22:00-07:00 Europe/Berlin"\nallow = ["10.0.0.0/8"]\n'
    filters = 'workspace = "shop"\npool = "gpu"\nlabel = "team=web"\ntitle = "deploy*"\n'
    found = read(tmp_path, CHANNEL + more + RULE + filters)
    channel = found.channels["ops"]
    assert channel.timing.digest == timedelta(seconds=30)
    assert channel.timing.quiet is not None
    assert channel.receiver.url == "https://hooks.example/T0"
    assert len(channel.receiver.keys) == 1
    assert list(found.rules) == [Rule("ops", (Trigger("failed"),), "shop", "gpu", ("team", "web"), "deploy*")]
    assert SECRET not in repr(found)


def test_the_example_is_valid_and_its_secret_new(tmp_path: Path) -> None:
    assert list(read(tmp_path, example()).channels) == ["ops"]
    assert example() != example()


def test_every_comment_of_the_example_is_valid_too(tmp_path: Path) -> None:
    text = "\n".join(
        line.removeprefix("# ") if (" = " in line or "[[" in line) and line.startswith("# ") else line
        for line in example().splitlines()
    )
    token = private(tmp_path / "token", TOKEN)
    channels = read(tmp_path, text.replace("/etc/towpath/bot-token", str(token))).channels
    assert channels["ops"].timing.digest == timedelta(seconds=30)
    assert channels["phone"].receiver == TelegramChat(TOKEN, 123456789, 7)


def test_secrets_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    without = CHANNEL.replace(f'secret = "{SECRET}"\n', "")
    file = private(tmp_path / "secret", SECRET)
    keys = read(tmp_path, f'{without}secret_file = "{file}"\n{RULE}').channels["ops"].receiver.keys
    given = {"webhook_secret": SecretStr(SECRET)}
    assert read(tmp_path, without + RULE, **given).channels["ops"].receiver.keys == keys
    file.chmod(0o640)
    assert faults(tmp_path, f'{without}secret_file = "{file}"\n{RULE}') == [
        f"channel 1 (`ops`), `secret_file`: others may use {file} (mode 0640): run `chmod 600` on it"
    ]
    assert faults(tmp_path, without + RULE) == [
        "channel 1 (`ops`), `secret`: give `secret` or `secret_file`, or set TOWPATH_WEBHOOK_SECRET"
    ]
    both = f'{CHANNEL}secret_file = "{file}"\n{RULE}'
    assert faults(tmp_path, both) == [
        "channel 1 (`ops`), `secret_file`: `secret` is there, too: keep one of them"
    ]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = (
        CHANNEL.replace("https://", "http://")
        + 'digest = "soon"\nquiet = "at night"\n'
        + CHANNEL.replace(SECRET, "hunter2")
        + '[[channel]]\nname = "phone"\nkind = "telegram"\nchat_id = 0\nthread_id = 0\n'
        + '[[channel]]\nname = "mail"\nkind = "apprise"\nurl = "nosuch://hunter2@host"\n'
        + '[[channel]]\nname = "chat"\nkind = "slack"\n'
        + '[[channel]]\nname = "no name"\nkind = "webhook"\nulr = "x"\n'
        + '[[rule]]\nchannel = "opps"\nevents = ["fail", "runs-over"]\nworkspce = "x"\n'
        + '[[rule]]\nchannel = "opps"\nevents = ["fail", "runs-over"]\nlabel = "team"\n'
        + '[[rule]]\nchannel = "ops"\nevents = ["failed", "recovered"]\n'
        + '[[rule]]\nchannel = "phone"\nevents = []\n'
        + "[[reader]]\nid = 5\n"
    )
    found = faults(tmp_path, text)
    starts = [
        "the file, `reader`: there is no such table",
        "channel 1 (`ops`), `url`: http can be read on its way",
        "channel 1 (`ops`), `digest`: 'soon' is no duration",
        "channel 1 (`ops`), `quiet`: 'at night' is no time of quiet",
        "channel 2 (`ops`), `secret`: a secret is `whsec_`",
        "channel 3 (`phone`), `thread_id`: ",
        "channel 4 (`mail`), `url`: Apprise cannot use what follows nosuch://",
        "channel 5 (`chat`), `kind`: there is no such kind: `apprise`, `telegram` and `webhook` are there",
        "channel 6 (`no name`), `name`: give 1 to 64 of the characters",
        "channel 6 (`no name`), `url`: it is missing",
        "channel 6 (`no name`), `ulr`: there is no such key (did you mean url?)",
        "rule 1 (`opps`), `workspce`: there is no such key (did you mean workspace?)",
        "rule 2 (`opps`), `channel`: there is no such channel (did you mean ops?)",
        "rule 2 (`opps`), `events`: 'fail' is no event and no condition",
        "rule 2 (`opps`), `events`: `runs-over` needs a duration",
        "rule 2 (`opps`), `label`: write it as name=value",
        "rule 3 (`ops`), `events`: `recovered` tells the end of what the same rule names",
        "rule 4 (`phone`), `events`: it is empty",
    ]
    assert [fault[: len(start)] for fault, start in zip(found, starts, strict=True)] == starts
    assert "hunter2" not in "\n".join(found)


def test_a_service_of_apprise(tmp_path: Path) -> None:
    head = '[[channel]]\nname = "ops"\nkind = "apprise"\n'
    file = tmp_path / "mail-url"
    file.write_text("json://127.0.0.1:9/x\n")
    file.chmod(0o600)
    for more in ('url = "json://127.0.0.1:9/x"\n', f'url_file = "{file}"\n'):
        receiver = read(tmp_path, head + more + RULE).channels["ops"].receiver
        assert receiver == AppriseUrl("json://127.0.0.1:9/x")
        assert "127.0.0.1" not in repr(receiver)
    assert faults(tmp_path, head + RULE) == ["channel 1 (`ops`), `url`: give `url` or `url_file`"]


def test_a_chat_of_telegram(tmp_path: Path) -> None:
    text = f'[[channel]]\nname = "ops"\nkind = "telegram"\nchat_id = -100200300\ntoken = "{TOKEN}"\n'
    found = read(tmp_path, text + 'digest = "30s"\n' + RULE, telegram_api="http://127.0.0.1:8081")
    assert found.channels["ops"].receiver == TelegramChat(TOKEN, -100200300, None, "http://127.0.0.1:8081")
    assert TOKEN not in repr(found)
    without = text.replace(f'token = "{TOKEN}"\n', "")
    file = private(tmp_path / "token", TOKEN)
    of_environment = {"telegram_token": SecretStr(TOKEN)}
    for more, given in ((f'token_file = "{file}"\n', {}), ("", of_environment)):
        channel = read(tmp_path, without + more + RULE, **given).channels["ops"]
        assert channel.receiver == TelegramChat(TOKEN, -100200300)
    made = read(tmp_path, telegram_example(f'token = "{TOKEN}"', "@ops_room", 7))
    assert made.channels["ops"].receiver == TelegramChat(TOKEN, "@ops_room", 7)
    file.chmod(0o644)
    where = "channel 1 (`ops`), "
    for wrong, says in (
        (without, "`token`: give `token` or `token_file`, or set TOWPATH_TELEGRAM_TOKEN"),
        (text + 'token_file = "x"\n', "`token_file`: `token` is there, too: keep one of them"),
        (text.replace(TOKEN, f"bot{TOKEN}"), "`token`: it is no bot token: BotFather gives one such as"),
        (without + f'token_file = "{file}"\n', f"`token_file`: others may use {file} (mode 0644)"),
        (text.replace("-100200300", '"-100200300"'), "`chat_id`: write it as a number, without quotes"),
        (text.replace("-100200300", '"ops"'), "`chat_id`: write the chat's number, or"),
        (text + 'url = "x"\n', "`url`: there is no such key"),
        (text.replace('"telegram"', '"telegramm"'), "`kind`: there is no such kind (did you mean telegram?)"),
        (
            text.replace('kind = "telegram"\n', ""),
            "`kind`: it is missing: `apprise`, `telegram` and `webhook` are there",
        ),
    ):
        assert [one[: len(where + says)] for one in faults(tmp_path, wrong + RULE)] == [where + says]
    assert faults(tmp_path, text.replace("-100200300", "true") + RULE)[0].startswith(where + "`chat_id`: ")


def test_names_are_unique(tmp_path: Path) -> None:
    assert faults(tmp_path, CHANNEL + CHANNEL + RULE) == ["channel `ops`, `name`: 2 channels have this name"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["the file, `channel`: there is none: write at least one [[channel]]",
              "the file, `rule`: there is none: write at least one [[rule]]"]),
        (f'channel = "ops"\n{RULE}', ["the file, `channel`: write each one below a line [[channel]]",
                                      "rule 1 (`ops`), `channel`: there is no such channel"]),
        ("[[channel", None),
    ],
)  # fmt: skip
def test_what_is_no_file_of_channels(tmp_path: Path, text: str, says: list[str] | None) -> None:
    found = faults(tmp_path, text)
    assert found == says if says is not None else found[0].startswith("it is no TOML")


def test_its_mode_is_private(tmp_path: Path) -> None:
    assert faults(tmp_path, CHANNEL + RULE, mode=0o644)[0].endswith("run `chmod 600` on it")


def test_without_a_file_it_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotifyFileError, match="notifier init"):
        load_notify_file(load_settings(data_dir=tmp_path))
    with pytest.raises(NotifyFileError, match="TOWPATH_NOTIFY"):
        load_notify_file(load_settings(notify=tmp_path / "none"))


def test_its_state_is_kept_apart(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert settings.notices_url.database == str(tmp_path / "notices.db")
    at = {"database_url": f"sqlite:///{tmp_path / 'x.db'}"}
    assert load_settings(data_dir=tmp_path, **at).notices_url.database == str(tmp_path / "notices.db")
    postgres = load_settings(database_url="postgresql://ann@db/towpath")
    assert postgres.notices_url == postgres.read_model_url


def test_an_empty_secret_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_WEBHOOK_SECRET", "")
    with pytest.raises(ValueError, match="TOWPATH_WEBHOOK_SECRET: it is empty"):
        load_settings()
