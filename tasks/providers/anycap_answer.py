"""What the AnyCap CLI said, and what follows from it. Pure: bytes in, a verdict out.

The CLI 0.6.2 has two ways of passing on an error. When the server's body is ``{"error": {"code", "message"}}`` the
code becomes ``error`` and the HTTP status is lost; with any other body ``error`` is ``http_<status>`` (or
``auth_required`` for 401) and the body, perhaps JSON itself, is the text of ``message``. ``Retry-After`` is lost.

Why 500, 503 and 529 are Overloaded but 502, 504 and 408 are Ambiguous: the first are the service's own word that
it failed, and it charges for outputs; the others are a gateway's, which does not know what became of the request.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tasks.core.errors import (
    Account,
    Ambiguous,
    Invalid,
    NoImage,
    NotSent,
    Overloaded,
    RateLimited,
    Refused,
    StepError,
)
from tasks.core.redaction import redacted
from tasks.providers.child import Finished

_CLASSES: dict[type[StepError], str] = {
    RateLimited: "rate_limited too_many_requests http_429",
    Refused: "content_rejected",
    Account: "insufficient_credit feature_disabled feature_not_allowed auth_invalid auth_required "
    "http_401 http_402 http_403",
    Invalid: "missing_input invalid_param invalid_args model_not_found http_400 http_404 http_413 http_422",
    Overloaded: "internal unavailable overloaded http_500 http_503 http_529",
    Ambiguous: "timeout http_408 http_502 http_504",
}
_CLASS_OF = {code: error for error, codes in _CLASSES.items() for code in codes.split()}

_MENDS: dict[type[StepError], str] = {
    Refused: "change the prompt",
    Account: "check the key, the credit and the plan",
    Ambiguous: "the picture may have been paid for",
}

_PROVABLY_NOT_SENT = re.compile(
    r": dial (?:tcp|udp)|no such host|connection refused|proxyconnect|x509: |tls: failed to verify"
    r"|tls: handshake failure|first record does not look like a TLS handshake|unsupported protocol scheme"
)
"""Go's words for failures before a request's first byte: looking up, dialling, greeting."""

_BEFORE_PAYING = re.compile(r"storage upload failed|model schema is unavailable")
"""The CLI's own words for trouble that passes, while it uploads the pictures to start from."""

_ADDRESSES = re.compile(r"\b(?:read|write) tcp \S+->\S+: ")
_LOST_DOWNLOAD = "operation succeeded but"


@dataclass(frozen=True, slots=True)
class Answer:
    """The CLI's answer, read without trust.

    ``code`` is the error's name in lower case, empty for none; ``message`` its text; ``started`` whether the CLI
    said that it had begun to talk to the server; ``exit_code`` negative when a signal ended it; ``parsed`` whether
    there was a JSON object at all.
    """

    exit_code: int
    parsed: bool
    started: bool
    code: str = ""
    message: str = ""
    hint: str = ""
    status: str = ""
    local_path: str = ""
    url: str = ""
    credits_used: float | None = None
    trace_id: str | None = None


def read_answer(finished: Finished) -> Answer:
    """Read what the program left behind. Never raises: whatever cannot be read is empty."""
    started = b"invocation_started" in finished.stderr
    exit_code = finished.returncode or 0
    body = _json_object(finished.stdout.decode("utf-8", "replace"))
    if body is None:
        said = (finished.stdout.strip() or finished.stderr.strip()).decode("utf-8", "replace")
        return Answer(exit_code, parsed=False, started=started, message=_brief(said))
    code, message = _error_of(body)
    spent = body.get("credits_used")
    return Answer(
        exit_code,
        parsed=True,
        started=started,
        code=code.lower(),
        message=_brief(message),
        hint=_text(body.get("hint")),
        status=_text(body.get("status")),
        local_path=_text(body.get("local_path")),
        url=_text(body.get("url")),
        credits_used=spent if isinstance(spent, int | float) and not isinstance(spent, bool) else None,
        trace_id=_text(body.get("trace_id")) or None,
    )


