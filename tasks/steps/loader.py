"""How Celery comes by its settings: as always, but a slip in them is one line for whoever has typed the command."""

from __future__ import annotations

from typing import Any

import click
from celery.loaders.app import AppLoader

from tasks.core.errors import ConfigurationError

_BAD_CONFIGURATION = 2


class Told(ConfigurationError, click.ClickException):
    """A ConfigurationError that Celery's programs, which are click's, print without a traceback and exit with.

    For Python code, where no program of click's is around, it is the ConfigurationError that it always was.
    """

    exit_code = _BAD_CONFIGURATION


class Loader(AppLoader):
    """Reads ``tasks.celeryconfig``."""

    def config_from_object(self, obj: Any, silent: bool = False) -> None:
        """As Celery's own. Raises Told for a setting that is wrong."""
        try:
            super().config_from_object(obj, silent)
        except ConfigurationError as error:
            raise Told(str(error)) from error
