"""Which model follows when one gives up, and what it would be asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.core.catalogue import AspectSizes, ListedSizes, ModelSpec
from tasks.core.errors import ErrorClass
from tasks.core.fallbacks import Drawn, Order, after, drawn_by, given_up, leads_on, with_fallbacks
from tasks.core.pictures import Size
from tasks.core.retry import BreakerRules, Decision, Failure, RetryRules, after_failing_alike, after_generate
from tasks.core.states import State
from tests.unit.core.factories import catalogue, images, planner, row

SQUARE = Size(1024, 1024)
ORDER = Order(key="A-2", variant=1, prompt="a lamp", size=SQUARE, native_size=SQUARE)


def model(alias: str, **settings: Any) -> ModelSpec:
    """A model that draws any size."""
    return ModelSpec(**{"alias": alias, "provider": "p", "model": f"{alias}-1"} | settings)


MODELS = {
    spec.alias: spec for spec in (model("a", fallback=("b", "c")), model("b", fallback=("d",)), model("c"), model("d"))
}


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(ErrorClass.ACCOUNT, attempts=1), True),
        (Failure(ErrorClass.OVERLOADED, attempts=3), True),
        (Failure(ErrorClass.NO_IMAGE, attempts=3), True),
        (Failure(ErrorClass.BAD_BYTES, attempts=3), True),
        (Failure(ErrorClass.NOT_SENT, unsent=12), True),
        (Failure(ErrorClass.OVERLOADED, attempts=2), False),
        (Failure(ErrorClass.RATE_LIMITED, unsent=99), False),
        (Failure(ErrorClass.REFUSED, attempts=1), False),
        (Failure(ErrorClass.INVALID, attempts=1), False),
        (Failure(ErrorClass.AMBIGUOUS, attempts=2, unknowns=2), False),
    ],
)
def test_what_makes_an_image_go_on_elsewhere(failure: Failure, expected: bool) -> None:
    """Trouble with the account and tries that are used up; not a try that is left, a bad prompt or an unknown end."""
    assert given_up(failure.error_class, after_generate(failure, RetryRules())) is expected


def test_an_unknown_outcome_that_is_held_stays_where_it_is() -> None:
    """The picture may be paid for."""
    assert not given_up(ErrorClass.AMBIGUOUS, Decision(end=State.UNKNOWN))


def test_a_model_that_is_held_has_given_up() -> None:
    """Ten wrong requests in a row are a model that is gone rather than ten wrong prompts."""
    assert given_up(ErrorClass.INVALID, after_failing_alike(ErrorClass.INVALID, BreakerRules()))


@pytest.mark.parametrize(
    ("asked", "current", "left"),
    [
        ("a", "a", ("b", "c")),
        ("a", "b", ("c",)),
        ("a", "c", ()),
        ("b", "b", ("d",)),
        ("d", "d", ()),
        ("a", "d", ()),
        ("gone", "gone", ()),
    ],
)
def test_the_asked_models_chain_is_followed(asked: str, current: str, left: tuple[str, ...]) -> None:
    """Onwards only, and never into the chain of a fallback: no image comes to a model twice."""
    assert after(MODELS, asked, current) == left


def test_a_fallback_that_nobody_knows_is_left_out() -> None:
    """A batch of an earlier catalogue may not have it."""
    assert after({"a": MODELS["a"], "c": MODELS["c"]}, "a", "a") == ("c",)


@pytest.mark.parametrize(("alias", "leads"), [("a", True), ("b", True), ("c", False), ("d", False)])
def test_a_model_may_lead_on_for_others(alias: str, leads: bool) -> None:
    """Also as a fallback that is not the last one."""
    assert leads_on(MODELS, alias) is leads


def test_all_that_a_batch_may_buy_from() -> None:
    """The models with their fallbacks, each once."""
    assert with_fallbacks(MODELS, ["c", "a"]) == ("c", "a", "b")


def test_the_new_picture_is_what_a_plan_would_have_made() -> None:
    """The same prompt and size; parameters, native size and fingerprint of the other model."""
    (before,) = images(planner(model="seedream-5"), row(2))
    (wanted,) = images(planner(), row(2))
    order = Order(key=before.key, variant=1, prompt=before.prompt, size=before.size, native_size=before.native_size)
    drawn = drawn_by(order, catalogue().models["nano-banana-2"])
    assert drawn == Drawn("nano-banana-2", wanted.native_size, wanted.parameters, wanted.fingerprint)


@pytest.mark.parametrize("change", [{"key": None}, {"variant": 2}, {"fresh": "x"}, {"references": ("d" * 64,)}])
def test_what_makes_a_picture_its_own_still_does(change: dict[str, Any]) -> None:
    """Shared, one of several, bought anew or changed from another: each is another picture."""
    spec = model("b", references=1)
    one, other = drawn_by(ORDER, spec), drawn_by(replace(ORDER, **change), spec)
    assert one is not None
    assert other is not None
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "settings",
    [
        {"max_prompt_chars": 5},
        {"sizes": ListedSizes(sizes=("512x512",))},
        {"sizes": AspectSizes(aspect_ratios=("16:9",), resolutions={"1k": 1024})},
    ],
)
def test_a_model_that_cannot_draw_it_is_passed_over(settings: dict[str, Any]) -> None:
    """The prompt is too long, or the picture would be blown up."""
    assert drawn_by(ORDER, model("b", **settings)) is None


def test_what_was_enlarged_before_may_be_enlarged_again() -> None:
    """The one who asked for so large a picture knew it."""
    order = replace(ORDER, native_size=Size(256, 256))
    assert drawn_by(order, model("b", sizes=ListedSizes(sizes=("512x512",)))) is not None


def test_a_model_without_edits_is_passed_over() -> None:
    """It would leave the pictures out that the image starts from."""
    order = replace(ORDER, references=("d" * 64, "e" * 64))
    assert drawn_by(order, model("b", references=1)) is None
    assert drawn_by(order, model("b", references=2)) is not None
