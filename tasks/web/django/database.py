"""The ledger as one of Django's databases: read, and nothing else (decision 38)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connections
from sqlalchemy.engine import URL

ALIAS = "imagechord"
_LABEL = "imagechord"


def connection_settings(url: URL) -> dict[str, Any]:
    """What of ``DATABASES`` makes the ledger at ``url`` readable. Whatever is written through it fails.

    A SQLite file is not made where there is none. A test runner makes no database for it, nor uses the real one.
    """
    chosen = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgres(url)
    # With Django's own defaults for what is not said here.
    filled = connections.configure_settings({"default": {}, ALIAS: {**chosen, "TEST": {"MIRROR": "default"}}})
    settings: dict[str, Any] = filled[ALIAS]
    return settings


def _sqlite(url: URL) -> dict[str, Any]:
    file = Path(str(url.database)).absolute()
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{file.as_uri()}?mode=ro"}


def _postgres(url: URL) -> dict[str, Any]:
    options: dict[str, Any] = {name: value for name, value in url.query.items() if isinstance(value, str)}
    read_only = "-c default_transaction_read_only=on"
    options["options"] = f"{options['options']} {read_only}" if "options" in options else read_only
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database or "",
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.host or "",
        "PORT": str(url.port or ""),
        "OPTIONS": options,
    }


class LedgerRouter:
    """Our models are read from the ledger; what migrates there is ``imagechord migrate``, and nothing of Django's."""

    def db_for_read(self, model: Any, **_hints: Any) -> str | None:
        """The ledger, for our models."""
        return ALIAS if model._meta.app_label == _LABEL else None  # noqa: SLF001 – Django's documented way

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **_hints: Any) -> bool | None:
        """Ours with ours; no row of the host's can point into another database."""
        ours = [each._meta.app_label == _LABEL for each in (one, other)]  # noqa: SLF001 – as above
        return all(ours) if any(ours) else None

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool | None:
        """Never in the ledger, and nothing of ours elsewhere."""
        return False if db == ALIAS or app_label == _LABEL else None
