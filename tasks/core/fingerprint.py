"""The name of a picture's content: what decides how it looks, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from tasks.core.pictures import Size


def fingerprint(  # noqa: PLR0913 - each one is a part of the content
    *,
    key: str | None,
    provider: str,
    model: str,
    prompt: str,
    size: Size,
    parameters: Mapping[str, str],
    references: tuple[str, ...] = (),
    variant: int = 1,
    fresh: str = "",
) -> str:
    """Return 64 hexadecimal characters, the same for the same picture on every machine and in every version.

    ``key`` is ``None`` for templates that share pictures between rows; ``model`` is the provider's own name;
    ``references`` are SHA-256 digests in their order; ``fresh`` is a nonce that makes everything new.
    """
    content = {
        "fresh": fresh,
        "key": key,
        "model": model,
        "parameters": dict(parameters),
        "prompt": prompt,
        "provider": provider,
        "references": references,
        "size": str(size),
        "variant": variant,
    }
    # The same bytes as json.dumps(sort_keys=True, ensure_ascii=False, separators=(",", ":")), in a tenth of the time.
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()
