from __future__ import annotations

import pytest

from tasks.core.errors import InputError
from tasks.core.selection import RETRIED, Edit, Selection
from tasks.core.states import State


def test_without_a_word_all_that_failed_is_chosen() -> None:
    """Not what was cancelled: that was somebody's wish."""
    assert Selection.of() == Selection(RETRIED, None, None)
    assert State.CANCELLED not in Selection.of().states


def test_cancelled_pictures_are_asked_for_by_name() -> None:
    """And then they alone are meant."""
    assert Selection.of("Cancelled").states == (State.CANCELLED,)


def test_a_key_counts_once() -> None:
    """However often it is typed."""
    assert Selection.of(None, ["B", "A", "B"]).keys == ("B", "A")


@pytest.mark.parametrize(
    ("word", "mend"),
    [("held", "imagechord resume"), ("published", "--fresh"), ("queued", "under way"), ("uploaded", "under way")],
)
def test_states_that_are_not_retried_are_refused(word: str, mend: str) -> None:
    """The message names what does it instead."""
    with pytest.raises(InputError, match=mend):
        Selection.of(word)


def test_template_and_model_can_be_edited() -> None:
    """One, both, or none of them."""
    assert Edit.of([("template", "product"), ("model", "seedream-5")]) == Edit("product", "seedream-5")
    assert Edit.of([("model", "seedream-5")]) == Edit(model="seedream-5")
    assert Edit.of([]) is None


@pytest.mark.parametrize("change", [("prompt", "a cup"), ("model", " ")])
def test_nothing_else_can_be_edited(change: tuple[str, str]) -> None:
    """And an edit needs a value."""
    with pytest.raises(InputError, match=r"template=NAME and model=ALIAS"):
        Edit.of([change])
