"""What a row of the benchmark is, and what it measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Figure = float | int | bool | str | None
Figures = dict[str, Figure]


@dataclass(frozen=True)
class Order:
    """What is asked of a row. ``quick`` shortens what depends on time; ``who`` are the contestants' names."""

    size: int
    quick: bool
    who: frozenset[str]


@dataclass(frozen=True)
class Measured:
    """The figures of one contestant in one case. Units are in the names; ``None`` where it could not be measured."""

    who: str
    figures: Figures
    case: str = ""


@dataclass(frozen=True)
class Row:
    """One question. ``title`` names the size as ``{size}``; ``minutes`` is how long all its sizes take.

    ``compared`` are figures whose ratio to this project's is shown, ``grows`` those whose growth with the size is.
    ``headline`` are those for the README, which takes a line for each group, and of a row that grows the largest size.
    """

    name: str
    title: str
    measure: Callable[[Order], Iterator[Measured]]
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    minutes: float
    goal: str = ""
    compared: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    headline: tuple[tuple[str, ...], ...] = ()
