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
    FREEZE = "freeze"  # SIGSTOP of one worker until its lease has run out, then SIGCONT
    BROKER_KEPT = "broker-kept"  # killed, and back with the data of a moment before
    BROKER_EMPTY = "broker-empty"
    RESET = "reset"  # every connection to the broker
    REFUSE = "refuse"  # connections to the broker, for a while
    SILENCE = "silence"  # on every connection to the broker, for a while
    DUPLICATE = "duplicate"  # messages
    PAUSE = "pause"  # of the batch, by a person who resumes it


KILLS = frozenset({Kind.KILL, Kind.KILL_ALL})
STRIKES_ONE = frozenset({Kind.KILL, Kind.TERMINATE, Kind.FREEZE})
LASTS = frozenset({Kind.FREEZE, Kind.BROKER_KEPT, Kind.BROKER_EMPTY, Kind.REFUSE, Kind.SILENCE, Kind.PAUSE})

# Of each, one for so many kills, and at least one.
_KILLS_FOR_ONE = {
    Kind.TERMINATE: 5,
    Kind.FREEZE: 7,
    Kind.BROKER_KEPT: 7,
    Kind.BROKER_EMPTY: 7,
    Kind.RESET: 4,
    Kind.REFUSE: 7,
    Kind.SILENCE: 10,
    Kind.DUPLICATE: 2,
    Kind.PAUSE: 10,
}
_SHORT_SECONDS = (0.2, 3.0)
_SECONDS = {Kind.FREEZE: (6.0, 9.0), Kind.SILENCE: (1.0, 7.0), Kind.PAUSE: (1.0, 4.0)}
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
        whom = f" worker {self.place}" if self.kind in STRIKES_ONE else ""
        how_long = f" for {self.seconds:.1f} s" if self.kind in LASTS else ""
        return f"at {self.at}: {self.kind}{whom}{how_long}"


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
                seconds=random.uniform(*_SECONDS.get(kind, _SHORT_SECONDS)),
            )
            for kind in kinds
        ),
        key=lambda event: event.at,
    )
