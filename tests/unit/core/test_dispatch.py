"""What people read of a task in place of its ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.core.dispatch import Ticket, label_of


def test_a_label_names_batch_and_key() -> None:
    """And the image, for whoever looks it up."""
    assert label_of(Ticket(17, 2), "Spring 2026", "CUP-1", 1) == "Spring 2026 · CUP-1 · image 17, sending 2"


def test_a_label_tells_the_pictures_of_a_row_apart() -> None:
    """The first of a row is the usual one, and needs no number."""
    assert label_of(Ticket(18, 1), "Spring", "CUP-1", 2) == "Spring · CUP-1 #2 · image 18, sending 1"


@given(st.text(), st.text(), st.integers(1, 100), st.integers(1, 10**9), st.integers(1, 10**4))
def test_a_label_is_one_short_line(name: str, key: str, variant: int, image_id: int, dispatch_no: int) -> None:
    """Whatever is in the shop's file."""
    label = label_of(Ticket(image_id, dispatch_no), name, key, variant)
    assert label.isprintable()
    assert len(label) < 160


def test_what_is_cut_off_is_seen_to_be() -> None:
    """A key of four hundred characters ends in an ellipsis."""
    assert "k…" in label_of(Ticket(1, 1), "n", "k" * 400, 1)
