"""Submitting from a web process: how long it takes, and what planning costs the worker that does it.

``python -m tests.bench.intake 100000 [postgres]`` prints the row.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, select

from tasks.ledger import reading, submitting
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.schema import batch, image
from tests.bench.installation import PROJECT, Installation, installation
from tests.stand_ins.postgres import postgres
from tests.waiting import wait_until

_TOKEN = "the-token-of-the-benchmark"
_WEB_PROCESS = """\
import json, resource, sys, time
from tasks.batches import submit
count, source = int(sys.argv[1]), sys.argv[2]
rows = [{"sku": f"SKU-{n:06}", "name": f"머그컵 {n}", "color": "파랑"} for n in range(count)]
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
def timed(rows, name):
    begin = time.perf_counter()
    submit(rows, template="product", model="bench", name=name, limit=None)
    return round((time.perf_counter() - begin) * 1000)
before = memory()
figures = {"first_call_ms": timed(rows, "first")}
for kind, make in {"list": lambda: rows, "generator": lambda: iter(rows), "file": lambda: source}.items():
    figures[f"{kind}_ms"] = sorted(timed(make(), kind) for _ in range(5))[2]
print(json.dumps(figures | {"memory_mb": round(memory() - before)}))
"""


def submit_from_web(images: int, database: str = "sqlite") -> dict[str, Any]:
    """``batches.submit`` of so many rows in a process that has Python and a broker, over HTTP, and planning in one.

    ``first_call_ms`` includes opening ledger, broker and configuration; the others are medians of five later calls.
    ``planning_seconds`` is from the call to the batch's start, ``first_published_seconds`` from there to the first
    picture. ``planner_peak_rss_mb`` is the whole worker's; it has published no more than a wave by then.
    """
    with ExitStack() as entered:
        made = entered.enter_context(installation())
        made.environment["IMAGECHORD_WEB_TOKEN"] = _TOKEN
        if database == "postgres":
            made.environment["IMAGECHORD_DATABASE_URL"] = entered.enter_context(postgres()).create_database()
            ledger = Ledger(parse_database_url(made.environment["IMAGECHORD_DATABASE_URL"]))
            upgrade(ledger)
            ledger.close()
        source = made.folder / "rows.csv"
        rows = (f"SKU-{n:06},머그컵 {n},파랑\n" for n in range(images))
        source.write_text("sku,name,color\n" + "".join(rows), "utf-8")
        called = json.loads(_python(made, _WEB_PROCESS, str(images), str(source)))
        called |= _over_http(made, source, images)
        return {"images": images, "database": database, **called, **_planned(made, source)}


def _over_http(made: Installation, source: Path, images: int) -> dict[str, int]:
    """From the first byte of a request to the answer of ``imagechord web``, whose first request this is."""
    program = "from tasks.cli.main import main; main()"
    server = made.start("web", ["-c", program, "web", "--port", "0"])
    try:
        log = made.folder / "web.log"
        wait_until(lambda: "listens on" in log.read_text(), 30, "imagechord web")
        url = log.read_text().partition("listens on ")[2].split()[0] + "/api/batches"
        what = {"template": "product", "model": "bench"}
        rows = [{"sku": f"SKU-{n:06}", "name": f"머그컵 {n}", "color": "파랑"} for n in range(images)]
        form = requests.Request("POST", url, files={"source": ("rows.csv", source.read_bytes())}, data=what)
        told = requests.Request("POST", url, json=what | {"rows": rows})
        first = _answered_ms(form)
        return {
            "http_first_ms": first,
            "http_form_ms": sorted(_answered_ms(form) for _ in range(5))[2],
            "http_json_ms": sorted(_answered_ms(told) for _ in range(5))[2],
        }
    finally:
        server.kill()
        server.wait()


def _answered_ms(request: requests.Request) -> int:
    prepared = request.prepare()
    prepared.headers["Authorization"] = f"Bearer {_TOKEN}"
    with requests.Session() as session:
        begin = time.perf_counter()
        answer = session.send(prepared, timeout=60)
        took = time.perf_counter() - begin
    assert answer.status_code == 202, answer.text
    return round(took * 1000)


def _planned(made: Installation, source: Path) -> dict[str, Any]:
    """One more batch, with a worker that has nothing else to do; the others are taken back."""
    services = made.services
    for row in reading.list_batches(services.ledger, limit=100):
        submitting.discard(services.ledger, row.id)
    made.redis.delete("imagechord.control")
    made.start_workers(1)
    resting_mb = _peak_rss_mb(made)
    begin = time.time()
    code = "import sys; from tasks.batches import submit; submit(sys.argv[1], template='product', model='bench')"
    _python(made, code, str(source))
    (row,) = reading.list_batches(services.ledger)
    wait_until(lambda: reading.phase_of(services.ledger, row.id) == "started", 300, "the plan")
    peak_mb = _peak_rss_mb(made)
    wait_until(lambda: _first_published(made) is not None, 60, "the first picture")
    started = reading.find_batch(services.ledger, row.id).started_at
    assert started is not None
    return {
        "planning_seconds": round(started.timestamp() - begin, 2),
        "first_published_seconds": round(_first_published(made) - started.timestamp(), 2),
        "worker_resting_rss_mb": round(resting_mb),
        "planner_peak_rss_mb": round(peak_mb),
    }


def _first_published(made: Installation) -> Any:
    with made.services.ledger.read() as connection:
        moment = connection.scalar(select(func.min(image.c.published_at)).join(batch).where(batch.c.phase == "started"))
    return None if moment is None else moment.timestamp()


def _peak_rss_mb(made: Installation) -> float:
    status = Path(f"/proc/{made.workers[0].pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def _python(made: Installation, code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    environment = {**made.environment, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, env=environment, cwd=made.folder, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    print(json.dumps(submit_from_web(int(sys.argv[1]), *sys.argv[2:]), indent=2))
