"""What the answers of OpenAI's image API and its likes mean, and what they have cost."""

from __future__ import annotations

import base64
import io
import itertools
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from PIL import Image

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
from tasks.providers.openai_answer import read_answer
from tasks.providers.openai_compatible import OpenAICompatibleProvider, _body
from tests.contract.providers.conftest import MakeRequest
from tests.stand_ins.http_server import Reply
from tests.stand_ins.openai_api import COST_USD_MICROS, USAGE, OpenAIApi, error

PRICES = TokenPrices(input_text=Decimal(5), input_image=Decimal(8), output_image=Decimal(30))


def test_an_answer_without_an_end_is_cut() -> None:
    """No server fills our memory: an answer may hold the largest picture in base64, and not more."""
    with pytest.raises(BadBytes, match="bytes"):
        _body(itertools.repeat(bytes(1 << 20)), "Ark")


def test_usage_is_told_in_money(openai: OpenAICompatibleProvider, make_request: MakeRequest) -> None:
    """With the model's token prices the cost is the answer's usage, to the micro-dollar; without, it is not known."""
    assert openai.generate(replace(make_request(), token_prices=PRICES)).cost_usd_micros == COST_USD_MICROS
    assert openai.generate(make_request()).cost_usd_micros is None


@pytest.mark.parametrize(
    "answer",
    [{"data": []}, {"error": {"code": "moderation_blocked"}}, {"data": [{"b64_json": "abc"}]}],
    ids=["no picture", "refused", "no base64"],
)
def test_a_failure_tells_what_it_cost(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, make_request: MakeRequest, answer: dict[str, object]
) -> None:
    """Tokens are billed without a picture too, and the server's name for the call is kept for the complaint."""
    openai_api.reply = Reply(body={**answer, "usage": USAGE}, headers={"x-request-id": "req_7"})
    with pytest.raises(StepError) as caught:
        openai.generate(replace(make_request(), token_prices=PRICES))
    assert (caught.value.cost_usd_micros, caught.value.trace_id) == (COST_USD_MICROS, "req_7")


@pytest.mark.parametrize(
    ("usage", "cost_usd_micros"),
    [
        ({"output_tokens": 100}, 3000),
        ({"input_tokens": 10, "output_tokens": 100}, 3050),
        ({"output_tokens": 100, "output_tokens_details": {"image_tokens": 90, "text_tokens": 10}}, 2700),
        ({"output_tokens": "many"}, None),
        ({"generated_images": 1}, None),
        ("none", None),
    ],
)
def test_usage_is_read_without_trust(usage: object, cost_usd_micros: int | None) -> None:
    """Without details input is text and output the picture; what tells no tokens tells no cost."""
    answer = {"data": [{"url": "https://pictures.example/1.png"}], "usage": usage}
    assert read_answer("Ark", json.dumps(answer).encode(), PRICES).cost_usd_micros == cost_usd_micros


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((400, "content_policy_violation", "invalid_request_error"), Refused),
        ((400, None, "image_generation_user_error"), Refused),
        ((400, "invalid_image_file", "image_generation_user_error"), Invalid),
        ((400, "OutputImageSensitiveContentDetected", "BadRequest"), Refused),
        ((400, "SensitiveContentDetected.Violence", "BadRequest"), Refused),
        ((400, "InputImageRiskDetection", "BadRequest"), Refused),
        ((400, "billing_hard_limit_reached", "invalid_request_error"), Account),
        ((429, "project_spend_limit_exceeded", "insufficient_quota"), Account),
        ((429, "a_new_limit", "insufficient_quota"), Account),
        ((429, "SetLimitExceeded", "TooManyRequests"), Account),
        ((404, "ModelNotOpen", "NotFound"), Account),
        ((402, None, ""), Account),
        ((403, None, ""), Account),
        ((413, None, ""), Invalid),
        ((422, None, ""), Invalid),
        ((429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"), RateLimited),
        ((529, None, ""), Overloaded),
        ((408, None, ""), Ambiguous),
        ((502, None, ""), Ambiguous),
        ((504, None, ""), Ambiguous),
        ((307, None, ""), Account),
    ],
)
def test_codes_and_states_of_the_makers(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    said: tuple[int, str | None, str],
    expected: type[StepError],
) -> None:
    """A code says more than the status; a redirect is not followed with a POST that costs money."""
    headers = {"Location": f"{openai_api.openai_url}/images/generations"} if said[0] == 307 else None
    openai_api.reply = error(*said, headers)
    with pytest.raises(StepError) as caught:
        openai.generate(make_request())
    assert type(caught.value) is expected
    assert caught.value.trace_id == "req_failed"
    assert len(openai_api.paid) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"code": "moderation_blocked", "message": "no"}}, (Refused, "moderation_blocked")),
        ({"data": [{"error": {"code": "OutputImageSensitiveContentDetected"}}]}, (Refused, "Sensitive")),
        ({"data": [{"error": {"code": "new", "message": "nothing came"}}]}, (NoImage, "new nothing came")),
        ({"data": [{"b64_json": None, "url": ""}]}, (NoImage, "no picture")),
        ({"data": ["?"]}, (NoImage, "no picture")),
        ({"data": None}, (NoImage, "no picture")),
        ([], (NoImage, "no picture")),
        ("", (NoImage, "nothing")),
        ("{", (NoImage, "no JSON")),
        ({"data": [{"b64_json": "abc"}]}, (BadBytes, "base64")),
        ({"data": [{"b64_json": "ü"}]}, (BadBytes, "base64")),
    ],
    ids=str,
)
def test_a_success_is_read_without_trust(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    body: dict[str, object],
    expected: tuple[type[StepError], str],
) -> None:
    """Status 200 promises nothing: gateways put refusals, errors and nothing at all behind it."""
    openai_api.reply = Reply(body=body, headers={"Content-Type": "application/json"})
    kind, told = expected
    with pytest.raises(kind, match=told):
        openai.generate(make_request())


def test_a_data_uri_is_base64_too(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, make_request: MakeRequest
) -> None:
    """Some gateways write the type before it, and lines of 76 characters."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    encoded = base64.encodebytes(buffer.getvalue()).decode()
    openai_api.reply = Reply(body={"data": [{"b64_json": f"data:image/png;base64,{encoded}"}]})
    assert openai.generate(make_request()).data == buffer.getvalue()
