"""The installable app: ``INSTALLED_APPS = [..., "tasks.web.django"]``; nothing else has to be set."""

from __future__ import annotations

from django.apps import AppConfig
from django.db import connections, router

from tasks.ledger.engine import parse_database_url
from tasks.settings import load_settings
from tasks.web.django.database import ALIAS, LedgerRouter, connection_settings


class ImagechordConfig(AppConfig):
    """Labelled ``imagechord``: its permissions are ``imagechord.view_batch`` and ``imagechord.change_batch``."""

    name = "tasks.web.django"
    label = "imagechord"
    verbose_name = "imagechord"

    def ready(self) -> None:
        """Let Django read the ledger, beside the host's own databases; a host that has set up the alias keeps its own.

        Raises ConfigurationError when IMAGECHORD_DATABASE_URL is no URL of a database.
        """
        if ALIAS not in connections.databases:
            ledger = parse_database_url(load_settings().database_url)
            connections.databases[ALIAS] = connection_settings(ledger)
        router.routers.insert(0, LedgerRouter())
