"""How fast, and at what price in processor time, the three carry the same batch through on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bench.contestants import CONTESTANTS, write_rows
from tests.bench.installation import installation
from tests.bench.running import Run, run
from tests.bench.suite import Figures, Measured, Order, Row

_WORKERS = 2
_COMPARED = ("images_per_second", "cpu_ms_per_image", "submit_cpu_ms_per_image")
_HEADLINE = (("images_per_second",), ("cpu_ms_per_image",))


def costs(ran: Run) -> Figures:
    """What a run used for each image, and how it ended."""
    return {
        "images_per_second": round(ran.images_per_second, 1),
        "cpu_ms_per_image": ran.milliseconds_per_image(ran.cpu_seconds),
        "submit_cpu_ms_per_image": ran.milliseconds_per_image(ran.submission.cpu_seconds),
        "redis_cpu_ms_per_image": ran.milliseconds_per_image(ran.redis_cpu_seconds),
        "server_cpu_ms_per_image": ran.milliseconds_per_image(ran.server_cpu_seconds),
        "worker_peak_rss_mb": round(ran.peaks.rss_bytes / 1e6),
        "redis_peak_mb": round(ran.peaks.redis_bytes / 1e6, 2),
        **outcome(ran),
    }


def outcome(ran: Run) -> Figures:
    """What became of the images, as the servers saw it."""
    return {
        "images": ran.images,
        "published": ran.seen["patched"],
        "lost": ran.lost,
        "charged_twice": ran.seen["charged_twice"],
        "refused_429": ran.seen["refused"],
        "summary_sent": ran.ending == "summary",
        "ended_by": ran.ending,
    }


def contest(side: int, kind: str) -> Callable[[Order], Iterator[Measured]]:
    """All contestants with pictures of so many pixels, from a maker that answers at once."""

    def measure(order: Order) -> Iterator[Measured]:
        for kind_of in CONTESTANTS:
            if kind_of.name not in order.who:
                continue
            with installation() as made:
                contestant = kind_of(made)
                source = write_rows(made.folder / "batch.csv", order.size, "batch", side)
                contestant.start(_WORKERS)
                made.reset_servers(side=side, kind=kind)
                yield Measured(contestant.name, costs(run(contestant, source, order.size, at_most_seconds=600)))

    return measure


ROWS = (
    Row(
        name="throughput",
        title="{size} pictures of 64 px from a fast maker",
        measure=contest(64, "PNG"),
        sizes=(2_000,),
        quick_sizes=(40,),
        minutes=3,
        goal="imagechord ≤ 12 ms of processor time and ≥ 100 images/s with two workers on two cores; "
        "≥ 3 times the stock canvas's images/s, ≤ 3 times the thread pool's processor time.",
        compared=_COMPARED,
        headline=_HEADLINE,
    ),
    Row(
        name="png",
        title="{size} PNGs of 1024 px from a fast maker",
        measure=contest(1024, "PNG"),
        sizes=(400,),
        quick_sizes=(8,),
        minutes=2,
        compared=_COMPARED,
        headline=_HEADLINE,
    ),
    Row(
        name="jpeg",
        title="{size} JPEGs of 1024 px from a fast maker",
        measure=contest(1024, "JPEG"),
        sizes=(400,),
        quick_sizes=(8,),
        minutes=2,
        compared=_COMPARED,
        headline=_HEADLINE,
    ),
)
