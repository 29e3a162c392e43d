"""Signatures of fal's webhooks: Ed25519, by any of the keys that fal publishes.

https://fal.ai/docs/documentation/model-apis/inference/webhooks, read in November 2026: the signed message is the
request's id, the user's, the time in Unix seconds and the SHA-256 of the body in hex, one a line; the keys may be kept
for a day.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.core.errors import ConfigurationError, Forged, Overloaded
from tasks.core.standard_webhooks import require_recent
from tasks.http_calls import HttpCaller
from tasks.providers.delivered import json_object

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

JWKS_URL = "https://rest.fal.ai/.well-known/jwks.json"

_KEPT = timedelta(hours=24)
_ASKED_AGAIN = timedelta(minutes=1)
_SECONDS = 5.0
_PREFIX = "x-fal-webhook-"


class FalKeys:
    """fal's public keys, fetched when first needed, after a day, and when none fits, then at most once a minute."""

    def __init__(self, jwks_url: str) -> None:
        self._url = jwks_url
        self._http = HttpCaller("fal", "the address of its keys", total_seconds=_SECONDS)
        self._lock = threading.Lock()
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """See that fal has signed the body just now. ``headers`` have lower-case names.

        Raises Forged; ConfigurationError without the extra ``fal``; NotSent or Overloaded when there are no keys.
        """
        signature, message = _signed(headers, body, now)
        if _any_fits(self._current(now), signature, message):
            return
        if not _any_fits(self._renewed(now), signature, message):
            raise Forged("the webhook's signature is by none of fal's keys")

    def _current(self, now: datetime) -> tuple[Ed25519PublicKey, ...]:
        """Keys that are younger than a day. Raises NotSent or Overloaded."""
        with self._lock:
            if self._fetched_at is None or now - self._fetched_at > _KEPT:
                if self._asked_lately(now):
                    raise Overloaded("fal's keys could not be fetched a moment ago")
                self._fetch(now)
            return self._keys

    def _renewed(self, now: datetime) -> tuple[Ed25519PublicKey, ...]:
        """The keys, fetched anew if that may be: fal may have changed them. Raises NotSent or Overloaded."""
        with self._lock:
            if not self._asked_lately(now):
                self._fetch(now)
            return self._keys

    def _asked_lately(self, now: datetime) -> bool:
        return self._asked_at is not None and now - self._asked_at < _ASKED_AGAIN

    def _fetch(self, now: datetime) -> None:
        self._asked_at = now
        answer = self._http.call("GET", self._url)
        listed = (json_object(answer.body) or {}).get("keys")
        keys = tuple(_public_keys(listed if isinstance(listed, list) else []))
        if answer.status != 200 or not keys:
            raise Overloaded(f"fal's keys cannot be read: {self._url} answered {answer.status}")
        self._keys, self._fetched_at = keys, now


def _signed(headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[bytes, bytes]:
    """The signature, and what it must be of. Raises Forged."""
    try:
        parts = [headers[_PREFIX + name] for name in ("request-id", "user-id", "timestamp")]
        signature = bytes.fromhex(headers[_PREFIX + "signature"])
    except KeyError as error:
        raise Forged(f"the webhook has no header {error.args[0]}") from error
    except ValueError as error:
        raise Forged("the webhook's signature is no hexadecimal number") from error
    require_recent(parts[2], now)
    return signature, "\n".join([*parts, hashlib.sha256(body).hexdigest()]).encode(errors="replace")


def _any_fits(keys: Iterable[Ed25519PublicKey], signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    for key in keys:
        with suppress(InvalidSignature):
            key.verify(signature, message)
            return True
    return False


def _public_keys(listed: list[Any]) -> Iterable[Ed25519PublicKey]:
    """The Ed25519 keys of a JWKS; what is none is left out. Raises ConfigurationError without the extra ``fal``."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise ConfigurationError("fal's webhooks need a package; pip install 'imagechord[fal]'") from error
    for one in listed:
        text = one.get("x") if isinstance(one, dict) and one.get("crv") == "Ed25519" else None
        with suppress(ValueError):
            if isinstance(text, str):
                yield Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
