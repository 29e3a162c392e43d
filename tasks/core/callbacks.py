"""The addresses that providers call when a job has ended: each names one call of one image, and is signed.

Not every provider signs what it sends, so the path itself carries a token that only we can make::

    {WEBHOOK_BASE_URL}/webhooks/{provider}/{image_id}.{fence}.{expires}.{signature}

It is HMAC-SHA256 over all that it names, the provider too: a token that was given to one is worth nothing at
another. Whoever has seen one can use it again until it expires; the ledger then knows the call already.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from tasks.core.errors import ConfigurationError, Forged

_TOKEN = re.compile(r"([0-9]{1,19})\.([0-9]{1,10})\.([0-9]{1,12})\.[A-Za-z0-9_-]{43}")
_SIGNED_AS = "imagechord callback"
"""Apart from all else that is signed with the same secret."""

_SHORTEST_SECRET = 16
"""Every provider sees what is signed with it, and can try guesses for as long as it likes."""


@dataclass(frozen=True, slots=True)
class Callback:
    """The call that a webhook is about: an image, and the fence of the claim that paid for it."""

    image_id: int
    fence: int


def require_usable(base_url: str, secret: str | None) -> None:
    """See that WEBHOOK_BASE_URL and WEBHOOK_SECRET make addresses that lead to us. Raises ConfigurationError."""
    try:
        parts = urlsplit(base_url)
        leads_here = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
    except ValueError:
        leads_here = False
    if not leads_here:
        raise ConfigurationError(f"WEBHOOK_BASE_URL={base_url!r} is no address; write it like https://shop.example")
    if secret is None or len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"WEBHOOK_BASE_URL is set, so WEBHOOK_SECRET has to be, to {_SHORTEST_SECRET} characters or more: "
            "set it to what 'openssl rand -hex 32' says, or unset WEBHOOK_BASE_URL and providers are asked instead"
        )


def callback_url(base_url: str, provider: str, token: str) -> str:
    """The address to give to a provider; ``base_url`` is WEBHOOK_BASE_URL, with or without a slash at its end."""
    return f"{base_url.rstrip('/')}/webhooks/{quote(provider, safe=':')}/{token}"


def sign(secret: str, provider: str, image_id: int, fence: int, expires_at: datetime) -> str:
    """The token of one call, good until ``expires_at`` (aware, counted in whole seconds).

    Raises ValueError for an empty secret: anybody could sign with that.
    """
    if not secret:
        raise ValueError("a token cannot be signed with an empty secret")
    return _signed(secret, provider, image_id, fence, int(expires_at.timestamp()))


def read(secret: str, provider: str, token: str, now: datetime) -> Callback:
    """What a token is about. ``now`` is aware.

    Raises Forged for one that is not ours, belongs to another provider, has been tampered with, or is too old. The
    time that it takes does not tell how much of a wrong signature was right.
    """
    parts = _TOKEN.fullmatch(token)
    if parts is None or not secret:
        raise Forged("not a token of ours")
    image_id, fence, expires = map(int, parts.groups())
    # The whole of it is made again and compared, so that nothing has two spellings.
    if not hmac.compare_digest(_signed(secret, provider, image_id, fence, expires), token):
        raise Forged("the token's signature is wrong")
    if now.timestamp() >= expires:
        raise Forged("the token has expired")
    return Callback(image_id, fence)


def _signed(secret: str, provider: str, image_id: int, fence: int, expires: int) -> str:
    named = f"{image_id}.{fence}.{expires}"
    # Numbers first: the provider's name is the one part that could hold anything.
    said = f"{_SIGNED_AS}\n{named}\n{provider}".encode()
    digest = hmac.digest(secret.encode(), said, "sha256")
    return f"{named}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"
