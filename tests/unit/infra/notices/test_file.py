"""The file of channels and rules: every fault is told with its table and key, and no secret is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.notices.rules import Rule, Trigger
from infra.config.settings import load_settings
from infra.notices.file import NotifyFile, NotifyFileError, example, load_notify_file

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


def faults(tmp_path: Path, text: str, **options: object) -> list[str]:
    with pytest.raises(NotifyFileError) as caught:
        read(tmp_path, text, **options)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)
    assert "hooks.example/T0" not in str(caught.value)
    return str(caught.value).replace(f"{tmp_path / 'notify.toml'}: ", "").splitlines()


def test_what_it_holds(tmp_path: Path) -> None:
    more = 'digest = "30s"\nquiet = "22:00-07:00 Europe/Berlin"\nallow = ["10.0.0.0/8"]\n'
    filters = 'workspace = "shop"\npool = "gpu"\nlabel = "team=web"\ntitle = "deploy*"\n'
    found = read(tmp_path, CHANNEL + more + RULE + filters)
    channel = found.channels["ops"]
    assert channel.timing.digest == timedelta(seconds=30)
    assert channel.timing.quiet is not None
    assert channel.webhook.url == "https://hooks.example/T0"
    assert len(channel.webhook.keys) == 1
    assert list(found.rules) == [Rule("ops", (Trigger("failed"),), "shop", "gpu", ("team", "web"), "deploy*")]
    assert SECRET not in repr(found)


def test_the_example_is_valid_and_its_secret_new(tmp_path: Path) -> None:
    assert list(read(tmp_path, example()).channels) == ["ops"]
    assert example() != example()


def test_every_comment_of_the_example_is_valid_too(tmp_path: Path) -> None:
    text = "\n".join(
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in example().splitlines()
    )
    assert read(tmp_path, text).channels["ops"].timing.digest == timedelta(seconds=30)


def test_secrets_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    without = CHANNEL.replace(f'secret = "{SECRET}"\n', "")
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    keys = read(tmp_path, f'{without}secret_file = "{file}"\n{RULE}').channels["ops"].webhook.keys
    given = {"webhook_secret": SecretStr(SECRET)}
    assert read(tmp_path, without + RULE, **given).channels["ops"].webhook.keys == keys
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
        + '[[channel]]\nname = "phone"\nkind = "telegram"\nchat_id = 5\n'
        + '[[channel]]\nname = "mail"\nkind = "apprise"\n'
        + '[[channel]]\nname = "no name"\nkind = "webhook"\nulr = "x"\n'
        + '[[rule]]\nchannel = "opps"\nevents = ["fail", "runs-over"]\nworkspce = "x"\n'
        + '[[rule]]\nchannel = "opps"\nevents = ["fail", "runs-over"]\nlabel = "team"\n'
        + '[[rule]]\nchannel = "ops"\nevents = ["failed", "recovered"]\n'
        + '[[rule]]\nchannel = "phone"\nevents = []\n'
        + "[[user]]\nid = 5\n"
    )
    found = faults(tmp_path, text)
    starts = [
        "the file, `user`: there is no such table",
        "channel 1 (`ops`), `url`: http can be read on its way",
        "channel 1 (`ops`), `digest`: 'soon' is no duration",
        "channel 1 (`ops`), `quiet`: 'at night' is no time of quiet",
        "channel 2 (`ops`), `secret`: a secret is `whsec_`",
        "channel 3 (`phone`), `kind`: `telegram` is not available in this version; `webhook` is",
        "channel 4 (`mail`), `kind`: `apprise` is not available in this version; `webhook` is",
        "channel 5 (`no name`), `name`: give 1 to 64 of the characters",
        "channel 5 (`no name`), `url`: it is missing",
        "channel 5 (`no name`), `ulr`: there is no such key (did you mean url?)",
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
