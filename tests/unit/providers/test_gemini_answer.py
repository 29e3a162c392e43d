"""What the Gemini API's answers mean."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tasks.core.catalogue import TokenPrices
from tasks.core.errors import (
    Account,
    Ambiguous,
    BadBytes,
    Invalid,
    NoImage,
    Overloaded,
    RateLimited,
    Refused,
    StepError,
)
from tasks.providers.gemini_answer import cost_of, failure, read_answer
from tests.stand_ins.gemini_api import PER_DAY, USAGE, answer_of, error_info, error_of, image_part, quota_failure

PRICES = TokenPrices(input_text=Decimal(2), input_image=Decimal(3), output_text=Decimal(12), output_image=Decimal(120))

REFUSED = [
    "SAFETY",
    "IMAGE_SAFETY",
    "PROHIBITED_CONTENT",
    "IMAGE_PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "RECITATION",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
    "ESCALATION",
]
NO_IMAGE = [
    "NO_IMAGE",
    "IMAGE_OTHER",
    "OTHER",
    "MALFORMED_RESPONSE",
    "MAX_TOKENS",
    "STOP",
    "UNEXPECTED_TOOL_CALL",
    "SOMETHING_NEW",
]


def error_in(body: object) -> StepError:
    """What an answer without a picture is."""
    with pytest.raises(StepError) as raised:
        read_answer(json.dumps(body), PRICES)
    return raised.value


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        *[(reason, Refused) for reason in REFUSED],
        *[(reason, NoImage) for reason in NO_IMAGE],
        ("LANGUAGE", Invalid),
        ("PUP_LIMITED_DISABLED", Account),
    ],
)
def test_the_finish_reason_decides(reason: str, kind: type[StepError]) -> None:
    """Content policy is for ever, an account's trouble is everybody's, anything else may come right."""
    error = error_in(answer_of({"text": "I'd rather not."}, reason=reason))
    assert type(error) is kind
    assert f"({reason}): I'd rather not." in str(error)
    assert (error.cost_usd_micros, error.trace_id) == (12 * 2 + 1120 * 120 + 268 * 12, "resp-1")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        *[(r, Refused) for r in ("SAFETY", "IMAGE_SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "JAILBREAK")],
        *[(r, NoImage) for r in ("OTHER", "SOMETHING_NEW")],
    ],
)
def test_a_blocked_prompt_is_told_by_its_reason(reason: str, kind: type[StepError]) -> None:
    """There are no candidates then, and nothing was drawn."""
    error = error_in({"promptFeedback": {"blockReason": reason, "blockReasonMessage": "not this"}, "usageMetadata": {}})
    assert type(error) is kind
    assert f"({reason}): not this" in str(error)
    assert error.cost_usd_micros is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "text",
        {"candidates": None},
        {"candidates": [None, 1]},
        {"candidates": [{"content": {"parts": {"inlineData": {}}}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": ""}}, {"inlineData": "x"}, 3]}}]},
        {"candidates": [{"content": {"parts": [image_part(b"a draft", thought=True)]}}], "usageMetadata": 7},
    ],
)
def test_an_answer_of_any_shape_is_read(body: object) -> None:
    """Whatever is missing or of another kind, it is an answer without a picture."""
    assert type(error_in(body)) is NoImage


def test_no_json_is_quoted() -> None:
    """A proxy's page says what the trouble is."""
    with pytest.raises(NoImage, match="one moment"):
        read_answer("<html>one moment</html>", PRICES)


def test_a_picture_counts_whatever_the_reason() -> None:
    """It was drawn and is paid for."""
    body = json.dumps(answer_of(image_part(b"bytes"), reason="MAX_TOKENS"))
    assert read_answer(body, PRICES).data == b"bytes"


@pytest.mark.parametrize("data", ["abc", "a?==", "ü==="])
def test_what_is_no_base64_is_bad_bytes(data: str) -> None:
    """A cut or damaged text never passes as a shorter picture."""
    assert type(error_in(answer_of({"inlineData": {"data": data}}))) is BadBytes


@pytest.mark.parametrize(
    ("usage", "cost_usd_micros"),
    [
        (USAGE, 12 * 2 + 1120 * 120 + 268 * 12),
        ({"totalTokenCount": 1130, "promptTokenCount": 10, "candidatesTokenCount": 1120}, 10 * 2 + 1120 * 120),
        (
            {
                "totalTokenCount": 1910,
                "promptTokenCount": 570,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 10},
                    {"modality": "IMAGE", "tokenCount": 560},
                ],
                "candidatesTokenCount": 1340,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
            },
            10 * 2 + 560 * 3 + 1120 * 120 + 220 * 12,
        ),
        (
            {
                "totalTokenCount": 1340,
                "candidatesTokenCount": 1340,
                "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 220}],
            },
            1120 * 120 + 220 * 12,
        ),
        ({"totalTokenCount": 9, "promptTokenCount": 9}, 18),
        ({}, None),
        ({"totalTokenCount": "many"}, None),
    ],
)
def test_tokens_cost_by_their_kind(usage: dict[str, Any], cost_usd_micros: int | None) -> None:
    """Thoughts cost as text does; what no detail names is the picture on the way out and text on the way in."""
    assert cost_of(usage, PRICES) == cost_usd_micros
    assert cost_of(usage, None) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error_of(400, "INVALID_ARGUMENT"), Invalid),
        (400, error_of(400, "INVALID_ARGUMENT", error_info("API_KEY_INVALID")), Account),
        (400, error_of(400, "FAILED_PRECONDITION"), Account),
        (402, error_of(402, "RESOURCE_EXHAUSTED"), Account),
        (403, error_of(403, "PERMISSION_DENIED", error_info("SERVICE_DISABLED")), Account),
        (404, error_of(404, "NOT_FOUND"), Invalid),
        (429, [error_of(429, "RESOURCE_EXHAUSTED")], RateLimited),
        (429, error_of(429, "RESOURCE_EXHAUSTED", quota_failure(PER_DAY + "-FreeTier")), Account),
        (429, error_of(429, "RESOURCE_EXHAUSTED", {"metadata": {"quota_limit": "Gemini3RequestsPerDay"}}), Account),
        (429, error_of(429, "RESOURCE_EXHAUSTED", {"metadata": {"quota_limit": "RequestsPerMinute"}}), RateLimited),
        (499, error_of(499, "CANCELLED"), Ambiguous),
        (500, error_of(500, "INTERNAL"), Overloaded),
        (503, error_of(503, "UNAVAILABLE"), Overloaded),
        (504, error_of(504, "DEADLINE_EXCEEDED"), Ambiguous),
        (502, {"message": "<html>", "status": "Bad Gateway"}, Ambiguous),
        (503, None, Overloaded),
        (400, {"error": "text"}, Invalid),
    ],
)
def test_errors_are_told_by_code(status: int, body: object, kind: type[StepError]) -> None:
    """By Google's own names where it gives one that says more than the status does."""
    assert type(failure(status, body)) is kind


def test_the_message_names_the_quota() -> None:
    """People see which quota it was, and what Google says of it."""
    error = failure(429, error_of(429, "RESOURCE_EXHAUSTED", quota_failure(PER_DAY)))
    assert PER_DAY in str(error)
    assert "says the stand-in" in str(error)
