"""The providers by name. Each is imported when it is first asked for, so that nobody pays for those they do not use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tasks.core.errors import ConfigurationError
from tasks.providers.base import Provider

_CLASSES = {
    "preview": "tasks.providers.preview:PreviewProvider",
    "anycap": "tasks.providers.anycap:AnycapProvider",
}


def provider_names() -> tuple[str, ...]:
    """The names that ``provider`` may have in ``models.toml``."""
    return tuple(_CLASSES)


def build(name: str, **options: Any) -> Provider:
    """Make a provider of that name with the options of its class. Raises ConfigurationError for an unknown name."""
    if name not in _CLASSES:
        known = ", ".join(_CLASSES)
        raise ConfigurationError(f"provider {name!r} is not known; config/models.toml may name: {known}")
    module, _, attribute = _CLASSES[name].partition(":")
    provider: Provider = getattr(import_module(module), attribute)(**options)
    return provider
