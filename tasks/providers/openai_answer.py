"""What a server with OpenAI's image API said, and what follows from it. Pure: JSON in, a verdict out.

OpenAI's codes are those of its API reference and of its error guide, Ark's those of ModelArk's list of error codes
(docs.byteplus.com/en/docs/ModelArk/1299023, read in November 2026).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tasks.core.catalogue import TokenPrices
from tasks.core.errors import Account, BadBytes, NoImage, Overloaded, Refused, StepError
from tasks.providers.http_errors import Unsuccessful, brief, error_of

_CODES: dict[type[StepError], str] = {
    Refused: "moderation_blocked content_policy_violation content_filter image_generation_user_error "
    # Ark's, each with more after a dot; the last four come from a shop's own ContentSecurity rules
    "sensitivecontentdetected inputtextsensitivecontentdetected inputimagesensitivecontentdetected "
    "outputtextsensitivecontentdetected outputimagesensitivecontentdetected "
    "inputtextriskdetection inputimageriskdetection outputtextriskdetection outputimageriskdetection",
    Account: "insufficient_quota billing_hard_limit_reached billing_not_active account_deactivated "
    "organization_spend_limit_exceeded organization_usage_limit_exceeded project_spend_limit_exceeded "
    # Ark's: a trial or a limit of one's own is used up, the model is not activated for the account
    "quotaexceeded setlimitexceeded modelnotopen invalidendpointormodel.modelidaccessdisabled "
    "invalidendpoint.closedendpoint",
    Overloaded: "serveroverloaded",  # Ark's, with 429
}
CODES = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
"""OpenAI's and Ark's codes, and what they mean whatever the status."""

_VAGUE = "image_generation_user_error"
"""OpenAI's type of refusals, and of wrong parameters: there the code tells which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success answer: the picture as base64, or the URL where it is; with what the call has cost, if that is told."""

    b64: str = ""
    url: str = ""
    cost_usd_micros: int | None = None


def read_answer(service: str, body: bytes, prices: TokenPrices | None) -> Answer:
    """Read the body of an answer with status 200.

    Raises Refused, Account or Overloaded when it carries an error with a code of theirs; NoImage when there is no
    picture in it for any other reason.
    """
    try:
        answer = _table(json.loads(body))
    except ValueError as error:
        said = brief(body[:2000].decode("utf-8", "replace"))
        raise NoImage(f"{service} answered with no JSON: {said or 'nothing'}") from error
    cost = cost_of(_table(answer.get("usage")), prices)
    listed = answer.get("data")
    first = _table(listed[0]) if isinstance(listed, list) and listed else {}
    b64, url = _text(first.get("b64_json")), _text(first.get("url"))
    if b64 or url:
        return Answer(b64, url, cost)
    raise _without_picture(service, first if "error" in first else answer, cost)


def decoded(b64: str) -> bytes:
    """The bytes of base64, also of a data URI, not yet looked at. Raises BadBytes."""
    try:
        return base64.b64decode(b64.rpartition(",")[2])
    except ValueError as error:  # also binascii's
        raise BadBytes(f"the picture is no whole base64: {error}") from error


def unsuccessful(status: int, body: object) -> Unsuccessful:
    """Code, type and message of an error's body, wherever the server has put them.

    ``body`` is what was parsed: a table, OpenAI's with all in ``error``; or text, or ``None``.
    """
    told = _table(body)
    told = _table(told.get("error")) or told
    code, kind = _text(told.get("code")), _text(told.get("type"))
    names = (code, code.partition(".")[0], "" if code and kind == _VAGUE else kind)
    message = _text(told.get("message")) or _text(told.get("detail")) or _text(body)
    return Unsuccessful(status, tuple(dict.fromkeys(name for name in names if name)), message)


def cost_of(usage: Mapping[str, Any], prices: TokenPrices | None) -> int | None:
    """What the tokens of ``usage`` cost in micro-dollars; ``None`` without prices, or where no tokens are told.

    A price is in dollars for a million tokens, which is micro-dollars for one. Input without details is text, output
    without details is the picture.
    """
    if prices is None or not isinstance(usage.get("output_tokens"), int):
        return None
    text_in, image_in = _split(usage, "input", "image_tokens")
    image_out, text_out = _split(usage, "output", "text_tokens")
    cost = prices.input_text * text_in + prices.input_image * image_in
    cost += prices.output_image * image_out + prices.output_text * text_out
    return int(Decimal(cost).to_integral_value(ROUND_HALF_UP))


def _split(usage: Mapping[str, Any], side: str, other: str) -> tuple[int, int]:
    """Tokens of the usual kind and of the ``other`` one: what no detail claims is of the usual kind."""
    others = _number(_table(usage.get(f"{side}_tokens_details")).get(other))
    return max(_number(usage.get(f"{side}_tokens")) - others, 0), others


def _without_picture(service: str, said: Mapping[str, Any], cost_usd_micros: int | None) -> StepError:
    """The error of a 200 without a picture: by its code where it has one that we know."""
    failed = unsuccessful(200, said)
    if any(code.lower() in CODES for code in failed.codes):
        error = error_of(service, failed, CODES)
        error.cost_usd_micros = cost_usd_micros
        return error
    reason = " ".join([*failed.codes[:1], brief(failed.message)]).strip()
    return NoImage(
        f"{service} reported success and sent no picture{reason and f': {reason}'}", cost_usd_micros=cost_usd_micros
    )


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
