"""How much is released to a model's queue, and whose: bounded, in proportion to the weights, starving nobody."""

from __future__ import annotations

from collections import Counter, deque
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.limits import LimitState
from tasks.core.preferences import Preferences
from tasks.core.waves import WEIGHTS, Bounds, Claimant, Occupancy, is_low, pace_per_minute, room, turns, window

MANY = 100_000


def state(**values: Any) -> LimitState:
    """How a model's limits stand."""
    return LimitState("m", **values)


@pytest.mark.parametrize(
    ("limits", "images"),
    [
        (state(), 500),
        (state(per_minute=6.0), 10),
        (state(per_minute=600.0), 50),
        (state(per_minute=60_000.0), 500),
        (state(per_minute=6000.0, found_per_minute=600.0), 50),
    ],
)
def test_a_wave_is_five_seconds_of_the_models_pace(limits: LimitState, images: int) -> None:
    """Between 10 and 500 images are released at a time, whatever the size of the batch."""
    assert window(limits, 1.0, Preferences()) == images


@pytest.mark.parametrize(
    ("limits", "images"),
    [
        (state(paused_seconds=30.0), 500),
        (state(paused_seconds=61.0), 0),
        (state(per_day=1000, started_today=993), 7),
        (state(per_day=1000, started_today=1001), 0),
    ],
)
def test_a_closed_model_has_no_window(limits: LimitState, images: int) -> None:
    """Nothing is released into a pause that messages should not sit out, nor beyond the provider's day."""
    assert window(limits, 1.0, Preferences()) == images


@pytest.mark.parametrize(
    ("limits", "typical_seconds", "per_minute"),
    [
        (state(), 10.0, None),
        (state(per_minute=600), 10.0, 600.0),
        (state(in_flight=300), 10.0, 1800.0),
        (state(per_minute=600, in_flight=5), 10.0, 30.0),
        (state(per_minute=6, in_flight=5), 10.0, 6.0),
    ],
)
def test_the_pace_is_that_of_the_tightest_limit(
    limits: LimitState, typical_seconds: float, per_minute: float | None
) -> None:
    """So many calls at a time, each of so many seconds, are a pace too."""
    assert pace_per_minute(limits, typical_seconds) == per_minute


def bounds(window: int) -> Bounds:
    """Of a model whose deliveries keep up."""
    return Bounds(window, undelivered=MANY)


def test_what_is_queued_takes_room() -> None:
    """Images that wait for their own next try do not, until with them four windows are queued."""
    assert room(bounds(10), Occupancy(ready=4, waiting=0, undelivered=0)) == 6
    assert room(bounds(10), Occupancy(ready=4, waiting=20, undelivered=0)) == 6
    assert room(bounds(10), Occupancy(ready=4, waiting=33, undelivered=0)) == 3
    assert room(bounds(10), Occupancy(ready=4, waiting=50, undelivered=0)) == 0


def test_what_is_undelivered_takes_room() -> None:
    """Of all models together."""
    assert room(Bounds(10, undelivered=20), Occupancy(ready=0, waiting=0, undelivered=15)) == 5
    assert room(Bounds(10, undelivered=20), Occupancy(ready=0, waiting=0, undelivered=25)) == 0


@pytest.mark.parametrize(
    ("window", "ready", "low"),
    [(10, 5, True), (10, 6, False), (11, 5, True), (11, 6, False), (1, 0, True), (1, 1, False), (0, 0, False)],
)
def test_low_is_room_for_half_a_window(window: int, ready: int, low: bool) -> None:
    """And never in a model that is closed."""
    assert is_low(bounds(window), Occupancy(ready, waiting=0, undelivered=0)) is low


@st.composite
def claims(draw: st.DrawFn) -> list[Claimant]:
    """Up to 40 batches of any priority and size, some of them in the queue already."""
    return [
        Claimant(f"b-{n}", draw(st.sampled_from(sorted(WEIGHTS.values()))), draw(st.integers(0, 60)), planned)
        for n, planned in enumerate(draw(st.lists(st.integers(0, 300), max_size=40)))
    ]


@given(claims(), st.integers(0, 300), st.integers(0, 2000), st.integers(0, 1200))
def test_never_more_than_the_room_but_for_who_has_nothing(
    claimants: list[Claimant], size: int, waiting: int, undelivered: int
) -> None:
    """At most the room, and one image of each batch that has none in the queue; never beyond the hard bounds."""
    limits = Bounds(size, undelivered=1000)
    occupied = Occupancy(sum(each.queued for each in claimants), waiting, undelivered)
    order = turns(limits, occupied, claimants)
    empty = sum(1 for each in claimants if each.planned and not each.queued)
    assert len(order) <= room(limits, occupied) + empty
    assert occupied.ready + waiting + len(order) <= max(4 * size, occupied.ready + waiting)
    assert undelivered + len(order) <= max(1000, undelivered)
    for each in claimants:
        assert order.count(each.batch_id) <= each.planned


