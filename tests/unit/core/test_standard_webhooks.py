"""Signatures by the Standard Webhooks specification, checked against its own package."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from tasks.core.errors import ConfigurationError, Forged
from tasks.core.standard_webhooks import ID, SIGNATURE, TIMESTAMP, TOLERANCE_SECONDS, sign, verify

NOW = datetime.fromtimestamp(int(datetime.now(UTC).timestamp()), UTC)
SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
BODY = '{"name": "머그컵", "n": 1}'.encode()


def now() -> datetime:
    """The package goes by the clock, and NOW may be long ago when many tests come before these."""
    return datetime.now(UTC)


def signed(secret: str = SECRET, body: bytes = BODY, at: datetime = NOW) -> dict[str, str]:
    """The headers of a message that was sent at that time."""
    seconds = int(at.timestamp())
    return {ID: "evt_1", TIMESTAMP: str(seconds), SIGNATURE: sign(secret, "evt_1", seconds, body)}


def test_the_specifications_package_accepts_what_we_sign() -> None:
    """A receiver that uses the official package finds our signatures right."""
    assert Webhook(SECRET).verify(BODY, signed(at=now())) == {"name": "머그컵", "n": 1}


def test_we_accept_what_the_specifications_package_signs() -> None:
    """What the official package signs is authentic to us."""
    headers = signed() | {SIGNATURE: Webhook(SECRET).sign("evt_1", NOW, BODY.decode())}
    verify(SECRET, headers, BODY, NOW)


def test_a_secret_may_be_any_text() -> None:
    """A secret without the prefix is the key itself, as the package takes it in bytes."""
    headers = signed("correct horse, 배터리", at=now())
    verify("correct horse, 배터리", headers, BODY, now())
    Webhook("correct horse, 배터리".encode()).verify(BODY, headers)


def test_a_secret_may_lack_its_padding() -> None:
    """The package reads such a secret, and so do we."""
    assert Webhook("whsec_YQ").verify(BODY, signed("whsec_YQ", at=now()))


def test_one_right_signature_of_several_is_enough() -> None:
    """While a secret is being replaced, the sender signs with the old one and the new one."""
    headers = signed()
    headers[SIGNATURE] = f"v1a,c29tZXRoaW5n v1,nonsense nonsense ü {headers[SIGNATURE]}"
    verify(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {SIGNATURE: ""},
        {SIGNATURE: "v1,"},
        {SIGNATURE: "v1,AAAA"},
        {ID: "evt_2"},
        {ID: "\udc80", SIGNATURE: "\udc80"},
        {TIMESTAMP: str(int(NOW.timestamp()) + 1)},
        {TIMESTAMP: "0" + str(int(NOW.timestamp()))},
        {TIMESTAMP: str(NOW.timestamp())},
        {TIMESTAMP: "²"},
        {TIMESTAMP: "9" * 5000},
        {TIMESTAMP: ""},
        {TIMESTAMP: "-5"},
    ],
)
def test_anything_that_was_changed_is_forged(change: dict[str, str]) -> None:
    """Another id, another time, no time at all, and what is no signature are refused."""
    with pytest.raises(Forged):
        verify(SECRET, signed() | change, BODY, NOW)


@pytest.mark.parametrize("missing", [ID, TIMESTAMP, SIGNATURE])
def test_a_missing_header_is_forged(missing: str) -> None:
    """A webhook without all three headers says which is missing."""
    headers = signed()
    del headers[missing]
    with pytest.raises(Forged, match=missing):
        verify(SECRET, headers, BODY, NOW)


def test_another_body_or_secret_is_forged() -> None:
    """The signature holds for these bytes and this secret alone."""
    with pytest.raises(Forged):
        verify(SECRET, signed(), BODY + b" ", NOW)
    with pytest.raises(Forged):
        verify("another", signed(), BODY, NOW)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_signature_is_good_for_five_minutes(direction: int) -> None:
    """What was recorded and is played again later is refused, and so is what comes from the future."""
    headers = signed()
    verify(SECRET, headers, BODY, NOW + direction * timedelta(seconds=TOLERANCE_SECONDS))
    with pytest.raises(Forged, match="clock"):
        verify(SECRET, headers, BODY, NOW + direction * timedelta(seconds=TOLERANCE_SECONDS + 1))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "whsec_배터리", "whsec_YWJjZ"])
def test_what_cannot_be_a_secret_is_said(secret: str) -> None:
    """An empty secret, or one that breaks off, is an error of the configuration."""
    with pytest.raises(ConfigurationError):
        signed(secret)
