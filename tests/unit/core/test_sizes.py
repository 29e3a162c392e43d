from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.catalogue import AnySize, AspectSizes, ExactSizes, ListedSizes
from tasks.core.pictures import Size
from tasks.core.sizes import native, parse_ratio

NANO_BANANA = AspectSizes(
    aspect_ratios=("1:1", "3:2", "2:3", "16:9", "9:16", "21:9"), resolutions={"1k": 1024, "2k": 2048, "4k": 4096}
)
SIDES = st.integers(16, 8192)


def test_any_size_is_drawn_as_asked() -> None:
    """A model that draws any size is asked for the size itself, without parameters."""
    drawn = native(AnySize(), Size(1200, 630))
    assert drawn.size == Size(1200, 630)
    assert drawn.parameters == {}


@pytest.mark.parametrize(
    ("asked", "ratio", "resolution"),
    [
        (Size(1024, 1024), "1:1", "1k"),
        (Size(1025, 1025), "1:1", "2k"),
        (Size(1200, 630), "16:9", "1k"),
        (Size(1080, 1920), "9:16", "2k"),
        (Size(3000, 1300), "21:9", "2k"),
        (Size(8000, 8000), "1:1", "4k"),
        (Size(64, 64), "1:1", "1k"),
    ],
)
def test_aspect_ratio_models_take_the_nearest_shape_then_the_smallest_cover(
    asked: Size, ratio: str, resolution: str
) -> None:
    """The crop decides the shape, the smallest covering class decides the resolution, else the largest."""
    assert native(NANO_BANANA, asked).parameters == {"aspect_ratio": ratio, "resolution": resolution}


def test_aspect_ratio_pictures_have_the_area_of_their_class() -> None:
    """The estimated native size keeps the pixels of 1:1 for every shape."""
    assert native(NANO_BANANA, Size(1200, 630)).size == Size(1365, 768)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (Size(1024, 1024), "1024x1024"),
        (Size(1200, 630), "1536x1024"),
        (Size(1080, 1920), "1024x1536"),
        (Size(2000, 2000), "2048x2048"),
        (Size(4000, 4000), "2048x2048"),
    ],
)
def test_listed_sizes_are_chosen_by_shape_and_cover(asked: Size, chosen: str) -> None:
    """Among listed sizes: best shape, then the smallest that covers, else the largest."""
    rule = ListedSizes(sizes=("2048x2048", "1024x1024", "1536x1024", "1024x1536"), parameter="image_size")
    assert native(rule, asked).parameters == {"image_size": chosen}


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (Size(1024, 1024), "1024x1024"),
        (Size(1200, 630), "1200x640"),
        (Size(64, 64), "816x816"),
        (Size(4000, 500), "4000x1344"),
        (Size(500, 4000), "1344x4000"),
        (Size(8000, 8000), "2880x2880"),
    ],
)
def test_exact_sizes_are_moved_inside_the_bounds(asked: Size, chosen: str) -> None:
    """Multiples round up; too few pixels grow, too many shrink; too long shapes get a longer short side."""
    rule = ExactSizes(multiple_of=16, min_pixels=655_360, max_pixels=8_294_400, max_ratio=3.0)
    drawn = native(rule, asked)
    assert drawn.parameters == {"size": str(drawn.size)}
    assert str(drawn.size) == chosen


@given(SIDES, SIDES, st.sampled_from([1, 8, 16, 64]), st.sampled_from([1.0, 2.0, 3.0, 7.5]))
def test_exact_sizes_always_obey_the_rule(width: int, height: int, multiple: int, ratio: float) -> None:
    """Whatever is asked, multiples, ratio and the highest number of pixels hold."""
    rule = ExactSizes(multiple_of=multiple, min_pixels=600_000, max_pixels=8_300_000, max_ratio=ratio)
    size = native(rule, Size(width, height)).size
    assert size.width % multiple == 0
    assert size.height % multiple == 0
    assert size.width * size.height <= rule.max_pixels
    assert size.width * size.height >= 0.8 * rule.min_pixels
    assert max(size.width, size.height) <= ratio * min(size.width, size.height) + 1e-6


@given(st.integers(16, 1600), st.floats(0.4, 2.5))
def test_exact_sizes_cover_what_fits(height: int, ratio: float) -> None:
    """What is inside the bounds with room for rounding is covered, so nothing is enlarged."""
    asked = Size(max(16, int(height * ratio)), height)
    size = native(ExactSizes(multiple_of=16, max_pixels=8_300_000), asked).size
    assert size.width >= asked.width
    assert size.height >= asked.height


@pytest.mark.parametrize("text", ["16x9", "16:0", "-1:2", "a:b", "1:2:3", ""])
def test_a_ratio_is_two_positive_numbers(text: str) -> None:
    """Anything but N:M is refused."""
    with pytest.raises(ValueError, match=r".*"):
        parse_ratio(text)


def test_the_resolution_class_may_have_another_name() -> None:
    """Seedream at Replicate calls it ``size``."""
    rule = AspectSizes(aspect_ratios=("1:1",), resolutions={"2K": 2048}, parameter="size")
    assert native(rule, Size(1000, 1000)).parameters == {"aspect_ratio": "1:1", "size": "2K"}
