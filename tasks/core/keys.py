"""Keys: the product's own (``sku``), which becomes part of a path, and the key under which a picture is published."""

from __future__ import annotations

import re

from tasks.core import prompts
from tasks.core.errors import ConfigurationError, InputError

MAX_KEY_BYTES = 200
"""A file name may have 255 bytes; the rest is for fingerprint and extension."""

MAX_OUTPUT_KEY_BYTES = 1024
"""The limit of S3."""

PLACEHOLDERS = ("prefix", "sku", "fingerprint8", "fingerprint", "ext", "template", "model", "variant", "batch")

_PLAIN = re.compile(r"[A-Za-z0-9가-힣](?:[A-Za-z0-9가-힣 _-]{0,58}[A-Za-z0-9가-힣_-])?")
"""Keys that need no closer look; at most 180 bytes."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EXCEL_NUMBER = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+")
_RENAME = "Use letters, digits, - and _."


class InvalidKey(InputError):
    """A key that may not name a file. ``message`` says why, ``mend`` is the sentence that says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(f"{message}. {mend}")
        self.message = message
        self.mend = mend


def validate_key(key: str) -> None:
    """Raise InvalidKey when a key is empty, damaged, too long, or would leave the folder it is meant for.

    A ``/`` is allowed as a folder when every part between is safe; Hangul is fine.
    """
    if _PLAIN.fullmatch(key):
        return
    if not key:
        raise InvalidKey("the key is empty", "Give every row one of its own.")
    if _EXCEL_NUMBER.fullmatch(key):
        raise InvalidKey(
            "Excel has turned this key into a rounded number",
            "Format the column as text, enter the codes again, and save.",
        )
    if _CONTROL.search(key):
        raise InvalidKey("the key contains a control character or a line break", f"Remove it. {_RENAME}")
    if not key.isprintable():
        hidden = next(character for character in key if not character.isprintable())
        raise InvalidKey(
            f"the key contains a character that cannot be seen (U+{ord(hidden):04X})", f"Enter it again. {_RENAME}"
        )
    if "\\" in key:
        raise InvalidKey("the key contains a backslash", f"{_RENAME} A / makes a folder.")
    if key.startswith("/"):
        raise InvalidKey("the key is an absolute path", "Remove the / at its beginning.")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKey(f"the key is longer than {MAX_KEY_BYTES} bytes", "Shorten it.")
    for part in key.split("/"):
        _validate_part(part)


def _validate_part(part: str) -> None:
    """Check one folder or file name of a key."""
    if not part:
        raise InvalidKey("the key has an empty part between slashes", "Remove the extra /.")
    if part in {".", ".."}:
        raise InvalidKey(f"the key would leave its folder through {part!r}", _RENAME)
    if part != part.strip(". "):
        raise InvalidKey("the key, or a part of it, begins or ends with a dot or a space", _RENAME)


def check_pattern(pattern: str) -> None:
    """Accept a key pattern from the configuration. Raises ConfigurationError saying what is wrong with it."""
    try:
        used = prompts.fields(pattern, name="key_pattern")
    except InputError as error:
        raise ConfigurationError(str(error)) from error
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if unknown := [name for name in used if name not in PLACEHOLDERS]:
        raise ConfigurationError(f"key_pattern {pattern!r}: there is no {{{unknown[0]}}}; use {known}")
    if not {"sku", "fingerprint", "fingerprint8"} & set(used):
        raise ConfigurationError(f"key_pattern {pattern!r} gives every picture the same key; add {{sku}}")
    if "\\" in pattern or ".." in pattern.split("/"):
        raise ConfigurationError(f"key_pattern {pattern!r} leaves its folder; use / and no ..")


def output_key(  # noqa: PLR0913 - each one is a placeholder
    pattern: str,
    *,
    sku: str,
    fingerprint: str,
    prefix: str = "",
    ext: str = "",
    template: str = "",
    model: str = "",
    variant: int = 1,
    batch: str = "",
) -> str:
    """Fill a checked pattern. Parts that come out empty, such as an unset prefix, leave no slash behind.

    Raises InvalidKey when the whole is longer than S3 allows.
    """
    filled = pattern.format_map(
        {
            "prefix": prefix,
            "sku": sku,
            "fingerprint8": fingerprint[:8],
            "fingerprint": fingerprint,
            "ext": ext,
            "template": template,
            "model": model,
            "variant": variant,
            "batch": batch,
        }
    )
    key = filled.lstrip("/") if "//" not in filled else "/".join(part for part in filled.split("/") if part)
    if len(key) > MAX_OUTPUT_KEY_BYTES // 4 and len(key.encode()) > MAX_OUTPUT_KEY_BYTES:
        raise InvalidKey(f"the output key is longer than {MAX_OUTPUT_KEY_BYTES} bytes", "Shorten key_pattern.")
    return key


def staging_key(fingerprint: str, sha256: str, ext: str) -> str:
    """Where a picture is staged."""
    # Named by its bytes too: a worker that was taken for dead must not write over its successor's picture.
    return f"{fingerprint[:2]}/{fingerprint}-{sha256[:8]}.{ext}"


def is_content_addressed(pattern: str) -> bool:
    """Whether a new picture gets a new key, so that caches may keep the old one for ever."""
    return bool({"fingerprint", "fingerprint8"} & set(prompts.fields(pattern, name="key_pattern")))


def may_collide(pattern: str) -> bool:
    """Whether two pictures with different keys, or two variants of one, could get the same output key.

    They cannot when the key of the row stands between parts of constant length, one of them a fingerprint.
    """
    used = set(prompts.fields(pattern, name="key_pattern"))
    constant_length = {"prefix", "batch", "ext", "fingerprint", "fingerprint8", "sku"}
    return not (used <= constant_length and "sku" in used and is_content_addressed(pattern))


def cache_control(pattern: str, configured: str) -> str:
    """Return the configured header, without ``immutable`` where the same key may get another picture."""
    if is_content_addressed(pattern):
        return configured
    parts = (part.strip() for part in configured.split(","))
    return ", ".join(part for part in parts if part.lower() != "immutable")