def failure(answer: Answer) -> StepError | None:
    """The error that an answer calls for, or ``None`` when it reports a success."""
    error = _called_for(answer)
    # It says that it starts right before the one request that costs money; asking for the schema and uploading what
    # to start from come before that.
    if not answer.started and (isinstance(error, Ambiguous) or _BEFORE_PAYING.search(answer.message)):
        return NotSent(f"AnyCap was not asked for the picture: {answer.message or 'anycap failed without a reason'}")
    return error


def _called_for(answer: Answer) -> StepError | None:
    if not answer.parsed:
        return _unreadable(answer)
    if answer.code:
        return _reported(answer)
    if answer.exit_code != 0:
        return Ambiguous(f"anycap failed without a reason (exit code {answer.exit_code}); {_MENDS[Ambiguous]}")
    if answer.status != "success":
        return NoImage(f"AnyCap answered with status {answer.status or 'missing'!r} and no picture")
    return None


def _reported(answer: Answer) -> StepError:
    """The error that goes with a code."""
    if _LOST_DOWNLOAD in answer.message:
        return Ambiguous(f"AnyCap made the picture and its download failed: {answer.message}")
    if answer.code == "connection_error":
        return _connection(answer)
    kind = _CLASS_OF.get(answer.code) or _class_of_unknown(answer)
    mend = f"; {_MENDS[kind]}" if kind in _MENDS else ""
    return kind(f"AnyCap answered {answer.code}: {answer.message or 'no reason given'}{mend}")


def _connection(answer: Answer) -> StepError:
    if _PROVABLY_NOT_SENT.search(answer.message):
        return NotSent(f"AnyCap cannot be reached: {answer.message}")
    return Ambiguous(f"the connection to AnyCap broke: {answer.message}; {_MENDS[Ambiguous]}")


def _class_of_unknown(answer: Answer) -> type[StepError]:
    """A code that we do not know: go by the shape of the answer."""
    if answer.exit_code == 0:
        return NoImage  # the server said 200, and an error in its body
    if answer.code == "error":  # the CLI's own word: bad usage before it has started, anything after
        return Ambiguous if answer.started else Invalid
    if answer.code.startswith("http_"):
        return Overloaded if answer.code.startswith("http_5") else Invalid
    if answer.hint.startswith("server error"):
        return Overloaded
    if "anycap login" in answer.hint:
        return Account
    return RateLimited if answer.hint.startswith("rate limited") else Invalid


def _unreadable(answer: Answer) -> StepError:
    if answer.exit_code == 0:
        return NoImage(f"AnyCap's answer is not JSON: {answer.message or 'nothing'}")
    if answer.started:
        return Ambiguous(f"anycap broke off (exit code {answer.exit_code}); {_MENDS[Ambiguous]}")
    if answer.exit_code < 0:
        return NotSent(f"anycap was killed by signal {-answer.exit_code} before it began")
    return Account(f"anycap does not work here (exit code {answer.exit_code}): {answer.message or 'it says nothing'}")


def _error_of(body: dict[str, Any]) -> tuple[str, str]:
    """Code and message of an error, the server's own code winning over the HTTP status; empty for none."""
    error = body.get("error")
    message = _text(body.get("message"))
    if isinstance(error, dict):
        return _text(error.get("code") or error.get("type")) or "error", _text(error.get("message")) or message
    code = _text(error)
    nested = _json_object(message) if code.startswith("http_") else None
    if nested is None:
        return code, message
    inner_code, inner_message = _error_of(nested)
    inner_code = inner_code or _text(nested.get("code"))
    return (inner_code if inner_code.lower() in _CLASS_OF else code), inner_message or message


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _brief(text: str) -> str:
    """One line of at most 300 characters, without port numbers: reasons are grouped by it in the summary."""
    line = redacted(_ADDRESSES.sub("", " ".join(text.split())))  # before it is cut: half a secret is not known again
    return line if len(line) <= 300 else line[:299] + "…"
