"""Many slow calls at once on one worker process."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.contestants import Imagechord, write_rows
from tests.bench.installation import installation
from tests.bench.pace import mean_in_flight
from tests.bench.processes import rss_bytes
from tests.bench.rows.throughput import outcome
from tests.bench.running import Run, run
from tests.bench.suite import Figures, Measured, Order, Row
from tests.stand_ins.ports import free_ports

_POOLS = {"threads": (), "gevent": ("-P", "gevent")}


def slow_calls(order: Order) -> Iterator[Measured]:
    """So many calls of 10 s in flight, five rounds of them, with threads and with gevent."""
    if Imagechord.name not in order.who:
        return
    latency_seconds, images = (1.0, order.size * 4) if order.quick else (10.0, order.size * 5)
    threads = order.size + 20
    for pool, options in _POOLS.items():
        model = f"limits = {{ in_flight = {order.size} }}\ntypical_seconds = {latency_seconds}\n"
        with installation(f"worker_concurrency = {threads}\n", model) as made:
            contestant = Imagechord(made, *options, "-c", str(threads))
            source = write_rows(made.folder / "batch.csv", images, "batch")
            contestant.start(1)
            made.reset_servers(latency_seconds=latency_seconds)
            ran = run(contestant, source, images, at_most_seconds=60 + 4 * images / order.size * latency_seconds)
            yield Measured(
                Imagechord.name, _figures(ran, order.size, latency_seconds), f"{pool}, calls of {latency_seconds:g} s"
            )


def _figures(ran: Run, allowed: int, latency_seconds: float) -> Figures:
    """Counted from one call's time after the first charge to the last charge: filling and draining are left out."""
    charged = ran.seen["charged_at"]
    span = (min(charged) + latency_seconds, max(charged))
    mean = mean_in_flight(charged, latency_seconds, span) if span[1] > span[0] else 0.0
    return {
        "utilisation": round(mean / allowed, 3),
        "mean_in_flight": round(mean),
        "most_in_flight": ran.seen["most_in_flight"],
        "worker_peak_rss_mb": round(ran.peaks.rss_bytes / 1e6),
        "seconds": round(ran.seen["last_patched_at"] - ran.first_charged_at, 1),
        "cpu_ms_per_image": ran.milliseconds_per_image(ran.cpu_seconds),
        **outcome(ran),
    }


def jobs_out(order: Order) -> Iterator[Measured]:
    """So many jobs at a provider that calls when they are ready; one worker, and the endpoint that is called."""
    if Imagechord.name not in order.who:
        return
    latency_seconds = 3.0 if order.quick else 45.0
    model = f"limits = {{ in_flight = {order.size} }}\ndeadline_seconds = 600\ntypical_seconds = {latency_seconds}\n"
    with installation("", model, "tests.bench.provider:CalledImages") as made:
        (port,) = free_ports(1)
        made.environment |= {"WEBHOOK_BASE_URL": f"http://127.0.0.1:{port}", "WEBHOOK_SECRET": "of-the-benchmark-alone"}
        made.environment["IMAGECHORD_WEB_TOKEN"] = "of-the-benchmark-alone"
        web = made.start("web", ["-c", "from tasks.cli.main import main; main()", "web", "--port", str(port)])
        contestant = Imagechord(made)
        source = write_rows(made.folder / "batch.csv", order.size, "batch")
        contestant.start(1)
        made.reset_servers(latency_seconds=latency_seconds)
        ran = run(contestant, source, order.size, at_most_seconds=300)
        answered = sorted(ran.seen["answered_ms"])
        figures: Figures = {
            "most_in_flight": ran.seen["most_in_flight"],
            "worker_peak_rss_mb": round(ran.peaks.rss_bytes / 1e6),
            "endpoint_rss_mb": round(rss_bytes(web.pid) / 1e6),
            "webhook_p95_ms": round(answered[len(answered) * 95 // 100], 1),
            "cpu_ms_per_image": ran.milliseconds_per_image(ran.cpu_seconds),
            **outcome(ran),
        }
        web.terminate()
        web.wait()
        yield Measured(Imagechord.name, figures, f"ready after {latency_seconds:g} s")


ROWS = (
    Row(
        name="in_flight",
        title="{size} slow calls in flight, one worker process",
        measure=slow_calls,
        sizes=(300,),
        quick_sizes=(20,),
        minutes=3,
        goal="worker ≤ 250 MB, most in flight never above the limit.",
        headline=(("utilisation", "worker_peak_rss_mb"),),
    ),
    Row(
        name="outstanding",
        title="{size} jobs out at a provider that calls, one worker process",
        measure=jobs_out,
        sizes=(2_000,),
        quick_sizes=(20,),
        minutes=2,
        goal="worker ≤ 200 MB; a webhook is answered in < 50 ms (p95, eight at a time).",
        headline=(("most_in_flight", "worker_peak_rss_mb", "webhook_p95_ms"),),
    ),
)
