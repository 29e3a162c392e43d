"""The Lua scripts beside this file."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import redis


def registered(client: redis.Redis, name: str) -> Any:
    """A script as redis-py calls it: by its digest, in one round trip. All begin with ``shared.lua``."""
    return client.register_script(_text("shared") + _text(name))


def _text(name: str) -> str:
    return files("tasks.limits").joinpath(f"{name}.lua").read_text("utf-8")
