"""What Google's Gemini API said, and what follows from it. Pure: JSON in, a picture or an error out.

Reasons are those of ``FinishReason`` and ``BlockedReason`` in google-genai 3.4.0, error bodies those of
``google.rpc.Status`` (AIP-193) with its ``ErrorInfo``, ``QuotaFailure`` and ``RetryInfo``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP
from typing import Any

from tasks.core.catalogue import TokenPrices
from tasks.core.errors import Account, Ambiguous, BadBytes, Invalid, NoImage, Refused, StepError
from tasks.providers.http_errors import Unsuccessful, brief, error_of

SERVICE = "Gemini"

_REASONS: dict[type[StepError], str] = {
    Refused: "SAFETY IMAGE_SAFETY PROHIBITED_CONTENT IMAGE_PROHIBITED_CONTENT BLOCKLIST SPII "
    "RECITATION IMAGE_RECITATION MODEL_ARMOR JAILBREAK ESCALATION",
    Invalid: "LANGUAGE",
    Account: "PUP_LIMITED_DISABLED",  # the account broke the rules of use, not this prompt
}
_CLASS_OF_REASON = {reason: kind for kind, reasons in _REASONS.items() for reason in reasons.split()}
"""Every other reason, and one that is new, is NoImage: it says nothing of the prompt, and the tries are few."""

_CODES: dict[str, type[StepError]] = {
    "api_key_invalid": Account,  # with 400
    "failed_precondition": Account,  # 400: no billing, or no service in this country
    "cancelled": Ambiguous,  # 499
}
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success answer: ``data`` is the picture, not yet looked at; ``cost_usd_micros`` what its tokens cost."""

    data: bytes = field(repr=False)
    cost_usd_micros: int | None
    trace_id: str | None


def read_answer(body: str, prices: TokenPrices | None) -> Answer:
    """Read the body of an answer with status 200.

    A model that thinks may draw drafts first, which are marked as thoughts: the last picture that is none counts,
    whatever type it is said to be. Raises BadBytes for a picture that is no base64; without a picture Refused,
    Invalid, Account or NoImage, as the reason says. Each error has the cost, when tokens are told.
    """
    try:
        answer = _table(json.loads(body))
    except ValueError as error:
        raise NoImage(f"{SERVICE} answered with no JSON: {brief(body[:2000]) or 'nothing'}") from error
    cost, trace_id = cost_of(_table(answer.get("usageMetadata")), prices), _text(answer.get("responseId")) or None
    candidate = next(_tables(answer.get("candidates")), {})
    drawn = [_text(_table(part.get("inlineData")).get("data")) for part in _parts(candidate) if not part.get("thought")]
    picture = next((data for data in reversed(drawn) if data), None)
    if picture is None:
        raise _without_picture(answer, candidate, cost, trace_id)
    try:
        return Answer(base64.b64decode(picture, validate=True), cost, trace_id)
    except (binascii.Error, ValueError) as error:
        message = f"the picture is no whole base64: {error}"
        raise BadBytes(message, cost_usd_micros=cost, trace_id=trace_id) from error


def cost_of(usage: Mapping[str, Any], prices: TokenPrices | None) -> int | None:
    """What the tokens of ``usageMetadata`` cost in micro-dollars; ``None`` without prices, or where none are told.

    A price is in dollars for a million tokens, which is micro-dollars for one. Thoughts are not among the tokens of
    the candidates and cost as much as text (ai.google.dev/gemini-api/docs/pricing: "text and thinking"). Output of
    which no detail is told counts as the picture, input as text.
    """
    if prices is None or not isinstance(usage.get("totalTokenCount"), int):
        return None
    output, written = _count(usage, "candidatesTokenCount"), _by_modality(usage, "candidatesTokensDetails")
    drawn = written.get("IMAGE", output - sum(written.values()))
    text = max(output - drawn, 0) + _count(usage, "thoughtsTokenCount")
    shown = _by_modality(usage, "promptTokensDetails").get("IMAGE", 0)
    told = max(_count(usage, "promptTokenCount") - shown, 0)
    cost = prices.output_image * drawn + prices.output_text * text
    cost += prices.input_image * shown + prices.input_text * told
    return int(cost.to_integral_value(ROUND_HALF_UP))


def failure(status: int, body: object, retry_after_seconds: float | None = None) -> StepError:
    """The error for an answer that is no success. ``retry_after_seconds`` is its header's, if it has one.

    ``body`` is what was parsed: ``{"error": {…}}``, or that in a list. A quota of the day that is used up is Account
    even where a short wait is suggested beside it: see decision 29.
    """
    told = _table(body) or next(_tables(body), {})
    told = _table(told.get("error")) or told
    details = list(_tables(told.get("details")))
    quotas = list(_quotas(details))
    spent = [quota for quota in quotas if "perday" in quota.lower()]
    reasons = [reason for detail in details if (reason := _text(detail.get("reason")))]
    codes = [*spent, *reasons, _text(told.get("status")), *quotas]
    said = Unsuccessful(
        status,
        tuple(code for code in codes if code),
        _text(told.get("message")),
        _asked_delay(details) or retry_after_seconds,
    )
    return error_of(SERVICE, said, _CODES | {quota.lower(): Account for quota in spent})


def _without_picture(
    answer: Mapping[str, Any], candidate: Mapping[str, Any], cost_usd_micros: int | None, trace_id: str | None
) -> StepError:
    feedback = _table(answer.get("promptFeedback"))
    reason = _text(feedback.get("blockReason")) or _text(candidate.get("finishReason"))
    written = " ".join(_text(part.get("text")) for part in _parts(candidate) if not part.get("thought"))
    said = _text(feedback.get("blockReasonMessage")) or _text(candidate.get("finishMessage")) or written
    kind = _CLASS_OF_REASON.get(reason.upper(), NoImage)
    mend = "; change the prompt" if kind is Refused else ""
    message = f"{SERVICE} sent no picture ({reason or 'no reason given'})" + (f": {brief(said)}" if said else "") + mend
    return kind(message, cost_usd_micros=cost_usd_micros, trace_id=trace_id)


def _quotas(details: list[Mapping[str, Any]]) -> Iterator[str]:
    """The names of the quotas that were exceeded, such as ``GenerateRequestsPerDayPerProjectPerModel``."""
    for detail in details:
        yield from filter(None, (_text(each.get("quotaId")) for each in _tables(detail.get("violations"))))
        if limit := _text(_table(detail.get("metadata")).get("quota_limit")):
            yield limit


def _asked_delay(details: list[Mapping[str, Any]]) -> float | None:
    """``RetryInfo``'s delay in seconds: ``"47s"``, ``"25.465784708s"``."""
    found = (_SECONDS.fullmatch(_text(detail.get("retryDelay"))) for detail in details)
    return next((float(match[1]) for match in found if match), None)


def _parts(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(_tables(_table(candidate.get("content")).get("parts")))


def _by_modality(usage: Mapping[str, Any], name: str) -> dict[str, int]:
    return {_text(each.get("modality")): _count(each, "tokenCount") for each in _tables(usage.get(name))}


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> Iterator[Mapping[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
