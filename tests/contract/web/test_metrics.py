"""What Prometheus is told by a site with a ledger and a broker, or without."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from tasks.core.observed import Timed
from tasks.core.states import State
from tasks.devstack.valkey import EmbeddedValkey
from tasks.services import Services
from tasks.settings import load_settings
from tasks.web.http import Request
from tasks.web.metrics import METRICS, Readings
from tasks.web.routes import answer
from tasks.web.site import Site
from tests.contract.ledger.scene import MODEL, PRICE, Scene
from tests.scraped import value

PROJECT = Path(__file__).parents[3]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
LABELS = {"model", "state", "phase", "reason", "queue", "name", "limit", "step", "outcome", "le", "what", "source"}
"""All there are, but for the version: each has a few values, however many batches there have been."""


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """The URL of a Valkey."""
    with EmbeddedValkey() as valkey:
        yield valkey.url


@pytest.fixture
def services(tmp_path: Path, broker: str) -> Iterator[Services]:
    """An installation that has a broker, and no ledger yet."""
    settings = load_settings({"IMAGECHORD_HOME": str(tmp_path / "home"), "IMAGECHORD_REDIS_URL": broker}, tmp_path)
    made = Services(settings)
    made.redis.flushall()
    yield made
    if made.ledger_exists():
        made.ledger.close()


def scrape(services: Services, accept: str = "") -> list[Metric]:
    """What a scraper is told, read as it reads it."""
    site = Site(lambda *_call: True, lambda: services)
    request = Request("GET", {"accept": accept}, lambda _most_bytes: b"", "/metrics")
    response = answer(site, request, METRICS)
    assert response.status == 200
    assert response.headers["Content-Type"].startswith(accept.partition(";")[0] or "text/plain")
    read = parse_openmetrics if accept else parse
    return list(read(response.body.decode()))


def run_a_batch(services: Services) -> None:
    """A picture is published, another is bought; what workers observe meanwhile is in Redis."""
    scene = Scene(services.ledger)
    first, second, *_ = scene.release(scene.submit(4))
    scene.publish(first.ticket)
    scene.generate(second.ticket)
    for seconds in (0.3, 7.0):
        services.meter.took(Timed("generate", MODEL, "done"), seconds)
    services.meter.swept()
    services.meter.found("lost_messages", 2)
    services.meter.tell()
    services.redis.lpush("imagechord.deliver", "a message", "another one")
    services.redis.lpush("imagechord.deliver\x06\x166", "one of less priority")


def test_a_site_that_nobody_has_used_yet_has_metrics(services: Services) -> None:
    """The ledger is not made for them; queues are told that nobody serves."""
    found = scrape(services)
    assert value(found, "imagechord_source_up", source="ledger") == 0
    assert value(found, "imagechord_source_up", source="redis") == 1
    assert value(found, "imagechord_queue_messages", queue="imagechord.deliver") == 0
    assert not services.ledger_exists()


def test_the_metrics_are_the_ledgers(services: Services) -> None:
    """Every state of a model is told, the empty ones too; money is in dollars."""
    run_a_batch(services)
    found = scrape(services)
    some = {State.PUBLISHED: 1, State.GENERATED: 1, State.QUEUED: 2}
    assert {state: value(found, "imagechord_images", model=MODEL, state=state) for state in State} == {
        state: some.get(state, 0) for state in State
    }
    assert value(found, "imagechord_spent_usd_total", model=MODEL) == pytest.approx(2 * PRICE / 1e6)
    assert value(found, "imagechord_calls_total", model=MODEL) == 2
    assert value(found, "imagechord_batches", phase="started") == 1
    assert value(found, "imagechord_workers") == 1
    assert value(found, "imagechord_queue_workers", queue="imagechord.deliver") == 1
    assert value(found, "imagechord_queue_workers", queue=f"imagechord.{MODEL}") == 0


def test_the_metrics_are_the_brokers(services: Services) -> None:
    """Messages of every priority, and what workers have observed."""
    run_a_batch(services)
    found = scrape(services)
    assert value(found, "imagechord_queue_messages", queue="imagechord.deliver") == 3
    of_generate = {"step": "generate", "model": MODEL, "outcome": "done"}
    assert value(found, "imagechord_step_seconds_bucket", le="0.5", **of_generate) == 1
    assert value(found, "imagechord_step_seconds_bucket", le="+Inf", **of_generate) == 2
    assert value(found, "imagechord_step_seconds_sum", **of_generate) == pytest.approx(7.3)
    assert value(found, "imagechord_sweeps_total") == 1
    assert value(found, "imagechord_sweep_found_total", what="lost_messages") == 2


def test_limits_are_told_with_what_is_used_of_them(services: Services) -> None:
    """So that their utilisation is one divided by the other."""
    found = scrape(services)
    assert value(found, "imagechord_limit_allowed", name=MODEL, limit="per_minute") == 60
    assert value(found, "imagechord_limit_used", name=MODEL, limit="per_minute") == 0
    services.limits.pause(MODEL, 30.0)
    found = scrape(Services(services.settings))
    assert 25 < value(found, "imagechord_limit_paused_seconds", name=MODEL) <= 30


def checked(families: list[Metric]) -> None:
    """What promtool would complain of: names, units, words of help, histograms that fall."""
    for family in families:
        assert family.name.startswith("imagechord_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_ms"))
        buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
        assert [b.value for b in buckets] == sorted(b.value for b in buckets)
        for sample in family.samples:
            assert sample.labels.keys() <= LABELS | {"version"}


def test_the_format_is_prometheuss_own(services: Services) -> None:
    """Its parsers read both formats; its rules for names are kept; no label can grow with the number of batches."""
    run_a_batch(services)
    checked(scrape(services))
    checked(scrape(services, OPENMETRICS))


def test_a_broker_that_is_away_is_one_of_the_metrics(services: Services, tmp_path: Path) -> None:
    """The rest is told all the same."""
    run_a_batch(services)
    lost = {"IMAGECHORD_HOME": str(tmp_path / "home"), "IMAGECHORD_REDIS_URL": "redis://127.0.0.1:1/0"}
    without_broker = Services(load_settings(lost, tmp_path))
    with closing(without_broker.ledger):
        found = scrape(without_broker)
    assert value(found, "imagechord_source_up", source="ledger") == 1
    assert value(found, "imagechord_source_up", source="redis") == 0
    assert value(found, "imagechord_images", model=MODEL, state="published") == 1
    assert "imagechord_queue_messages" not in {family.name for family in found}


WITHOUT = """
import sys
sys.modules["prometheus_client"] = None  # as if it were not there
from tasks.web.addresses import respond
from tasks.web.http import Request
from tasks.web.site import site
print(respond(site(), Request("GET", {}, lambda _most: b"", "/metrics")))
"""


def test_without_the_package_the_answer_names_it(tmp_path: Path) -> None:
    """The rest of the site does not need it."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "IMAGECHORD_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", WITHOUT], env=environment, capture_output=True, text=True, check=True)
    assert "status=501" in ran.stdout
    assert "imagechord[web]" in ran.stdout


class Clock:
    """A moment that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        """In seconds."""
        return self.now


def test_who_asks_soon_again_shares_the_reading(services: Services) -> None:
    """For a second, or for ten times as long as a slow one took; another installation's is its own."""
    clock, read = Clock(), [0.0]

    def count(_services: Services) -> list[Metric]:
        clock.now += read[0]
        return [Metric("one", "", "gauge")]

    readings = Readings(count, clock)
    first = readings.of(services)
    clock.now = 0.9
    assert readings.of(services) is first
    assert readings.of(Services(services.settings)) is not first
    clock.now, read[0] = 2.0, 3.0
    slow = readings.of(services)
    clock.now = 5.0 + 29.9
    assert readings.of(services) is slow
    clock.now = 5.0 + 30.0
    assert readings.of(services) is not slow
