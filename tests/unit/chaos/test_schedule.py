"""A seed tells the whole story of a chaos run."""

from __future__ import annotations

from collections import Counter

from tests.chaos.mishaps import Mishap, cms_faults, is_refused, mishap
from tests.chaos.schedule import KILLS, Kind, schedule

PROMPTS = [f"prompt {n}" for n in range(4000)]


def test_a_seed_gives_the_same_schedule_again() -> None:
    """What happens and when is decided by the seed, and another seed decides otherwise."""
    assert schedule(7, 2000, 20, 2) == schedule(7, 2000, 20, 2)
    assert schedule(7, 2000, 20, 2) != schedule(8, 2000, 20, 2)


def test_a_schedule_has_its_kills_and_something_of_every_kind() -> None:
    """So many kills as were asked for, each other kind at least once, in order, none in the last tenth."""
    for kills in (2, 20):
        events = schedule(1, 2000, kills, 3)
        kinds = Counter(event.kind for event in events)
        assert sum(kinds[kind] for kind in KILLS) == kills
        assert all(kinds[kind] for kind in Kind if kind not in KILLS)
        assert [event.at for event in events] == sorted(event.at for event in events)
        assert all(60 <= event.at <= 1800 for event in events)
        assert {event.place for event in events} <= {0, 1, 2}


def test_mishaps_are_the_seeds_too() -> None:
    """Each kind of bad answer comes, as often for one seed as for another, and always to the same calls."""
    met = {prompt: mishap(3, prompt, 1) for prompt in PROMPTS}
    assert met == {prompt: mishap(3, prompt, 1) for prompt in PROMPTS}
    assert met != {prompt: mishap(4, prompt, 1) for prompt in PROMPTS}
    assert set(met.values()) == {*Mishap, None}
    assert 0.9 < sum(kind is None for kind in met.values()) / len(PROMPTS) < 0.99
    assert any(cms_faults(3, prompt) for prompt in PROMPTS)


def test_a_refused_prompt_stays_refused() -> None:
    """The content policy does not change its mind from one try to the next."""
    refused = [prompt for prompt in PROMPTS if is_refused(5, prompt)]
    assert refused
    assert {mishap(5, prompt, number) for prompt in refused for number in (1, 2, 3)} == {Mishap.REFUSED}
