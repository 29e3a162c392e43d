"""Writing a picture's URL into a CMS, and believing it only when the CMS shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tasks.core.cms_preset import CmsPreset, Echo, EchoIfPresent, Lookup, ReadBack, field_of, filled_body, filled_path
from tasks.core.errors import Account, Invalid, Overloaded, RateLimited, StepError
from tasks.core.health import Health
from tasks.http_calls import Answer, HttpCaller, TokenAuth, checked_base_url, checked_token

_PASSING_STATUSES = {408, 423, 425}
_ACCOUNT_STATUSES = {401, 402, 403}


class HttpCms:
    """A CMS behind HTTP, written to as its preset says. One instance per process, for many threads.

    Writing the same URL again is harmless, so whatever leaves the outcome open may be tried again.
    Raises ConfigurationError when the URL or the token cannot be used.
    """

    def __init__(self, base_url: str, token: str | None, preset: CmsPreset, *, total_seconds: float = 30.0) -> None:
        self.base_url = checked_base_url(base_url, "CMS_URL")
        self.preset = preset
        auth = TokenAuth(preset.auth, checked_token(token, "CMS_TOKEN")) if token else None
        self._http = HttpCaller("the CMS", "CMS_URL", auth=auth, total_seconds=total_seconds)

    @property
    def takes_list(self) -> bool:
        """Whether the preset's body has a place for all variants."""
        return self.preset.takes_list

    def write(self, key: str, image_urls: list[str], _image_id: int | None = None, /) -> str:
        """Write, verify, and return a receipt like ``PATCH 200, echoed``. Raises StepError of the fitting class."""
        values, _record = self._looked_up(key)
        answer = self._send(values, {"image_url": image_urls[0], "image_urls": image_urls})
        return f"{self.preset.method} {answer.status}, {self._verified(answer, values, image_urls)}"

    def check(self) -> Health:
        """Ask for the preset's ``check_path``; any answer but a refusal or a failure will do."""
        try:
            answer = self._http.call("GET", self.base_url + self.preset.check_path)
        except StepError as error:
            return Health("cms", "bad", str(error), "start the CMS, or correct CMS_URL")
        if answer.status in _ACCOUNT_STATUSES:
            return Health("cms", "bad", f"{self.base_url} refuses us (HTTP {answer.status})", "set CMS_TOKEN")
        if answer.status >= 500:
            return Health(
                "cms", "bad", f"{self.base_url} is in trouble (HTTP {answer.status})", "look at the CMS's log"
            )
        return Health("cms", "ok", f"{self.base_url} answers (preset {self.preset.name})")

    def _looked_up(self, key: str) -> tuple[dict[str, str], Any]:
        """What the preset's paths are filled with, and what the lookup has answered, where there is one."""
        values, lookup = {"sku": key}, self.preset.lookup
        if lookup is None:
            return values, None
        answered = self._get(lookup.path, values)
        return values | {"id": _id_in(answered, lookup, key)}, answered

    def _send(self, values: dict[str, str], pictures: Mapping[str, Any]) -> Answer:
        """The preset's write, with these values of the body's placeholders."""
        body = filled_body(self.preset.body, values, pictures)
        answer = self._call(self.preset.method, filled_path(self.preset.path, values), values["sku"], body)
        if answer.status in self.preset.missing_statuses:
            raise _missing(values["sku"], f"it answered {answer.status}")
        return answer

    def _get(self, path: str, values: dict[str, str]) -> Any:
        answer = self._call("GET", filled_path(path, values), values["sku"])
        _refuse_page(answer)
        return answer.json()

    def _verified(self, answer: Answer, values: dict[str, str], expected: list[str]) -> str:
        """How the write was seen to have happened, in a word. Raises Invalid when it was not."""
        verify, key = self.preset.verify, values["sku"]
        if isinstance(verify, EchoIfPresent):
            return _echoed_if_present(verify, answer, expected, key)
        if isinstance(verify, ReadBack):
            _demand(field_of(self._get(verify.path, values), verify.field), expected, key, verify.field)
            return "read back"
        _demand_echo(verify, answer, expected, key)
        return "echoed"

    def _call(self, method: str, path: str, key: str, body: Any = None) -> Answer:
        answer = self._http.call(method, self.base_url + path, body)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, f"{method} {path}", key)
        return answer


