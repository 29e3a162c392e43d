"""Keys of stored objects: the last guard against one that would leave its place, after the plan has refused it."""

from __future__ import annotations

from tasks.core.errors import Invalid


def segments(key: str) -> tuple[str, ...]:
    """Split ``a/b/c.png`` into its parts. Raises Invalid for a key that could escape or that nobody could address."""
    parts = tuple(key.split("/"))
    if any(part in {"", ".", ".."} for part in parts):
        raise Invalid(f"key {key!r} has an empty, '.' or '..' part; it would leave its folder")
    if "\\" in key or not key.isprintable():
        raise Invalid(f"key {key!r} contains a backslash or a control character; change the row's key")
    return parts
