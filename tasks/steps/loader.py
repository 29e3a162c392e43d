"""How Celery's programs come by their settings: a slip in them is one line for whoever typed the command.

And Flower's list of tasks says what they are about, where nobody has chosen its columns.
"""

from __future__ import annotations

import sys
from typing import Any

import click
from celery.loaders.app import AppLoader

from tasks.core.errors import ConfigurationError

_BAD_CONFIGURATION = 2
_FLOWERS_COLUMNS = "name,args,state,received,runtime,worker,uuid"


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

    def import_default_modules(self) -> Any:
        """As Celery's own; Flower calls it before it looks at its own options for the first time."""
        if "flower.options" in sys.modules:
            from tornado.options import options

            # A default, so that a column chosen by argument, variable or file wins. Tornado has no other way to it, and
            # Flower itself takes this one.
            options._options["tasks-columns"].default = _FLOWERS_COLUMNS  # noqa: SLF001
        return super().import_default_modules()