class RecordedCms:
    """No CMS is configured: the URLs stay in the ledger and the report, and nothing is called."""

    takes_list = True

    def write(self, _key: str, _image_urls: list[str], _image_id: int | None = None, /) -> str:
        """Do nothing, and say so."""
        return "recorded, CMS_URL is not set"

    def check(self) -> Health:
        """Say that there is none."""
        detail = "CMS_URL is not set: URLs are recorded in the ledger and the report"
        return Health("cms", "off", detail, "set CMS_URL or CMS_HOOK")


def _echoed_if_present(verify: EchoIfPresent, answer: Answer, expected: list[str], key: str) -> str:
    _refuse_page(answer)
    echoes = [(name, field_of(answer.json(), name)) for name in verify.fields]
    present = [(name, value) for name, value in echoes if value is not None]
    for name, value in present:
        _demand(value, expected, key, name)
    return "echoed" if present else "not echoed"


def _refuse_page(answer: Answer) -> None:
    """A login page, or a site's start page that answers to everything, says nothing of a record."""
    if answer.body.lstrip()[:1] == b"<":
        raise Account("the CMS answered with a web page; CMS_URL must be the address of its API")


def _id_in(answered: Any, lookup: Lookup, key: str) -> str:
    """The CMS's own id of the record with this key. Raises Invalid when the lookup has found none, or another."""
    found, shown = field_of(answered, lookup.field), lookup.key and field_of(answered, lookup.key)
    if not isinstance(found, str | int):
        raise _missing(key, "looking it up found nothing")
    if lookup.key and unquote(str(shown)).casefold() != key.casefold():
        raise _missing(key, f"looking it up found {str(shown)[:200]!r}")
    return str(found)


def _demand_echo(verify: Echo, answer: Answer, expected: list[str], key: str) -> None:
    _demand(field_of(answer.json(), verify.field), expected, key, verify.field)


def _demand(found: Any, expected: list[str], key: str, field: str) -> None:
    """A field holds the first URL, or all of them where it is a list. Raises Invalid for anything else."""
    if found is None:
        raise Invalid(f"the CMS dropped the field: its answer for {key!r} has no {field}; add the field to the CMS")
    if found != (expected if isinstance(found, list) else expected[0]):
        raise Invalid(f"the CMS holds {str(found)[:200]!r} in {field} of {key!r}, not the URL that was sent")


def _missing(key: str, how: str) -> Invalid:
    return Invalid(f"no product with key {key!r} in the CMS ({how}); create it, or correct the key")


def _refusal(answer: Answer, request: str, key: str) -> StepError:
    """The error of an answer that is no success."""
    told = f"the CMS answered {answer.status} to {request}" + (f": {answer.text}" if answer.text else "")
    mend = _mend_for_all(answer)
    if mend:
        return Account(f"{told}; {mend}")
    if answer.status == 404:
        return _missing(key, f"{request} answered 404")
    if answer.status == 429:
        return RateLimited(told, retry_after_seconds=answer.retry_after_seconds)
    if answer.status >= 500 or answer.status in _PASSING_STATUSES:
        return Overloaded(told, retry_after_seconds=answer.retry_after_seconds)
    return Invalid(told)


def _mend_for_all(answer: Answer) -> str:
    """What a person must do when every write would be answered like this; empty when the next one may succeed."""
    if 300 <= answer.status < 400:
        return f"it redirects to {answer.headers.get('Location', '?')!r}, correct CMS_URL"
    if answer.status in _ACCOUNT_STATUSES:
        return "check CMS_TOKEN and its rights"
    return "it does not take this request, choose another CMS_PRESET" if answer.status in {405, 501} else ""
