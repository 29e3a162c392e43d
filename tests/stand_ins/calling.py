"""Providers that call when a job has ended: what the receiver of webhooks asks of them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from tasks.core import standard_webhooks
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest

SIGNING_SECRET = "whsec_c2lnbmVkIGJ5IHRoZSBwcm92aWRlcg=="


class Caller:
    """Does not sign what it sends: the address that it was given has to be enough."""

    name = "caller"
    capabilities: ClassVar = Capabilities(webhook=True)

    def check(self) -> Health:
        return Health(self.name, "ok", "is there")

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        raise NotImplementedError

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:
        raise NotImplementedError

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Anybody may call."""

    def job_of(self, body: bytes) -> str | None:
        return None


class SigningCaller(Caller):
    """Signs what it sends, as Replicate does."""

    name = "signing-caller"

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Raises Forged."""
        standard_webhooks.verify(SIGNING_SECRET, headers, body, now)
