"""Signatures of webhooks by the Standard Webhooks specification: what we send carries one, and what Replicate sends.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, read in November 2026:
HMAC-SHA256 over ``id.timestamp.body``, as ``v1,<base64>``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from tasks.core.errors import ConfigurationError, Forged

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
"""The three headers, in lower case."""

TOLERANCE_SECONDS = 300
"""How far a signature's time may be from now: what is older has been recorded and is played again."""

_PREFIX = "whsec_"


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature header of one message.

    ``secret`` is ``whsec_<base64>``, or any other text, whose UTF-8 bytes are then the key. ``message_id`` holds no
    full stop and stays the same when the message is sent again; ``timestamp`` is the time of this sending in Unix
    seconds, as in its header. Raises ConfigurationError for a secret that cannot be one.
    """
    signed = b".".join((message_id.encode(errors="replace"), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """See that whoever sent ``body`` knows the secret, and did so just now.

    ``headers`` have lower-case names; any one of several signatures, separated by spaces, is enough. Raises Forged,
    and ConfigurationError for a secret that cannot be one.
    """
    try:
        message_id, timestamp, signatures = headers[ID], headers[TIMESTAMP], headers[SIGNATURE]
    except KeyError as error:
        raise Forged(f"the webhook has no header {error.args[0]}") from error
    require_recent(timestamp, now)
    expected = sign(secret, message_id, int(timestamp), body).encode()
    if not any(hmac.compare_digest(expected, given.encode(errors="replace")) for given in signatures.split()):
        raise Forged("the webhook's signature is wrong")


def require_recent(timestamp: str, now: datetime) -> None:
    """See that a header's Unix seconds are within the tolerance of ``now`` (with its time zone). Raises Forged."""
    plain = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    if not plain or timestamp != str(int(timestamp)):
        raise Forged("the webhook's timestamp is no number of seconds")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise Forged(f"the webhook was signed more than {TOLERANCE_SECONDS} s ago or ahead: check this machine's clock")


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        key = secret.encode()
    else:
        encoded = secret.removeprefix(_PREFIX)
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError as error:
            raise ConfigurationError(
                "a webhook secret begins with whsec_ and goes on in no base64; copy it again, on one line"
            ) from error
    if not key:
        raise ConfigurationError("a webhook secret is empty behind whsec_; copy it again")
    return key
