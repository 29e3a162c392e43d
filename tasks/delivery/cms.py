"""Writing a picture's URL into a CMS, and believing it only when the CMS shows it."""

from __future__ import annotations

from typing import Any

from tasks.core.cms_preset import CmsPreset, Echo, EchoIfPresent, ReadBack, field_of, filled_body, filled_path
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
        values = {"sku": key}
        if self.preset.lookup:
            values["id"] = self._looked_up(key)
        path = filled_path(self.preset.path, values)
        answer = self._call(self.preset.method, path, key, filled_body(self.preset.body, values, image_urls))
        if answer.status in self.preset.missing_statuses:
            raise _missing(key, f"it answered {answer.status}")
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

    def _looked_up(self, key: str) -> str:
        assert self.preset.lookup
        answer = self._call("GET", filled_path(self.preset.lookup.path, {"sku": key}), key)
        found = field_of(answer.json(), self.preset.lookup.field)
        if not isinstance(found, str | int):
            raise _missing(key, "looking it up found nothing")
        return str(found)

    def _verified(self, answer: Answer, values: dict[str, str], expected: list[str]) -> str:
        """How the write was seen to have happened, in a word. Raises Invalid when it was not."""
        verify, key = self.preset.verify, values["sku"]
        if isinstance(verify, EchoIfPresent):
            return _echoed_if_present(verify, answer, expected, key)
        if isinstance(verify, ReadBack):
            read = self._call("GET", filled_path(verify.path, values), key)
            _demand(field_of(read.json(), verify.field), expected, key, verify.field)
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
    if answer.body.lstrip()[:1] == b"<":  # a login page, or a site's start page that answers to everything
        raise Account("the CMS answered with a web page; CMS_URL must be the address of its API")
    echoes = [(name, field_of(answer.json(), name)) for name in verify.fields]
    present = [(name, value) for name, value in echoes if value is not None]
    for name, value in present:
        _demand(value, expected, key, name)
    return "echoed" if present else "not echoed"


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
