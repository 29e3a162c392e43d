"""Where a queue's pictures may be."""

from __future__ import annotations

import pytest

from tasks.providers.delivered import is_declared

HOSTS = ("fal.media", "replicate.delivery")


@pytest.mark.parametrize(
    ("url", "declared"),
    [
        ("https://fal.media/files/a.png", True),
        ("https://v3b.fal.media/files/a.png?x=1", True),
        ("HTTPS://V3.FAL.MEDIA:443/a", True),
        ("https://replicate.delivery/xezq/a.jpg", True),
        ("data:image/png;base64,AAAA", True),
        ("https://evilfal.media/a", False),
        ("https://fal.media.evil.example/a", False),
        ("https://evil.example/fal.media", False),
        ("https://fal.media@evil.example/a", False),
        ("https://evil.example#.fal.media", False),
        ("https://evil.example\\\\.fal.media/a", False),
        ("https://fal.media./a", False),
        ("http://fal.media/a", False),
        ("https://me@fal.media/a", False),
        ("https://127.0.0.1/a", False),
        ("https://[/a", False),
        ("/files/a.png", False),
        ("", False),
    ],
)
def test_only_the_makers_hosts_are_declared(url: str, *, declared: bool) -> None:
    """The host decides, however the URL is dressed up."""
    assert is_declared(url, HOSTS, allow_private=False) is declared


@pytest.mark.parametrize(
    ("host", "declared"),
    [("127.0.0.1:9", True), ("[::1]", True), ("10.0.0.7", True), ("169.254.169.254", False), ("8.8.8.8", False)],
)
def test_servers_of_ones_own_are_written_in_digits(host: str, *, declared: bool) -> None:
    """Where private URLs are allowed: this machine and private networks, but no cloud's metadata, and no name."""
    assert is_declared(f"http://{host}/a", HOSTS, allow_private=True) is declared
    assert not is_declared("http://intranet/a", HOSTS, allow_private=True)
