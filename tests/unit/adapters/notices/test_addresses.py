"""Where webhooks may go: only public addresses, unless the channel allows others by name."""

from __future__ import annotations

import pytest

from adapters.notices.addresses import Allowed, NotAllowed, checked_address

PUBLIC = "93.184.215.14"
INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
    "2002:a00:1::1",
]  # fmt: skip


async def check(allowed: Allowed, *addresses: str, host: str = "hooks.example") -> str:
    async def look_up(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return await checked_address(host, 443, allowed, look_up)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
async def test_public_ones_are_connected_to(address: str) -> None:
    assert await check(Allowed(), address) == address


@pytest.mark.parametrize("address", INSIDE)
async def test_others_are_refused(address: str) -> None:
    with pytest.raises(NotAllowed, match="allow"):
        await check(Allowed(), address)


@pytest.mark.parametrize("address", INSIDE)
async def test_one_of_them_is_enough(address: str) -> None:
    with pytest.raises(NotAllowed):
        await check(Allowed(), PUBLIC, address)


async def test_what_is_allowed_by_name() -> None:
    assert await check(Allowed.parse(["hooks.example."]), "10.0.0.1", host="Hooks.Example") == "10.0.0.1"
    assert await check(Allowed.parse(["10.0.0.0/8"]), "10.0.0.1") == "10.0.0.1"
    assert await check(Allowed.parse(["10.0.0.0/8"]), "::ffff:10.0.0.1") == "::ffff:10.0.0.1"
    assert await check(Allowed.parse(["::1"]), "::1") == "::1"
    for entry in ("10.1.0.0/16", "other.example", "127.0.0.1"):
        with pytest.raises(NotAllowed):
            await check(Allowed.parse([entry]), "10.0.0.1")


async def test_no_address_is_no_connection() -> None:
    with pytest.raises(OSError, match="no address"):
        await check(Allowed())


@pytest.mark.parametrize("entry", ["", "10.0.0.1/33", "10.0.0", "http://x", " x"])
def test_what_is_no_entry(entry: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        Allowed.parse([entry])
