"""Which network addresses a URL from outside may lead to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4: long out of use, and each can carry any IPv4 address."""
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet: of one machine there, not of this house or machine.

    An IPv6 address that stands for an IPv4 address is judged as that one. Raises ValueError for no address.
    """
    address = _meant(text)
    if isinstance(address, IPv6Address) and (
        address not in _GLOBAL_UNICAST or any(address in tunnel for tunnel in _TUNNELS)
    ):
        return False
    return address.is_global and not address.is_multicast


def is_private(text: str) -> bool:
    """Whether it is an address of this machine or of a private network, such as a model server's of one's own.

    Link-local addresses are neither public nor private: clouds hand out credentials there. Raises ValueError.
    """
    address = _meant(text)
    if address.is_unspecified or address.is_link_local or address.is_multicast:
        return False
    if isinstance(address, IPv4Address) and address.is_reserved:
        return False
    return address.is_loopback or address.is_private


def _meant(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address
