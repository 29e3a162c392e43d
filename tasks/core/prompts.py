"""Strict prompt templates: ``{field}`` with a plain name, ``{{`` and ``}}`` for braces, and nothing else.

A checked template is safe to fill with anybody's values: a value is text, even when it holds ``{…}``, and no
template reaches an attribute, an index, a conversion or a format specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.core.errors import InputError

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])")
_ESCAPE = "write {{ and }} for braces that are meant as text"


def fields(template: str, *, name: str = "") -> tuple[str, ...]:
    """Return the fields of a template in the order of their first appearance.

    ``name`` is what messages call the template. Raises InputError for everything but plain field names.
    """
    found: dict[str, None] = {}
    where = f"template {name!r}" if name else f"template text {template[:40]!r}"
    for token in _TOKEN.finditer(template):
        field = token["field"]
        if token["stray"]:
            raise InputError(f"{where}: a single {token[0]!r} at character {token.start() + 1}; {_ESCAPE}")
        if field is None:
            continue
        if not field.isidentifier():
            raise InputError(f"{where}: {token[0]!r} is not a plain field like {{name}}; {_ESCAPE}")
        found[field] = None
    return tuple(found)


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill a template that :func:`fields` has accepted. Every field must be in ``values``, as text."""
    return template.format_map(values)