@given(claims(), st.integers(1, 300))
def test_the_room_is_used_up_and_nobody_starves(claimants: list[Claimant], size: int) -> None:
    """All room is given while anybody has images; who has nothing in the queue is given one, up to four windows."""
    occupied = Occupancy(sum(each.queued for each in claimants), waiting=0, undelivered=0)
    given_out = Counter(turns(bounds(size), occupied, claimants))
    planned = sum(each.planned for each in claimants)
    assert given_out.total() >= min(planned, room(bounds(size), occupied))
    empty = [each.batch_id for each in claimants if each.planned and not each.queued]
    if occupied.ready + len(empty) <= 4 * size:
        assert all(given_out[batch_id] for batch_id in empty)


@given(st.lists(st.sampled_from(sorted(WEIGHTS.values())), min_size=1, max_size=8), st.integers(0, 500))
def test_an_empty_queue_is_shared_in_proportion_to_the_weights(weights: list[int], spare: int) -> None:
    """To within two images, once everybody's share is at least one."""
    size = sum(weights) + spare
    claimants = [Claimant(f"b-{n}", weight, 0, MANY) for n, weight in enumerate(weights)]
    held = Counter(turns(bounds(size), Occupancy(0, 0, 0), claimants))
    for each in claimants:
        assert abs(held[each.batch_id] - size * each.weight / sum(weights)) <= 2


@settings(deadline=None)
@given(st.integers(10, 500), st.integers(0, 500))
def test_a_small_batch_behind_a_large_one_is_soon_done(size: int, phase: int) -> None:
    """Ten images are bought within 50 of the model's, or 10 s of its pace (two windows), whenever they come."""
    shop = Shop(size, {"large": "normal"}, Random(0))
    shop.buy(phase)
    shop.come("small", 10)
    bought = 0
    while shop.planned["small"] or "small" in shop.queue:
        shop.buy(1)
        bought += 1
    assert bought <= max(50, 2 * size)


@settings(deadline=None, max_examples=30)
@given(st.integers(10, 60), st.integers(2, 30), st.randoms(use_true_random=False))
def test_in_the_long_run_equals_are_served_equally(size: int, batches: int, random: Random) -> None:
    """Also when there are more batches than the window has places."""
    shop = Shop(size, {f"b-{n}": "normal" for n in range(batches)}, random)
    shop.buy(batches * 100)
    assert min(shop.bought.values()) >= 75
    assert max(shop.bought.values()) <= 125


@settings(deadline=None, max_examples=30)
@given(st.integers(10, 500), st.randoms(use_true_random=False))
def test_in_the_long_run_the_heavier_is_served_more(size: int, random: Random) -> None:
    """In proportion where the window has room for it; the smallest windows cannot tell 4 to 1 from 16 to 1 sharply."""
    shop = Shop(size, {"low": "low", "normal": "normal", "high": "high"}, random)
    shop.buy(2100)
    low, normal, high = (shop.bought[name] for name in ("low", "normal", "high"))
    assert low >= 50
    assert normal >= 1.2 * low
    assert high >= 2.5 * normal
    if size >= 100:
        assert abs(low - 100) <= 30
        assert abs(normal - 400) <= 60


class Shop:
    """A queue, first come, first served, that is filled when it runs low."""

    def __init__(self, size: int, batches: dict[str, str], random: Random) -> None:
        self.bounds = bounds(size)
        self.weights = {name: WEIGHTS[priority] for name, priority in batches.items()}
        self.planned = dict.fromkeys(batches, MANY)
        self.random = random
        self.queue: deque[str] = deque()
        self.bought: Counter[str] = Counter()
        self.release()

    def come(self, name: str, images: int) -> None:
        """Another batch."""
        self.weights[name] = WEIGHTS["normal"]
        self.planned[name] = images
        self.release()

    def release(self) -> None:
        """One wave."""
        held = Counter(self.queue)
        claimants = [Claimant(name, self.weights[name], held[name], left) for name, left in self.planned.items()]
        self.random.shuffle(claimants)
        order = turns(self.bounds, self._occupied(), claimants)
        self.queue += order
        for name in order:
            self.planned[name] -= 1

    def buy(self, images: int) -> None:
        """Serve the oldest images."""
        for _ in range(images):
            self.bought[self.queue.popleft()] += 1
            if is_low(self.bounds, self._occupied()):
                self.release()

    def _occupied(self) -> Occupancy:
        return Occupancy(len(self.queue), waiting=0, undelivered=0)
