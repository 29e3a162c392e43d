"""The same installation as the integration tests', with workers that are missed within seconds."""

from __future__ import annotations

from tests.integration.conftest import api, make_stack, moto_server, postgres_server, postgres_url

__all__ = ["api", "make_stack", "moto_server", "postgres_server", "postgres_url"]
