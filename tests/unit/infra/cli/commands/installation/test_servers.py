"""Addresses that servers listen on."""

from __future__ import annotations

import pytest
import typer

from infra.cli.commands.installation import servers


@pytest.mark.parametrize("text", ["::1:9000", "9000", ":9000", "[::1]:", "localhost:x"])
def test_an_address_is_unambiguous(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="HOST:PORT"):
        servers._address(text)
    assert servers._address("[::1]:9000") == ("::1", 9000)
