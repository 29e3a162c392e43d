"""Whole batches: how late the summary is, what Redis holds, and whether a small batch gets its share."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.contestants import Imagechord, write_rows
from tests.bench.installation import Installation, installation
from tests.bench.rows.throughput import costs
from tests.bench.running import run
from tests.bench.suite import Figures, Measured, Order, Row
from tests.waiting import wait_until

_SMALL = 10
_PER_MINUTE = 600


def whole(order: Order) -> Iterator[Measured]:
    """A batch from its submission to the summary, two workers, a fast maker."""
    if Imagechord.name not in order.who:
        return
    with installation() as made:
        contestant = Imagechord(made)
        source = write_rows(made.folder / "batch.csv", order.size, "batch")
        contestant.start(2)
        made.reset_servers()
        ran = run(contestant, source, order.size, at_most_seconds=60 + order.size / 5)
        told_at = ran.seen["slack_at"][-1] if ran.ending == "summary" else None
        figures: Figures = {
            "first_image_seconds": round(ran.seen["first_patched_at"] - ran.submission.began_at, 2),
            "summary_lag_seconds": None if told_at is None else round(told_at - ran.seen["last_patched_at"], 2),
            **costs(ran),
        }
        yield Measured(Imagechord.name, figures)


def fairness(order: Order) -> Iterator[Measured]:
    """Ten images behind a large batch on the same model: seconds, and how many images the model makes meanwhile."""
    if Imagechord.name not in order.who:
        return
    with installation(model=f"limits = {{ per_minute = {_PER_MINUTE} }}") as made:
        contestant = Imagechord(made)
        large = write_rows(made.folder / "large.csv", order.size, "large")
        contestant.start(2)
        made.reset_servers(latency_seconds=0.1)
        contestant.submit(large)
        wait_until(lambda: made.progress()["charged"] >= _SMALL, 60, "the large batch's beginning")
        began_at = contestant.submit(write_rows(made.folder / "small.csv", _SMALL, "small")).began_at
        at_most_seconds = 60 + order.size / _PER_MINUTE * 60 * 2
        wait_until(lambda: len(_small(made)) == _SMALL, at_most_seconds, "the small batch's end")
        ended_at = max(_small(made))
        meanwhile = sum(began_at <= moment <= ended_at for moment in made.stats()["charged_at"])
        yield Measured(
            Imagechord.name,
            {
                "seconds": round(ended_at - began_at, 1),
                "images_meanwhile": meanwhile,
                "within_goal": meanwhile <= 50 or ended_at - began_at <= 10,
            },
        )


def _small(made: Installation) -> list[float]:
    return [moment for key, moment in made.stats()["patched_at"].items() if key.startswith("small-")]


ROWS = (
    Row(
        name="batch",
        title="a batch of {size} from a fast maker, from submit to Slack, two workers",
        measure=whole,
        sizes=(1_000, 10_000),
        quick_sizes=(40, 80),
        minutes=5,
        goal="summary ≤ 1 s after the last image at 10,000; Redis < 30 MB at any time, also at 100,000 "
        "(`batch:100000`, half an hour).",
        grows=("summary_lag_seconds", "redis_peak_mb", "worker_peak_rss_mb", "cpu_ms_per_image"),
        headline=(("summary_lag_seconds",), ("redis_peak_mb",)),
    ),
    Row(
        name="fairness",
        title=f"{_SMALL} images behind {{size}} on a model of {_PER_MINUTE} a minute",
        measure=fairness,
        sizes=(2_000,),
        quick_sizes=(60,),
        minutes=1,
        goal="done within max(50 images, 10 s) of the model's pace.",
        headline=(("seconds", "images_meanwhile"),),
    ),
)
