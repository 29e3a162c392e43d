"""A function of the shop's own instead of an HTTP CMS: ``CMS_HOOK=shop.catalogue:picture_published``.

>>> def picture_published(picture):                                      # doctest: +SKIP
...     if not Product.objects.filter(sku=picture.key).update(image_url=picture.url):
...         raise LookupError(f"there is no product {picture.key}")

It is called in the worker, with a :class:`tasks.core.published.PublishedPicture`, and may be called again for the same
picture: a worker may die between its end and the ledger's. No pool ends a call that hangs, so what it asks over a
network needs a timeout. A text that it returns is kept as the receipt.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from tasks.core.errors import ConfigurationError, Invalid, Overloaded, StepError
from tasks.core.health import Health
from tasks.core.published import PublishedPicture

Describe = Callable[[int, Sequence[str]], PublishedPicture]
"""Image id and public URLs → what the hook is told."""

_PASSING = {"OperationalError", "InterfaceError"}
"""Trouble of a connection or a server, as every database's driver calls it (PEP 249), and so Django and SQLAlchemy."""
_RECEIPT_CHARS = 500


class HookCms:
    """The shop's function as a :class:`tasks.delivery.base.Cms`. One instance per process, for many threads.

    ``django_settings`` is DJANGO_SETTINGS_MODULE, with which Django is set up before the function's module is imported.
    Raises ConfigurationError when there is no such function.
    """

    takes_list = True

    def __init__(self, path: str, describe: Describe, *, django_settings: str | None = None) -> None:
        self.path = path
        self._describe = describe
        _find_modules_here()
        self._on_django = _django_is_ready(django_settings)
        self._hook = _loaded(path)

    def write(self, _key: str, image_urls: list[str], image_id: int | None = None, /) -> str:
        """Call the hook; returns what it returns, if that is a text. Raises StepError of the fitting class.

        An error that the hook raises itself as a StepError keeps its class. Trouble of its database, or of input and
        output, passes; whatever else it raises is the end of this image, with that reason.
        """
        assert image_id is not None, "a hook is told of images of the ledger"
        picture = self._describe(image_id, image_urls)
        try:
            with _fresh_connections() if self._on_django else nullcontext():
                said = self._hook(picture)
        except StepError:
            raise
        except Exception as error:
            raise _as_step_error(self.path, error) from error
        return said[:_RECEIPT_CHARS] if isinstance(said, str) and said else f"{self.path} was called"

    def check(self) -> Health:
        """It was found, or there were no instance; it is not called."""
        return Health("cms", "ok", f"{self.path} is called with each picture (CMS_HOOK)")


def _as_step_error(path: str, error: Exception) -> StepError:
    told = f"{path}: {type(error).__name__}: {error}"
    passing = isinstance(error, OSError) or _PASSING & {each.__name__ for each in type(error).__mro__}
    return Overloaded(told) if passing else Invalid(told)


def _find_modules_here() -> None:
    """As Celery's programs do; the path of a console script has not the folder that it is called in."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)


def _loaded(path: str) -> Callable[[PublishedPicture], Any]:
    module, _, name = path.partition(":")
    if not (module and name):
        raise ConfigurationError(f"CMS_HOOK={path!r} names no function; write it like shop.catalogue:picture_published")
    try:
        hook = getattr(import_module(module), name)
    except Exception as error:
        raise ConfigurationError(
            f"CMS_HOOK={path!r} cannot be imported: {type(error).__name__}: {error}; start workers and commands "
            f"in your project's folder, or add it to PYTHONPATH"
        ) from error
    if not callable(hook):
        raise ConfigurationError(f"CMS_HOOK={path!r} is no function")
    return hook  # type: ignore[no-any-return]


def _django_is_ready(settings_module: str | None) -> bool:
    """Set Django up if this process is to have it, once. Raises ConfigurationError when that fails."""
    if not settings_module:
        return False
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)  # it may come from .env
    try:
        import django
        from django.apps import apps

        if not apps.ready:
            django.setup()
    except Exception as error:
        raise ConfigurationError(
            f"DJANGO_SETTINGS_MODULE={settings_module!r}: Django cannot be set up: {type(error).__name__}: {error}"
        ) from error
    return True


@contextmanager
def _fresh_connections() -> Iterator[None]:
    """A thread of the worker is a request to Django: connections that are too old or broken are closed around it."""
    from django.db import close_old_connections

    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
