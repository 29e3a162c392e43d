from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import InputError
from tasks.core.pictures import Size


@pytest.mark.parametrize("text", ["1200x630", " 1200 X 630 ", "1200×630", "1200*630"])
def test_sizes_are_read_as_people_write_them(text: str) -> None:
    """x, X, × and * stand between the sides."""
    assert Size.parse(text) == Size(1200, 630)


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_a_size_is_read_as_it_is_written(width: int, height: int) -> None:
    """Text and value are the same thing."""
    size = Size(width, height)
    assert Size.parse(str(size)) == size


@pytest.mark.parametrize("text", ["", "big", "1024", "1024x", "-5x5", "1.5x2", "100000x5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """The message shows how to write it."""
    with pytest.raises(InputError, match="write it like 1024x1024"):
        Size.parse(text)


@pytest.mark.parametrize("text", ["15x16", "16x15", "8193x16", "16x8193"])
def test_sides_have_bounds(text: str) -> None:
    """From 16 to 8192 pixels."""
    with pytest.raises(InputError, match="16 to 8192"):
        Size.parse(text)
