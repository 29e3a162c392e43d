"""A Flask and a Django shop, each with a Celery app of its own, that call ``from tasks.batches import submit``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from celery import Celery

from tasks.core.callbacks import sign
from tests.integration.programs import CELERY, QUICK, ROOT, WORKER, Stack, private_stack
from tests.stand_ins.missing import missing_service
from tests.stand_ins.own_venv import NotInstalled, bin_folder
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.waiting import wait_until

PROJECTS = Path(__file__).parent / "projects"
WEBHOOK_SECRET = "a-secret-of-the-shop's-own"
WEB_TOKEN = "a-token-of-the-shop's-own"
BEARER = {"Authorization": f"Bearer {WEB_TOKEN}"}
ROWS = [{"sku": f"S-{n}", "name": f"머그컵 {n}", "color": "파랑"} for n in range(1, 4)]


@dataclass(frozen=True)
class Shop:
    """A running host project."""

    name: str
    url: str
    stack: Stack

    def call(self, method: str, path: str, json: Any = None) -> requests.Response:
        """Ask the shop's own web server."""
        return requests.request(method, f"{self.url}{path}", json=json, timeout=30)

    def published(self, batch: str) -> int:
        """How many pictures the shop says are published."""
        return int(self.call("GET", f"/pictures/{batch}").json()["published"])


