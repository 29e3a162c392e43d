"""The providers by name. Each is imported when it is first asked for, so that nobody pays for those they do not use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tasks.core.errors import ConfigurationError
from tasks.providers.base import Capabilities, Provider, QueueProvider

_CLASSES = {
    "preview": "tasks.providers.preview:PreviewProvider",
    "preview_async": "tasks.providers.preview_async:PreviewAsyncProvider",
    "anycap": "tasks.providers.anycap:AnycapProvider",
    "openai_compatible": "tasks.providers.openai_compatible:OpenAICompatibleProvider",
    "gemini": "tasks.providers.gemini:GeminiProvider",
    "fal": "tasks.providers.fal:FalProvider",
    "replicate": "tasks.providers.replicate:ReplicateProvider",
}


def provider_names() -> tuple[str, ...]:
    """The names that ``provider`` may have in ``models.toml``."""
    return tuple(_CLASSES)


def build(name: str, **options: Any) -> Provider | QueueProvider:
    """Make a provider with the options of its class.

    ``name`` is one of ours, or ``module:Class`` for one of the user's own, which takes no options. Raises
    ConfigurationError when there is no such provider.
    """
    provider: Provider | QueueProvider = _class(name)(**options)
    return provider


def capabilities_of(name: str) -> Capabilities:
    """What a provider can do, without making it; the least where its class does not say.

    Raises ConfigurationError as :func:`build` does.
    """
    capabilities: Capabilities = getattr(_class(name), "capabilities", Capabilities())
    return capabilities


def _class(name: str) -> Any:
    module, colon, attribute = _CLASSES.get(name, name).partition(":")
    if not colon:
        known = ", ".join(_CLASSES)
        raise ConfigurationError(
            f"provider {name!r} is not known; config/models.toml may name {known}, or a class of yours as module:Class"
        )
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"provider {name!r} cannot be imported: {error}; install what it needs, or correct models.toml"
        ) from error
