"""What is shown of JSON that may hold secrets."""

from __future__ import annotations

from domain.context.redaction import without_secrets


def test_env_tokens_and_passwords_are_hidden_at_any_depth_and_nothing_else() -> None:
    given = {
        "task_id": "t",
        "env": {"PATH": "/bin", "API": ["a", {"b": 1}], "NONE": None},
        "status_callback_token": "1.2.ab",
        "secrets": {"KEY": "k"},
        "secret_names": ["PATH"],
        "workspace": {"lock_token": 7, "root": "/srv"},
        "headers": [{"X-Runner-Token": "s"}, {"Authorization": "Bearer x"}],
        "db": {"Password": "p", "user": "u"},
    }
    assert without_secrets(given) == {
        "task_id": "t",
        "env": {"PATH": "***", "API": ["***", {"b": "***"}], "NONE": None},
        "status_callback_token": "***",
        "secrets": {"KEY": "***"},
        "secret_names": ["PATH"],
        "workspace": {"lock_token": 7, "root": "/srv"},
        "headers": [{"X-Runner-Token": "***"}, {"Authorization": "***"}],
        "db": {"Password": "***", "user": "u"},
    }
    assert without_secrets([1, "x", None]) == [1, "x", None]
