"""The tables that the benchmark prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bench.suite import Figures, Measured, Order, Row
from tests.bench.table import headlines, ratio, tables


def nothing(_order: Order) -> Iterator[Measured]:
    """A row that is not run here."""
    yield from ()


SPEED = Row(
    name="speed",
    title="{size} images",
    measure=nothing,
    sizes=(1_000, 10_000),
    quick_sizes=(1,),
    minutes=1,
    goal="faster.",
    compared=("images_per_second",),
    grows=("seconds",),
    headline=(("images_per_second", "summary_sent"),),
)


def measured(size: int, who: str, **figures: Any) -> dict[str, Any]:
    """One entry of the JSON."""
    values: Figures = figures
    return {"row": "speed", "size": size, "who": who, "case": "", "figures": values}


ENTRIES = [
    measured(1_000, "imagechord", images_per_second=100.0, seconds=10.0, summary_sent=True),
    measured(1_000, "stock canvas", images_per_second=25.0, seconds=40.0, summary_sent=False),
    measured(10_000, "imagechord", images_per_second=100.0, seconds=100.0, summary_sent=True),
]


def test_ratios_stand_beside_the_figures_of_the_others() -> None:
    """A line for each figure, a column for each contestant, padded so that it reads well as it is."""
    lines = list(tables({"speed": SPEED}, ENTRIES))

    assert "| images per second |        100 |   25 (0.25×) |" in lines
    assert "| summary sent      |        yes |           no |" in lines
    assert len({len(line) for line in lines[1:7] if line.startswith("|")}) == 1


def test_growth_and_goal_follow_the_tables() -> None:
    """What a reader asks next is said below."""
    text = "\n".join(tables({"speed": SPEED}, ENTRIES))

    assert "Growth of seconds (imagechord): linear, 0 + 10 per 1,000 images" in text
    assert "Growth of seconds (stock canvas)" not in text
    assert text.endswith("Goal: faster.")


def test_the_readme_gets_one_line_for_each_headline() -> None:
    """Of a row that grows, the largest size; what was not measured is a dash."""
    lines = list(headlines({"speed": SPEED}, ENTRIES))

    assert lines[2:] == ["| 10,000 images: images per second / summary sent |  100 / yes |            – |"]


def test_only_numbers_have_a_ratio() -> None:
    """Neither yes and no nor a missing or empty figure can be compared."""
    assert ratio(5.0, 2) == 2.5
    assert ratio(True, 1) is None
    assert ratio(None, 1) is None
    assert ratio(1, None) is None
    assert ratio(1, 0) is None
