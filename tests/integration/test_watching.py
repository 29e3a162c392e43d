"""A cluster as it is watched: by Flower, by Prometheus and through its logs, while a batch runs and afterwards."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from tasks.core.routing import CONTROL_QUEUE, START_BATCH
from tasks.core.states import State
from tasks.ledger.schema import batch
from tests.integration.programs import CELERY
from tests.integration.stack import PATIENT, PROJECT, Stack, anycap_variables, prompt_of, rows
from tests.real_anycap import real_anycap
from tests.scraped import value
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.locked_valkey import locked_valkey
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.stand_ins.supervisor import supervised
from tests.waiting import wait_until

COMMAND = Path(sys.executable).with_name("imagechord")
PASSWORD = "rds_pw-7f3a91c5d2"
TOKEN = "a-token-of-twenty-or-more"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "aws_sk-a9b8c7d6e5f4a3b2",
    "WEBHOOK_SECRET": "whsec_a-secret-of-the-shops-own-1234",
    "IMAGECHORD_WEB_TOKEN": TOKEN,
}
NAMES = [f"cup-{number}" for number in range(30)]
REFUSED = "cup-7"
SUPPLIER = "the-supplier-s-name"
SENT = {"rows": [{"sku": "A-1", "name": "cup", "supplier": SUPPLIER}], "template": "tiny", "model": "none-such"}
HIDDEN = (PASSWORD, *SECRETS.values(), "secret-of-anycap", SUPPLIER)
IMAGE = 4
"""The id of cup-3: there is no other batch."""


@dataclass(frozen=True)
class Watched:
    """A cluster with a batch that has just begun; ``flower`` and ``web`` are URLs."""

    stack: Stack
    batch_id: str
    flower: str
    web: str

    def scrape(self) -> list[Metric]:
        """What Prometheus gets now."""
        answer = requests.get(f"{self.web}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        answer.raise_for_status()
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return list(text_string_to_metric_families(answer.text))

    def log(self, name: str) -> str:
        """What a program has written so far."""
        return (self.stack.folder / f"{name}.log").read_text("utf-8")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A worker, a beat, Flower and the web, with a broker that wants a password and logs as JSON."""
    folder = tmp_path_factory.mktemp("watched")
    flower_port, web_port = free_ports(2)
    with ExitStack() as entered:
        broker = entered.enter_context(locked_valkey(PASSWORD))
        api = entered.enter_context(AnycapApi())
        api.fault_for = lambda prompt, _number: Fault.CONTENT_REJECTED if prompt == prompt_of(REFUSED) else None
        anycap = anycap_variables(api, real_anycap(), folder / "bin")
        variables = {**anycap, **SECRETS, "IMAGECHORD_REDIS_URL": broker, "IMAGECHORD_LOG_FORMAT": "json"}
        stack = entered.enter_context(Stack(folder / "stack", variables, PATIENT))
        commands = {
            "flower": [*CELERY, "-A", "tasks", "flower", "--address=127.0.0.1", f"--port={flower_port}"],
            "web": [str(COMMAND), "web", "--port", str(web_port)],
            "beat": [*CELERY, "-A", "tasks", "beat", "--loglevel", "INFO"],
        }
        environment = {**stack.environment, "FLOWER_UNAUTHENTICATED_API": "true"}
        stack.start_worker("one")
        entered.enter_context(supervised(commands, stack.folder, environment, PROJECT))
        flower, web = f"http://127.0.0.1:{flower_port}", f"http://127.0.0.1:{web_port}"
        wait_until_up(f"{flower}/healthcheck", stack.folder / "flower.log")
        wait_until_up(f"{web}/healthz", stack.folder / "web.log")
        # Nobody has told the worker to send events: Flower does, some seconds after it has started.
        wait_until(lambda: "Events of group {task} enabled" in stack.workers[0].words, what="events for Flower")
        batch_id = stack.submit(rows(NAMES), model="paced", name="Spring 2026")
        stack.start(batch_id)
        stack.shop.send_task(START_BATCH, kwargs=SENT, queue=CONTROL_QUEUE)
        yield Watched(stack, batch_id, flower, web)


def tasks_in_flower(watched: Watched) -> list[dict[str, Any]]:
    """What Flower has seen of one picture's steps."""
    shown = requests.get(f"{watched.flower}/api/tasks", timeout=10).json().values()
    return [task for task in shown if "Spring 2026 · cup-3 · image" in (task["args"] or "")]


def test_flower_shows_whose_picture_a_task_is_about(watched: Watched) -> None:
    """While a batch runs: its name and the row's sku, of all steps; in the list, and on the task's own page."""
    wait_until(lambda: len(tasks_in_flower(watched)) == 3, what="three steps of a picture in Flower")
    tasks = {task["name"]: task for task in tasks_in_flower(watched)}
    assert set(tasks) == {"imagechord.generate.paced", "imagechord.upload_s3", "imagechord.patch_cms"}
    label = f"Spring 2026 · cup-3 · image {IMAGE}, sending 1"
    assert {task["args"] for task in tasks.values()} == {label}
    page = requests.get(f"{watched.flower}/task/{tasks['imagechord.upload_s3']['uuid']}", timeout=10).text
    assert label in page
    columns = re.findall(r"<th[^>]*>\s*([\w ]+?)\s*</th>", requests.get(f"{watched.flower}/tasks", timeout=10).text)
    assert columns == ["Name", "args", "State", "Received", "Runtime", "Worker", "UUID"]


