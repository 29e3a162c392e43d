"""The chaos runner's gates: all hold for true books, and each falls for the one lie that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.core.states import State
from tests.chaos.books import Attempt, Books, Image
from tests.chaos.gates import GATES, check
from tests.chaos.maker import PRICE_USD_MICROS, Charge
from tests.chaos.sampler import Sample
from tests.stand_ins.anycap_api import paint

KEYS = ("cup-1", "cup-2", "cup-3", "cup-4")


def image(number: int, **different: Any) -> Image:
    """A published image, bought with one call."""
    made = Image(
        id=number,
        key=f"cup-{number}",
        prompt=f"prompt {number}",
        fingerprint=f"f{number}",
        state=State.PUBLISHED,
        attempts=1,
        unknowns=0,
        delivery_attempts=0,
        reserved_usd_micros=0,
        cost_usd_micros=PRICE_USD_MICROS,
        worker_id=None,
        error_class=None,
        error_step=None,
        error_message=None,
        output_key=f"cup-{number}.png",
        public_url=f"http://bucket/chaos/cup-{number}.png",
    )
    return replace(made, **different)


NOWHERE = {"output_key": None, "public_url": None}
TRUE = Books(
    keys=KEYS,
    price_usd_micros=PRICE_USD_MICROS,
    refused_prompts=frozenset({"prompt 4"}),
    images=[
        image(1),
        image(2, attempts=2, unknowns=1, cost_usd_micros=2 * PRICE_USD_MICROS),  # a worker died, and it was paid
        image(3, state=State.FAILED, attempts=3, unknowns=2, cost_usd_micros=2 * PRICE_USD_MICROS, **NOWHERE),
        image(4, state=State.REFUSED, cost_usd_micros=0, **NOWHERE),
    ],
    attempts=[
        Attempt(1, 1, "generated", PRICE_USD_MICROS),
        Attempt(2, 1, "ambiguous", PRICE_USD_MICROS),
        Attempt(2, 2, "generated", PRICE_USD_MICROS),
        Attempt(3, 1, "ambiguous", PRICE_USD_MICROS),
        Attempt(3, 2, "ambiguous", PRICE_USD_MICROS),
        Attempt(4, 1, "refused", 0),
    ],
    round=1,
    budget_usd_micros=30 * PRICE_USD_MICROS,
    reserved_usd_micros=0,
    spent_usd_micros=5 * PRICE_USD_MICROS,
    samples=[Sample(4, 2 * PRICE_USD_MICROS, 3 * PRICE_USD_MICROS, 6 * PRICE_USD_MICROS)],
    charges=[Charge("prompt 1", "f1-1-1"), Charge("prompt 2", "f2-2-1"), Charge("prompt 2", "f2-2-2")],
    unclear_calls=2,
    lost_slots=8,
    objects={f"cup-{n}.png": paint(f"prompt {n}", 64, 64) for n in (1, 2)},
    products={**dict.fromkeys(KEYS), **{f"cup-{n}": f"http://bucket/chaos/cup-{n}.png" for n in (1, 2)}},
    messages=["🚀 `b`: generating 4 images", "⚠️ `b`: 2/4 succeeded · 2 failed"],
)


def with_image(number: int, **different: Any) -> list[Image]:
    """The images of the true books, one of them different."""
    return [replace(each, **different) if each.id == number else each for each in TRUE.images]


LIES: dict[str, tuple[str, dict[str, Any]]] = {
    "a run that hangs": ("it_ends", {"stalled": "nothing was published for 60 s"}),
    "a run that was over too soon": ("it_ends", {"missed_events": 1}),
    "a row without an image": ("every_row_has_one_end", {"images": TRUE.images[:3]}),
    "an image that still moves": ("every_row_has_one_end", {"images": with_image(3, state=State.GENERATING)}),
    "counts that did not add up": ("every_row_has_one_end", {"samples": [Sample(3, 0, 0, 1)]}),
    "refused by nobody": ("ends_are_deserved", {"refused_prompts": frozenset()}),
    "failed too early": ("ends_are_deserved", {"images": with_image(3, attempts=1, unknowns=1)}),
    "cancelled by nobody": ("ends_are_deserved", {"images": with_image(3, state=State.CANCELLED)}),
    "held without a reason": ("ends_are_deserved", {"images": with_image(3, state=State.HELD)}),
    "held for want of money that is there": (
        "ends_are_deserved",
        {"images": with_image(3, state=State.HELD, error_class="budget")},
    ),
    "not in the CMS": ("ledger_cms_and_bucket_agree", {"products": {**TRUE.products, "cup-1": None}}),
    "in the CMS in vain": ("ledger_cms_and_bucket_agree", {"products": {**TRUE.products, "cup-3": "http://x/y.png"}}),
    "not in the bucket": ("ledger_cms_and_bucket_agree", {"objects": {"cup-1.png": TRUE.objects["cup-1.png"]}}),
    "in the bucket in vain": ("ledger_cms_and_bucket_agree", {"objects": {**TRUE.objects, "cup-9.png": b""}}),
    "somebody else's picture": (
        "pictures_show_their_own_prompt",
        {"objects": {**TRUE.objects, "cup-1.png": paint("prompt 2", 64, 64)}},
    ),
    "bought twice": ("bought_once", {"charges": [*TRUE.charges, Charge("prompt 1", "f1-1-1")]}),
    "charged without a claim": ("every_charge_was_claimed", {"charges": [Charge("prompt 1", "f1-1-7")]}),
    "one claim charged twice": ("every_charge_was_claimed", {"charges": [Charge("prompt 2", "f2-2-1")] * 2}),
    "unknown without a reason": ("unknowns_are_explained", {"unclear_calls": 0, "lost_slots": 2}),
    "not booked": ("money_adds_up", {"spent_usd_micros": 2 * PRICE_USD_MICROS}),
    "booked elsewhere": ("money_adds_up", {"images": with_image(1, cost_usd_micros=0)}),
    "over the budget": ("money_adds_up", {"samples": [Sample(4, 2, 5, 6)]}),
    "no summary": ("one_true_summary", {"messages": TRUE.messages[:1]}),
    "two summaries": ("one_true_summary", {"messages": [*TRUE.messages, TRUE.messages[1]]}),
    "a message of another kind": ("one_true_summary", {"messages": [*TRUE.messages, "hello"]}),
    "a wrong summary": ("one_true_summary", {"messages": [TRUE.messages[0], "✅ `b`: 3/4 succeeded · 1 failed"]}),
    "money still reserved": ("nothing_is_left_over", {"reserved_usd_micros": PRICE_USD_MICROS}),
    "a worker's image": ("nothing_is_left_over", {"images": with_image(1, worker_id="w")}),
    "an open attempt": ("nothing_is_left_over", {"attempts": [*TRUE.attempts, Attempt(1, 2, None, None)]}),
    "a message that was never sent": ("nothing_is_left_over", {"unsent_summaries": 1}),
    "a message that nobody read": ("nothing_is_left_over", {"left_in_queues": {"imagechord.deliver": 1}}),
}


def test_true_books_pass() -> None:
    """Unknown outcomes, a refusal and a failure that was due are no reason to complain."""
    assert [str(finding) for finding in check(TRUE)] == []


@pytest.mark.parametrize("lie", LIES)
def test_each_lie_is_found(lie: str) -> None:
    """The gate that the lie is about says so, in words."""
    gate, different = LIES[lie]
    found = {finding.gate: finding.words for finding in check(replace(TRUE, **different))}
    assert gate in found
    assert len(found[gate]) > 20


def test_every_gate_has_been_lied_to() -> None:
    """No gate is there that has never been seen to fall."""
    names: set[Callable[..., Any] | str] = {gate.__name__ for gate in GATES}
    assert names == {gate for gate, _different in LIES.values()}