@dataclass(frozen=True)
class OlderShop:
    """A running project whose Python is not ours."""

    python: Path
    folder: Path
    environment: dict[str, str]

    def call(self, code: str) -> str:
        """What its own Python prints."""
        ran = subprocess.run(
            [str(self.python), "-c", code],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@contextmanager
def shop(name: str, server: list[str], celery_app: str, folder: Path) -> Iterator[Shop]:
    """The project's web server and worker beside an imagechord worker, on one broker."""
    project = PROJECTS / f"{name}_shop"
    port = free_ports(1)[0]
    with private_stack(folder) as stack:
        path = {"PYTHONPATH": f"{project}:{ROOT}", "SHOP_BROKER_URL": stack.kombu_url}
        path |= {"WEBHOOK_SECRET": WEBHOOK_SECRET, "IMAGECHORD_WEB_TOKEN": WEB_TOKEN}
        host = {
            "web": [sys.executable, *server, str(port)],
            "host": [*CELERY, "-A", celery_app, "worker", "--pool", "solo", *QUICK],
        }
        with stack.running({"worker": WORKER}), stack.running(host, project, **path):
            url = f"http://127.0.0.1:{port}"
            wait_until_up(f"{url}/nothing-here", folder / "web.log")
            wait_until(lambda: "ready." in stack.log("host"), what="the host's worker")
            yield Shop(f"{name}_shop", url, stack)


@pytest.fixture(scope="module")
def flask_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The Flask project, served by ``flask run``."""
    server = ["-m", "flask", "--app", "shop", "run", "--port"]
    with shop("flask", server, "shop:celery", tmp_path_factory.mktemp("flask")) as running:
        yield running


@pytest.fixture(scope="module")
def django_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The Django project, served by ``manage.py runserver``; its settings are in a package called config."""
    server = ["manage.py", "runserver", "--noreload"]
    with shop("django", server, "config", tmp_path_factory.mktemp("django")) as running:
        yield running


@pytest.fixture(params=["flask_shop", "django_shop"])
def host(request: pytest.FixtureRequest) -> Shop:
    """Each of the two."""
    found: Shop = request.getfixturevalue(request.param)
    return found


def test_rows_posted_to_a_view_become_published_pictures(host: Shop) -> None:
    """The view answers 202 with the batch, and a worker that knows nothing of the shop publishes it."""
    answer = host.call("POST", "/pictures", ROWS)
    assert answer.status_code == 202, answer.text

    wait_until(lambda: host.published(answer.json()["batch"]) == len(ROWS), what="the batch")

    pictures = sorted(path.name.split("-")[1] for path in (host.stack.folder / "output").glob("S-*"))
    assert pictures[:3] == ["1", "2", "3"]


def test_the_hosts_celery_stays_its_own(host: Shop) -> None:
    """After imagechord was used, the current app is the host's, and its tasks run on its own worker and queue."""
    assert host.call("POST", "/pictures", ROWS).status_code == 202

    answer = host.call("POST", "/orders/42").json()

    assert answer == {
        "results": ["receipt for 42", f"parcel for 42 by {host.name}"],
        "current_app": host.name,
    }
    assert "shop.receipt" not in host.stack.log("worker")
    assert "imagechord." not in host.stack.log("host")


def test_bad_rows_start_nothing(host: Shop) -> None:
    """A row without its field is the caller's error, raised in the view before anything is written."""
    assert host.call("POST", "/pictures", [{"sku": "BAD-1", "name": "이름만"}]).status_code == 500
    assert "BAD-1" not in host.stack.log("worker")


def test_providers_call_the_host(host: Shop) -> None:
    """Below where the host has put it there is the endpoint of webhooks; it knows whom it has told to call."""
    token = sign(WEBHOOK_SECRET, "preview_async", 42, 7, datetime.now(UTC) + timedelta(hours=1))
    called = [
        host.call("POST", f"/imagechord/webhooks/{provider}/{token}", {"status": "done"}).status_code
        for provider in ("preview", "preview_async")
    ]
    assert called == [401, 404]


def test_a_file_sent_to_the_blueprint_is_published(flask_shop: Shop) -> None:
    """The shop's own server takes it for who has the token, answers with the batch's address, and says how it goes."""
    address = f"{flask_shop.url}/imagechord/api/batches"
    files = {"source": ("spring.csv", "sku,name,color\nB-1,머그컵,파랑\n".encode())}
    order: dict[str, Any] = {"files": files, "data": {"template": "product_hero", "model": "preview"}, "timeout": 30}
    assert requests.post(address, **order).status_code == 401

    answer = requests.post(address, headers=BEARER, **order)

    assert answer.status_code == 202, answer.text
    found = answer.headers["Location"]
    assert found.startswith("/imagechord/api/batches/b-")

    def told() -> dict[str, Any]:
        now: dict[str, Any] = requests.get(f"{flask_shop.url}{found}", headers=BEARER, timeout=30).json()
        return now

    wait_until(lambda: told()["published"] == 1, what="the batch")
    assert told()["source"] == "spring.csv"


def test_another_code_base_starts_a_batch_by_name(flask_shop: Shop) -> None:
    """``send_task`` from a Celery app that has none of our code needs the task's name and the control queue."""
    stranger = Celery("stranger", broker=flask_shop.stack.kombu_url, set_as_current=False)
    rows = [{**row, "sku": f"X-{n}"} for n, row in enumerate(ROWS)]
    with stranger.connection_for_write() as connection:
        stranger.send_task(
            "imagechord.start_batch",
            kwargs={"rows": rows, "template": "product_hero", "model": "preview", "idempotency_key": "order-7"},
            queue="imagechord.control",
            connection=connection,
        )

    output = flask_shop.stack.folder / "output"
    wait_until(lambda: len(list(output.glob("X-*"))) == len(rows), what="the stranger's pictures")


@pytest.fixture(scope="module")
def older_shop(flask_shop: Shop) -> Iterator[OlderShop]:
    """A project on Celery 5.4 with a module called tasks, whose environment has none of our code."""
    project = PROJECTS / "older_celery"
    try:
        python = bin_folder("older-celery", project / "requirements.txt") / "python"
    except NotInstalled as error:
        missing_service(str(error))
    alone = {"PYTHONPATH": "", "SHOP_BROKER_URL": flask_shop.stack.kombu_url}
    alone |= {"IMAGECHORD_URL": f"{flask_shop.url}/imagechord", "IMAGECHORD_WEB_TOKEN": WEB_TOKEN}
    worker = [str(python), "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", *QUICK]
    with flask_shop.stack.running({"older": worker}, project, **alone):
        wait_until(lambda: "ready." in flask_shop.stack.log("older"), what="the older worker")
        yield OlderShop(python, project, {**flask_shop.stack.environment, **alone})


@pytest.mark.parametrize("source", ["rows", "a file"])
def test_a_project_on_an_older_celery_orders_by_message(
    flask_shop: Shop, older_shop: OlderShop, source: str, tmp_path: Path
) -> None:
    """Its own task, on its own worker, sends ``imagechord.start_batch`` with rows or a file; another asks over HTTP."""
    if source == "rows":
        what: dict[str, Any] = {"rows": [{**row, "sku": f"O-{n}"} for n, row in enumerate(ROWS)]}
    else:
        (tmp_path / "order.csv").write_text("sku,name,color\nO-8,머그컵,파랑\n", "utf-8")
        what = {"source": str(tmp_path / "order.csv")}

    assert "5.4.0" in older_shop.call("import celery; print(celery.__version__)")
    order = f"order_pictures.delay('older {source}', **{what!r}).get(timeout=30)"
    assert f"older {source}" in older_shop.call(f"from tasks import order_pictures; print({order})")

    expected = ["O-8-"] if "source" in what else ["O-0-", "O-1-", "O-2-"]
    output = flask_shop.stack.folder / "output"
    wait_until(lambda: all(list(output.glob(f"{key}*")) for key in expected), what="the older shop's pictures")
    assert "shop.order_pictures" in flask_shop.stack.log("older")

    asked = "import json; from tasks import look; print(json.dumps(look.delay('/api/batches').get(timeout=30)))"
    listed = json.loads(older_shop.call(asked))["batches"]
    assert f"older {source}" in [batch["name"] for batch in listed]


def test_the_readmes_python_example_publishes(flask_shop: Shop) -> None:
    """The first Python block of README.md, run as it stands beside a worker."""
    readme = (ROOT / "README.md").read_text("utf-8")
    code = readme.partition("```python\n")[2].partition("```")[0]
    environment = {**os.environ, **flask_shop.stack.environment}

    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout.startswith("1 ['file://"), ran.stdout


def test_imported_before_the_hosts_app_it_is_still_nobodys_default() -> None:
    """In a Django process Celery makes the first app the default one of all threads: ours must not be it."""
    script = "import threading, tasks.celery, celery; "
    script += "show = threading.Thread(target=lambda: print(celery.current_app.main)); show.start(); show.join()"
    environment = {"PYTHONPATH": f"{PROJECTS / 'django_shop'}:{ROOT}", "DJANGO_SETTINGS_MODULE": "config.settings"}
    environment |= {"SHOP_BROKER_URL": "memory://", "PATH": os.environ["PATH"]}

    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "default"
