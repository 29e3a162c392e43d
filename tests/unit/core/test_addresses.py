"""Which addresses are public, which are private, and which are neither."""

from __future__ import annotations

import pytest

from tasks.core.addresses import is_private, is_public

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
PRIVATE = [
    *("127.0.0.1", "127.8.9.10", "10.0.0.7", "172.16.3.4", "192.168.1.1", "::1", "fd12:3456::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1"),
]
NEITHER = [
    *("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "fe80::1", "fe80::1%eth0"),
    *("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"),
]
NOT_PUBLIC = [
    *("100.64.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.9", "2001:db8::1", "fec0::1", "::8.8.8.8"),
    *("2002:0808:0808::1", "2001:0:808:808::1", "64:ff9b:1::8.8.8.8"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """Machines of the public internet, also behind an IPv6 address that stands for an IPv4 address."""
    assert is_public(address)
    assert not is_private(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    """This machine and private networks, whichever way they are written."""
    assert is_private(address)
    assert not is_public(address)


@pytest.mark.parametrize("address", NEITHER)
def test_addresses_that_nobody_may_name(address: str) -> None:
    """A cloud's metadata, everybody, nobody: not even with private addresses allowed."""
    assert not is_public(address)
    assert not is_private(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_special_ranges_are_not_public(address: str) -> None:
    """Carriers' own ranges, documentation, benchmarks, and tunnels that can carry anything."""
    assert not is_public(address)