def test_flower_shows_what_a_batch_is_asked_for_with(watched: Watched) -> None:
    """By another code base, with rows: how many they are."""

    def asked() -> set[str]:
        shown = requests.get(f"{watched.flower}/api/tasks", params={"taskname": START_BATCH}, timeout=10).json()
        return {task["kwargs"] for task in shown.values()}

    wait_until(lambda: "1 rows, template='tiny', model='none-such'" in asked(), what="the other batch in Flower")


def test_flower_shows_no_secret(watched: Watched) -> None:
    """On none of its pages, nor in what they are made of: the broker's password, keys, prompts."""
    wait_until(lambda: tasks_in_flower(watched), what="a task in Flower")
    worker = quote(watched.stack.workers[0].hostname)
    pages = ["/", "/workers", f"/worker/{worker}", "/tasks", "/broker", "/metrics"]
    pages += ["/api/workers?refresh=1", "/api/tasks", "/api/task/types", "/api/queues/length"]
    pages += [f"/task/{task['uuid']}" for task in tasks_in_flower(watched)]
    for page in pages:
        answer = requests.get(watched.flower + page, timeout=30)
        assert answer.status_code == 200, page
        for secret in (*HIDDEN, "A small picture"):
            assert secret not in answer.text, page
    assert "redis://" in requests.get(f"{watched.flower}/broker", timeout=10).text


def observed(watched: Watched) -> float:
    """How many runs of steps the histograms have."""
    samples = [sample for family in watched.scrape() for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "imagechord_step_seconds_count")


def test_metrics_say_what_the_ledger_says(watched: Watched) -> None:
    """During a batch no image is missing; afterwards images, money and steps are counted to the last."""
    families = watched.scrape()
    assert value(families, "imagechord_images") == len(NAMES)
    assert value(families, "imagechord_source_up") == 2
    assert value(families, "imagechord_workers") == 1
    assert value(families, "imagechord_limit_allowed", name="paced", limit="per_minute") == 600

    stack = watched.stack
    stack.wait(watched.batch_id)

    # Workers tell what they observe every few seconds; 29 pictures with three steps, and a call that was refused.
    wait_until(lambda: observed(watched) == 29 * 3 + 1, what="all steps in the histograms")
    families = watched.scrape()
    counts = stack.counts(watched.batch_id).counts
    assert counts == {State.PUBLISHED: 29, State.REFUSED: 1}
    for state in State:
        assert value(families, "imagechord_images", model="paced", state=state) == counts.get(state, 0)
    with stack.services.ledger.read() as connection:
        spent_usd_micros = connection.scalar(select(func.sum(batch.c.spent_usd_micros)))
    assert spent_usd_micros
    assert value(families, "imagechord_spent_usd_total", model="paced") == pytest.approx(spent_usd_micros / 1e6)
    assert value(families, "imagechord_calls_total", model="paced") == stack.paid_calls() == 30
    for step in ("generate", "upload_s3", "patch_cms"):
        labels = {"step": step, "model": "paced", "outcome": "done"}
        assert value(families, "imagechord_step_seconds_count", **labels) == 29
        assert value(families, "imagechord_step_seconds_bucket", le="+Inf", **labels) == 29
    assert value(families, "imagechord_step_seconds_count", step="generate", outcome="failed") == 1
    assert value(families, "imagechord_sweeps_total") >= 1
    assert value(families, "imagechord_queue_messages", queue="imagechord.paced") == 0
    assert value(families, "imagechord_queue_workers", queue="imagechord.paced") == 1
    assert value(families, "imagechord_batches", phase="started") == 1
    assert value(families, "imagechord_batches", phase="refused") == 1
    assert watched.batch_id not in str(families)


def test_metrics_want_the_token(watched: Watched) -> None:
    """As everything but webhooks and the health check does."""
    assert requests.get(f"{watched.web}/metrics", timeout=10).status_code == 401


def lines(text: str) -> list[dict[str, Any]]:
    """Every line of a log, read as JSON."""
    return [json.loads(line) for line in text.splitlines()]


def test_logs_are_json_and_say_what_they_are_about(watched: Watched) -> None:
    """Each line of worker, beat and web, from the first on; those of a picture's tasks name batch and image."""
    stack = watched.stack
    stack.wait(watched.batch_id)
    wait_until(lambda: "beat: Starting" in watched.log("beat"), what="beat")
    written = {name: lines(watched.log(name)) for name in ("one", "beat", "web")}
    assert all(written.values())
    for line in [line for each in written.values() for line in each]:
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
        assert {"level", "logger", "message"} < line.keys()
    about = [line for line in written["one"] if line.get("image") == IMAGE]
    succeeded = [line for line in about if "succeeded in" in line["message"]]
    assert {line["task"] for line in succeeded} == {
        "imagechord.generate.paced",
        "imagechord.upload_s3",
        "imagechord.patch_cms",
    }
    facts = {"batch": watched.batch_id, "image": IMAGE, "sku": "cup-3", "model": "paced", "worker": "one@test"}
    assert all(line.items() >= facts.items() for line in succeeded), succeeded
    assert any(REFUSED in line["message"] and "refused" in line["message"] for line in written["one"])
    assert any(f"listens on {watched.web}" in line["message"] for line in written["web"])


def test_no_secret_is_in_the_logs(watched: Watched) -> None:
    """As in text logs."""
    for name in ("one", "beat", "web", "flower"):
        for secret in HIDDEN:
            assert secret not in watched.log(name), name
