"""The metrics, as prometheus-client writes them. Labels are models, states, queues and the like: never an id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from math import inf
from types import SimpleNamespace

import redis
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from tasks.core import routing
from tasks.core.errors import ConfigurationError, LedgerUnavailable
from tasks.core.limits import LimitState
from tasks.core.observed import Observed
from tasks.core.states import State
from tasks.ledger.measuring import Figures, measure
from tasks.limits.underway import depths
from tasks.services import Services


def written(metrics: list[Metric], accept: str) -> tuple[str, bytes]:
    """The content type and the body that answer a scraper's ``Accept``."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(SimpleNamespace(collect=lambda: metrics))


def families(services: Services) -> Iterator[Metric]:
    """Everything. Where the ledger or Redis does not answer, its part is missing and ``imagechord_source_up`` is 0."""
    up = GaugeMetricFamily(
        "imagechord_source_up", "Whether the ledger and Redis answered this scrape.", labels=["source"]
    )
    build = InfoMetricFamily("imagechord_build", "The version that answers.")
    build.add_metric([], {"version": version("imagechord")})
    yield build
    for source, read in (("ledger", _of_ledger), ("redis", _of_redis)):
        try:
            found = list(read(services))
        except (LedgerUnavailable, ConfigurationError, redis.RedisError):
            found = []
        up.add_metric([source], bool(found))
        yield from found
    yield up


def _of_ledger(services: Services) -> Iterator[Metric]:
    if not services.ledger_exists():
        return
    figures = measure(services.ledger, services.settings.preferences.lease)
    yield _images(figures)
    yield from _money(figures)
    yield _gauge("batches", "Batches by phase.", "phase", figures.batches)
    yield _gauge("holds", "Batches, or models of them, that are on hold, by the reason.", "reason", figures.holds)
    served = {**_zeros(services), **figures.served}
    yield _gauge("queue_workers", "Living workers that consume a queue.", "queue", served)
    yield GaugeMetricFamily("imagechord_workers", "Living workers.", figures.workers)
    events = "Events that the webhooks of batches are still to be told."
    yield GaugeMetricFamily("imagechord_webhook_events_waiting", events, figures.untold_events)
    jobs = "Calls that a provider is at work on and answers later."
    yield GaugeMetricFamily("imagechord_jobs_open", jobs, figures.open_jobs)


def _images(figures: Figures) -> Metric:
    family = GaugeMetricFamily("imagechord_images", "Images by model and state.", labels=["model", "state"])
    for model, counts in sorted(figures.images.items()):
        for state in State:
            family.add_metric([model, state], counts.get(state, 0))
    return family


def _money(figures: Figures) -> Iterator[Metric]:
    spent = CounterMetricFamily("imagechord_spent_usd", "US dollars spent on a model's calls.", labels=["model"])
    ended = CounterMetricFamily("imagechord_calls", "Calls of a model that have ended, paid or not.", labels=["model"])
    for model, calls in sorted(figures.calls.items()):
        spent.add_metric([model], calls.spent_usd_micros / 1e6)
        ended.add_metric([model], calls.ended)
    yield from (spent, ended)


def _of_redis(services: Services) -> Iterator[Metric]:
    waiting = depths(services.redis, _zeros(services))
    yield _gauge("queue_messages", "Messages that wait in a queue for a worker.", "queue", waiting)
    yield from _limits(services.limits.states())
    yield from _observed(services.meter.read())


def _limits(states: list[LimitState]) -> Iterator[Metric]:
    labels = ["name", "limit"]
    allowed = GaugeMetricFamily("imagechord_limit_allowed", "A limit in force, of a model or the CMS.", labels=labels)
    used = GaugeMetricFamily(
        "imagechord_limit_used", "What is used of it: starts a minute, calls in flight, calls today.", labels=labels
    )
    paused = GaugeMetricFamily("imagechord_limit_paused_seconds", "How long nothing starts.", labels=["name"])
    for state in states:
        for limit, most, now in (
            ("per_minute", state.in_force_per_minute, state.pace_per_minute),
            ("in_flight", state.in_flight, state.in_flight_now),
            ("per_day", state.per_day, state.started_today),
        ):
            if most is not None:
                allowed.add_metric([state.name, limit], most)
                used.add_metric([state.name, limit], now)
        paused.add_metric([state.name], state.paused_seconds)
    yield from (allowed, used, paused)


def _observed(observed: Observed) -> Iterator[Metric]:
    took = HistogramMetricFamily(
        "imagechord_step_seconds", "How long the steps of an image took.", labels=["step", "model", "outcome"]
    )
    for timed, durations in observed.durations.items():
        buckets = [("+Inf" if bound == inf else str(bound), number) for bound, number in durations.cumulative]
        took.add_metric(list(timed), buckets, durations.sum_seconds)
    found = CounterMetricFamily("imagechord_sweep_found", "What sweeps have put right.", labels=["what"])
    for what, number in observed.found.items():
        found.add_metric([what], number)
    yield from (took, CounterMetricFamily("imagechord_sweeps", "Sweeps made.", observed.sweeps), found)


def _gauge(name: str, documentation: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"imagechord_{name}", documentation, labels=[label])
    for each, number in sorted(values.items()):
        family.add_metric([each], number)
    return family


def _zeros(services: Services) -> dict[str, int]:
    """Every queue of this installation: one that nobody serves, or that is empty, is told as well."""
    models = map(routing.model_queue, services.settings.catalogue.models)
    return dict.fromkeys([*models, routing.DELIVER_QUEUE, routing.CONTROL_QUEUE], 0)
