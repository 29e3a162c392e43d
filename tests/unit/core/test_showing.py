"""Pictures that a chat may fetch: public ones, and nothing that could hold a secret."""

from __future__ import annotations

import pytest

from tasks.core.showing import Shown, is_showable, showable, spread


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/products/SKU-1-abc.png",
        "https://cdn.example.com/%EC%BB%B5.JPEG",
        "https://8.8.8.8/a.gif",
        "https://[2606:4700::1111]/a.jpg",
    ],
)
def test_a_public_picture_is_shown(url: str) -> None:
    """Over TLS, on the public internet, of a type that Slack takes."""
    assert is_showable(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///srv/output/a.png",
        "http://cdn.example.com/a.png",
        "https://cdn.example.com/a.webp",  # Slack cannot download it
        "https://bucket.s3.amazonaws.com/a.png?X-Amz-Signature=secret",
        "https://user:password@cdn.example.com/a.png",
        "https://cdn.example.com/a.png#b.png",
        "https://cdn.example.com/a|b.png",
        "https://cdn.example.com/a\nb.png",
        f"https://cdn.example.com/{'a' * 3000}.png",
        "https://localhost/a.png",
        "https://minio:9000/a.png",
        "https://shop.internal/a.png",
        "https://shop.local./a.png",
        "https://10.0.0.7/a.png",
        "https://169.254.169.254/a.png",
        "https://[::1]/a.png",
        "https://[broken/a.png",
    ],
)
def test_what_is_private_or_may_hold_a_secret_is_not(url: str) -> None:
    """A presigned URL above all: whoever reads it has the file."""
    assert not is_showable(url)


def test_a_shared_picture_is_shown_once() -> None:
    """With the first of its rows; what cannot be shown is left out."""
    one, two = "https://cdn.example.com/1.png", "https://cdn.example.com/2.png"
    found = showable([Shown("A", one), Shown("B", "file:///b.png"), Shown("C", one), Shown("D", two)])
    assert found == [Shown("A", one), Shown("D", two)]


@pytest.mark.parametrize(
    ("count", "chosen"),
    [(0, []), (1, [0]), (6, [0, 1, 2, 3, 4, 5]), (7, [0, 1, 2, 3, 4, 6]), (1001, range(0, 1001, 200))],
)
def test_a_few_are_spread_over_all(count: int, chosen: list[int]) -> None:
    """The first, the last, and equal steps between them."""
    assert spread(range(count), 6) == list(chosen)
