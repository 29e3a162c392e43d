"""A provider whose account is always empty; named in models.toml as a user's own would be."""

from __future__ import annotations

from typing import ClassVar

from tasks.core.errors import Account
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest


class PoorProvider:
    """Says that all is well, and takes no order."""

    name = "poor"
    capabilities: ClassVar = Capabilities(seed=True)

    def check(self) -> Health:
        """Nobody can see the account from here."""
        return Health(self.name, "ok", "a stand-in")

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Refuse to make a picture."""
        raise Account(f"no credit left for {request.model}")
