"""How much of the image maker's limit is used, and how many calls run into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.contestants import CONTESTANTS, Contestant, Imagechord, write_rows
from tests.bench.installation import installation
from tests.bench.pace import Span, inside, per_minute, steady_span, whole_windows
from tests.bench.rows.throughput import outcome
from tests.bench.running import Run, run
from tests.bench.suite import Figures, Measured, Order, Row

_WORKERS = 4
_LATENCY_SECONDS = 0.5
_ALGORITHMS = ("token_bucket", "fixed_window")


@dataclass(frozen=True)
class Timing:
    """How a run is divided: what comes first is not counted, then slots, or windows of the maker's clock, are."""

    slot_seconds: float
    warm_up_seconds: float
    window_seconds: float

    @property
    def first_window_seconds(self) -> float:
        """The maker's clock is set so that a window begins soon after the warm-up."""
        return self.warm_up_seconds + self.slot_seconds

    def images(self, per_minute_enforced: float) -> int:
        """Enough for one whole window, and the first call of the next, however fast they are bought."""
        seconds = self.first_window_seconds + self.window_seconds + 1.5 * self.slot_seconds
        return round(per_minute_enforced / 60.0 * seconds)


_FULL, _FULL_FINDING = Timing(10, 10, 60), Timing(10, 30, 60)
_QUICK, _QUICK_FINDING = Timing(2, 2, 4), Timing(2, 4, 4)


def utilisation(order: Order) -> Iterator[Measured]:
    """All contestants against both algorithms; this project also with twice the enforced limit in its catalogue."""
    timing, finding = (_QUICK, _QUICK_FINDING) if order.quick else (_FULL, _FULL_FINDING)
    for algorithm in _ALGORITHMS:
        words = algorithm.replace("_", " ")
        for contestant in CONTESTANTS:
            if contestant.name in order.who:
                yield _measured(contestant, order.size, order.size, algorithm, timing, case=words)
        if Imagechord.name in order.who:
            yield _measured(
                Imagechord, order.size, 2 * order.size, algorithm, finding, case=f"{words}, twice of it configured"
            )


def _measured(
    kind: type[Contestant], enforced: int, configured: int, algorithm: str, timing: Timing, *, case: str
) -> Measured:
    with installation(model=f"limits = {{ per_minute = {configured} }}") as made:
        made.environment["IMAGE_RATE_LIMIT"] = f"{configured}/m"
        contestant, images = kind(made), timing.images(enforced)
        source = write_rows(made.folder / "batch.csv", images, "batch")
        contestant.start(_WORKERS)
        made.reset_servers(
            latency_seconds=_LATENCY_SECONDS,
            per_minute=enforced,
            algorithm=algorithm,
            window_seconds=timing.window_seconds,
            first_window_seconds=timing.first_window_seconds,
        )
        ran = run(contestant, source, images, at_most_seconds=60 + 2 * images / enforced * 60)
    return Measured(kind.name, _figures(ran, enforced, algorithm, timing), case)


def _figures(ran: Run, enforced: int, algorithm: str, timing: Timing) -> Figures:
    charged, refused = ran.seen["charged_at"], ran.seen["refused_at"]
    span = _counted(ran, algorithm, timing)
    return {
        "utilisation": None if span is None else round(per_minute(charged, span) / enforced, 3),
        "counted_seconds": None if span is None else round(span[1] - span[0], 1),
        "refused_percent": round(100 * len(refused) / max(1, len(charged) + len(refused)), 2),
        "refused_percent_counted": None if span is None else _refused_percent(charged, refused, span),
        "seconds": round(max([*charged, *refused, ran.seen["last_patched_at"]]) - ran.first_charged_at, 1),
        **outcome(ran),
    }


def _counted(ran: Run, algorithm: str, timing: Timing) -> Span | None:
    """Whole slots after the warm-up; with a fixed window whole windows among these."""
    charged = ran.seen["charged_at"]
    span = steady_span(charged, slot_seconds=timing.slot_seconds, warm_up_seconds=timing.warm_up_seconds)
    if algorithm == "token_bucket":
        return span
    boundary = ran.seen["limiter_started_at"] + timing.first_window_seconds
    return whole_windows(charged, span, boundary, timing.window_seconds)


def _refused_percent(charged: list[float], refused: list[float], span: Span) -> float:
    turned_away = inside(refused, span)
    return round(100 * turned_away / max(1, turned_away + inside(charged, span)), 2)


ROWS = (
    Row(
        name="utilisation",
        title="a maker that allows {size} images a minute",
        measure=utilisation,
        sizes=(600, 3_000),
        quick_sizes=(600,),
        minutes=28,
        goal="utilisation ≥ 0.97 and 429s ≤ 0.5 % of calls where the configured limit is the enforced one, "
        "utilisation ≥ 0.85 where it must be found.",
        headline=(("utilisation", "refused_percent", "lost", "summary_sent"),),
    ),
)
