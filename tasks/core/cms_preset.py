"""How one kind of CMS is written to: what ``cms.toml`` says, as frozen, validated values. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from tasks.core.catalogue import Strict
from tasks.core.errors import ConfigurationError, Invalid

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_LIST = "{image_urls}"
_PICTURES = ("image_url", "image_urls")

FieldPath = Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]
"""Where a value is in a JSON answer: ``data.0.documentId``; numbers are positions in a list."""


class Lookup(Strict):
    """A GET that turns the row's key into the CMS's own ``{id}``, read at ``field`` of its answer.

    Where ``key`` is given, the row's key must be shown there too: filters are forgiving, and some CMSs ignore one that
    they do not know and answer with their first record. Upper and lower case are the same, for slugs are lower.
    """

    path: str
    field: FieldPath
    key: FieldPath | None = None


class Replaced(Strict):
    """Where a record shows what the write replaces: by placeholder of the body, in the answer to a GET of ``path``.

    Without ``path`` the lookup's answer has it.
    """

    path: str | None = None
    image_url: FieldPath | None = None
    image_urls: FieldPath | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Placeholder → where its value is."""
        named = {"image_url": self.image_url, "image_urls": self.image_urls}
        return {name: field for name, field in named.items() if field}


class EchoIfPresent(Strict):
    """Any success status counts, unless the answer carries one of ``fields`` with another value."""

    mode: Literal["echo_if_present"] = "echo_if_present"
    fields: tuple[FieldPath, ...] = ("image_url", "data.image_url")


class Echo(Strict):
    """The answer must carry the URL at ``field``: a CMS that drops unknown fields is found out."""

    mode: Literal["echo"]
    field: FieldPath


class ReadBack(Strict):
    """A GET of ``path`` afterwards must show the URL at ``field``."""

    mode: Literal["read_back"]
    path: str
    field: FieldPath


Verify = Annotated[EchoIfPresent | Echo | ReadBack, Field(discriminator="mode")]


class CmsPreset(Strict):
    """One write: ``method path`` with ``body``, and what makes it count.

    Paths may hold ``{sku}`` and, with a ``lookup``, ``{id}``; texts of the body also ``{image_url}``, the URL of the
    row's first picture. A value of the body that is ``{image_urls}`` and nothing else becomes the list of the URLs of
    all of its variants; without one, the CMS knows the first alone.
    ``auth`` says how ``CMS_TOKEN`` travels; ``basic`` takes it as ``user:password``.
    ``missing_statuses`` are successes by number that mean "no such product".
    ``replaced``: what the CMS had before is kept, so that it can be put back.
    """

    name: str
    description: str = ""
    method: Literal["PATCH", "PUT", "POST"] = "PATCH"
    path: str
    body: Mapping[str, Any]
    auth: Literal["bearer", "basic", "token"] = "bearer"
    lookup: Lookup | None = None
    missing_statuses: tuple[int, ...] = ()
    verify: Verify = EchoIfPresent()
    replaced: Replaced | Literal[False] = False
    check_path: str = "/"
    per_minute: Annotated[float, Field(gt=0)] | None = None
    in_flight: Annotated[int, Field(gt=0)] | None = None

    @property
    def takes_list(self) -> bool:
        """Whether the body has a place for all variants of a row."""
        return _LIST in _texts(self.body)

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> CmsPreset:
        in_path = {"sku"} | ({"id"} if self.lookup else set())
        read_back = [self.verify.path] if isinstance(self.verify, ReadBack) else []
        replaced = [self.replaced.path] if self.replaced and self.replaced.path else []
        for path in [self.path, *read_back, *replaced]:
            _refuse_unknown(path, in_path)
        _refuse_unknown(self.lookup.path if self.lookup else "", {"sku"})
        for text in _texts(self.body):
            if text != _LIST:
                _refuse_unknown(text, in_path | {"image_url"})
        if not any("{image_url}" in text or text == _LIST for text in _texts(self.body)):
            raise ValueError("body has no {image_url}, so the picture's URL would go nowhere")
        return self

    @model_validator(mode="after")
    def _replaced_can_be_put_back(self) -> CmsPreset:
        if not self.replaced:
            return self
        if self.replaced.path is None and self.lookup is None:
            raise ValueError("replaced has no path, and there is no lookup whose answer could show it")
        names = {name for text in _texts(self.body) for name in _PLACEHOLDER.findall(text)} & {*_PICTURES}
        if names != self.replaced.fields.keys():
            raise ValueError(f"replaced must have a field for {' and '.join(sorted(names))}, as body has, and no other")
        if any(f"{{{name}}}" in text and text != f"{{{name}}}" for text in _texts(self.body) for name in names):
            raise ValueError("replaced cannot put back what is only a part of a text of body")
        return self


def filled_path(path: str, values: Mapping[str, str]) -> str:
    """A path with its placeholders filled, each value quoted whole: a ``/`` in a key stays inside its segment.

    Raises Invalid for ``.`` and ``..``, which no quoting keeps HTTP clients from resolving.
    """
    if not {".", ".."}.isdisjoint(values.values()):
        raise Invalid(f"{values.get('sku')!r} cannot be part of a URL; change the row's key")
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), path)


def filled_body(body: Any, values: Mapping[str, str], pictures: Mapping[str, Any]) -> Any:
    """The body with its texts filled, in one pass: a value that looks like a placeholder stays text.

    ``pictures`` has ``image_url`` and ``image_urls``. A text that is one placeholder and nothing else becomes the value
    as it is: a list, or whatever the CMS had before.
    """
    if isinstance(body, str):
        every = {**values, **pictures}
        whole = _PLACEHOLDER.fullmatch(body)
        return every[whole[1]] if whole else _PLACEHOLDER.sub(lambda match: str(every[match[1]]), body)
    if isinstance(body, Mapping):
        return {name: filled_body(value, values, pictures) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [filled_body(value, values, pictures) for value in body]
    return body


def field_of(answer: Any, path: str) -> Any:
    """The value at ``path`` of a JSON answer; ``None`` where there is none."""
    for part in path.split("."):
        if isinstance(answer, Mapping):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdecimal() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer


def parse_presets(document: Mapping[str, Any]) -> dict[str, CmsPreset]:
    """Presets by name from the tables of ``cms.toml``. Raises ConfigurationError naming the table and the key."""
    return {name: _parsed(name, table) for name, table in document.items()}


def _parsed(name: str, table: Any) -> CmsPreset:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"cms.toml: {name!r} stands outside of a preset; put it under a line like [my-cms]")
    try:
        return CmsPreset.model_validate({"name": name, **table})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("", *first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"cms.toml: [{name}]{where}: {message}; compare it with [generic]") from error


def _refuse_unknown(text: str, known: set[str]) -> None:
    for found in _PLACEHOLDER.findall(text):
        if found not in known:
            raise ValueError(f"{{{found}}} in {text!r} is not known here; there is {', '.join(sorted(known))}")


def _texts(body: Any) -> list[str]:
    if isinstance(body, str):
        return [body]
    if isinstance(body, Mapping):
        body = list(body.values())
    return [text for value in body for text in _texts(value)] if isinstance(body, list | tuple) else []
