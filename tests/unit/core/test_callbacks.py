"""The signed addresses that providers call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.core.callbacks import Callback, callback_url, read, require_usable, sign
from tasks.core.errors import ConfigurationError, Forged

SECRET = "a-secret-of-the-shop"
NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
EXPIRES = NOW + timedelta(hours=3)
TOKEN = sign(SECRET, "fal", 42, 7, EXPIRES)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1), st.text(max_size=60))
def test_what_was_signed_is_read(image_id: int, fence: int, provider: str) -> None:
    """A token names the very call that it was made for, whatever the provider is called."""
    token = sign(SECRET, provider, image_id, fence, EXPIRES)
    assert read(SECRET, provider, token, NOW) == Callback(image_id, fence)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
@example(0, "٤")  # a digit to Python, and not to us
def test_a_token_with_one_letter_changed_is_forged(place: int, letter: str) -> None:
    """No letter of a token can be another one, not even one that would mean the same."""
    tampered = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if tampered != TOKEN:
        with pytest.raises(Forged):
            read(SECRET, "fal", tampered, NOW)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "42",
        f"0{TOKEN}",  # the same number, spelled otherwise
        f"{TOKEN}=",
        f"{TOKEN}\n",
        TOKEN.rpartition(".")[0],
        f"{'9' * 5000}.1.1.{'A' * 43}",
        sign("another-secret", "fal", 42, 7, EXPIRES),
        sign(SECRET, "replicate", 42, 7, EXPIRES),
        sign(SECRET, "42.7", 42, 7, EXPIRES),
    ],
)
def test_what_is_no_token_of_ours_is_forged(token: str) -> None:
    """Nothing but what we have signed for that provider is believed."""
    with pytest.raises(Forged):
        read(SECRET, "fal", token, NOW)


@given(st.text(max_size=200))
def test_any_text_is_forged_or_a_token(text: str) -> None:
    """Whatever a stranger sends ends as Forged and as nothing else."""
    with pytest.raises(Forged):
        read(SECRET, "fal", text, NOW)


def test_a_token_ends_with_its_time() -> None:
    """It is good until the second that it names, and not in that second any more."""
    whole = EXPIRES.replace(microsecond=0)
    assert read(SECRET, "fal", TOKEN, whole - timedelta(microseconds=1)) == Callback(42, 7)
    with pytest.raises(Forged, match="expired"):
        read(SECRET, "fal", TOKEN, whole)


def test_nothing_is_signed_or_read_without_a_secret() -> None:
    """An empty secret is a mistake where we sign, and opens nothing where we read."""
    with pytest.raises(ValueError, match="empty secret"):
        sign("", "fal", 42, 7, EXPIRES)
    with pytest.raises(Forged):
        read("", "fal", TOKEN, NOW)


@pytest.mark.parametrize("base", ["https://shop.example/hooks", "https://shop.example/hooks/"])
def test_the_address_goes_on_after_the_base(base: str) -> None:
    """A base with a path of its own, and a provider of the user's own, make one well-formed address."""
    assert callback_url(base, "shop.maker:Maker", "t") == "https://shop.example/hooks/webhooks/shop.maker:Maker/t"
    assert callback_url(base, "a/b", "t") == "https://shop.example/hooks/webhooks/a%2Fb/t"


@pytest.mark.parametrize("base", ["https://shop.example", "http://127.0.0.1:8000/", "https://shop.example:8443/a/b"])
def test_an_address_with_a_secret_is_usable(base: str) -> None:
    """Any web address will do; at home without https."""
    require_usable(base, SECRET)


@pytest.mark.parametrize(
    "base", ["shop.example", "ftp://shop.example", "https://", "https://[::1", "https://a.example/?x=1", "https://a/#b"]
)
def test_a_base_that_leads_nowhere_is_said(base: str) -> None:
    """What no provider could call, or what a path cannot be put after."""
    with pytest.raises(ConfigurationError, match=r"WEBHOOK_BASE_URL=.* is no address; write it like https:"):
        require_usable(base, SECRET)


@pytest.mark.parametrize("secret", [None, "fifteen letters"])
def test_a_secret_that_is_missing_or_guessable_is_said(secret: str | None) -> None:
    """The sentence has the command that makes a good one, and not the one that is set."""
    with pytest.raises(ConfigurationError, match="openssl rand -hex 32") as raised:
        require_usable("https://shop.example", secret)
    assert "fifteen" not in str(raised.value)
