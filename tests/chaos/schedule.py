"""What happens when: decided by the seed and by progress alone, so that a seed tells the whole story. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What is done to the installation."""

    KILL = "kill"  # SIGKILL of one worker's process group
    KILL_ALL = "kill-all"
    TERMINATE = "terminate"
    BROKER_KEPT = "broker-kept"  # killed, and back with a snapshot of its data
    BROKER_EMPTY = "broker-empty"
    RESET = "reset"  # every connection to the broker
    REFUSE = "refuse"  # connections to the broker, for a while
    DUPLICATE = "duplicate"  # messages


KILLS = frozenset({Kind.KILL, Kind.KILL_ALL})

# Of each, one for so many kills, and at least one.
_KILLS_FOR_ONE = {
    Kind.TERMINATE: 5,
    Kind.BROKER_KEPT: 7,
    Kind.BROKER_EMPTY: 7,
    Kind.RESET: 4,
    Kind.REFUSE: 7,
    Kind.DUPLICATE: 2,
}
_FIRST, _LAST = 0.03, 0.90
"""The part of a run in which something happens: no worker dies while it sends the summary."""


@dataclass(frozen=True, slots=True)
class Event:
    """``at`` is how many pictures are in the CMS; ``place`` is the worker's; ``seconds`` how long it lasts."""

    at: int
    kind: Kind
    place: int
    seconds: float

    def __str__(self) -> str:
        details = {
            Kind.KILL: f" worker {self.place}",
            Kind.TERMINATE: f" worker {self.place}",
            Kind.REFUSE: f" for {self.seconds:.1f} s",
            Kind.BROKER_KEPT: f" for {self.seconds:.1f} s",
            Kind.BROKER_EMPTY: f" for {self.seconds:.1f} s",
        }
        return f"at {self.at}: {self.kind}{details.get(self.kind, '')}"


def schedule(seed: int, images: int, kills: int, workers: int) -> list[Event]:
    """The events of a run, in their order; a fourth of the kills strikes all workers at once."""
    random = Random(f"{seed} schedule")
    kinds = [Kind.KILL_ALL if number % 4 == 3 else Kind.KILL for number in range(kills)]
    for kind, each in _KILLS_FOR_ONE.items():
        kinds += [kind] * max(1, kills // each)
    return sorted(
        (
            Event(
                at=random.randint(round(images * _FIRST), round(images * _LAST)),
                kind=kind,
                place=random.randrange(workers),
                seconds=random.uniform(0.2, 3.0),
            )
            for kind in kinds
        ),
        key=lambda event: event.at,
    )
