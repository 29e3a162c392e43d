"""Batches over HTTP: ``imagechord web`` and a worker, as another code base meets them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.contract.providers.fake_anycap import picture
from tests.integration.programs import WORKER, Stack, private_stack
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.waiting import wait_until

TOKEN = "the-token-of-this-site"
CSV = "sku,name,color\nA-1,머그컵,파랑\nA-2,접시,하양\n"
OPTIONS = {"template": "product_hero", "model": "preview"}


@dataclass(frozen=True)
class Caller:
    """A program that has the token."""

    url: str
    stack: Stack

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {TOKEN}", **options.pop("headers", {})}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **options)

    def post_rows(self, rows: list[Any], **options: Any) -> requests.Response:
        """Rows as JSON."""
        return self.call("POST", "/api/batches", json={**OPTIONS, "rows": rows, **options})

    def rested(self, answer: requests.Response) -> dict[str, Any]:
        """The batch that a POST has answered with, once it moves no more."""
        assert answer.status_code == 202, answer.text
        address = answer.headers["Location"]
        assert address == answer.json()["status_url"]

        def over() -> bool:
            found = self.call("GET", address).json()
            return found["phase"] == "refused" or (found["phase"] == "started" and not found["active"])

        wait_until(over, what="the batch")
        found: dict[str, Any] = self.call("GET", address).json()
        return found


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """One stack for all: what they submit has other keys."""
    folder, (port,) = tmp_path_factory.mktemp("api"), free_ports(1)
    web = [sys.executable, "-c", "from tasks.cli.main import main; main()", "web", "--port", str(port)]
    with (
        private_stack(folder) as stack,
        stack.running({"worker": WORKER}),
        stack.running({"web": web}, folder, IMAGECHORD_WEB_TOKEN=TOKEN),
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until_up(f"{url}/healthz", folder / "web.log")
        yield Caller(url, stack)


def test_a_file_in_a_form(caller: Caller) -> None:
    """As a browser or curl -F sends it: 202 with the batch's address, and its pictures are published."""
    files = {"source": ("C:\\shop\\products.csv", CSV.encode(), "text/csv")}
    answer = caller.call("POST", "/api/batches", files=files, data={**OPTIONS, "skip_bad_rows": "true"})
    found = caller.rested(answer)
    assert (found["published"], found["total"], found["name"]) == (2, 2, "products.csv")
    page = caller.call("GET", answer.json()["page_url"])
    assert page.status_code == 200
    assert "products.csv" in page.text


def test_a_file_by_itself(caller: Caller) -> None:
    """The body is the file, the address has the options; the same Idempotency-Key is the same batch."""
    headers = {"Content-Type": "text/csv; charset=utf-8", "Idempotency-Key": "order-9"}
    address = "/api/batches?template=product_hero&model=preview&name=spring"
    body = CSV.replace("A-", "B-").encode()
    first, second = (caller.call("POST", address, data=body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert caller.rested(first)["name"] == "spring"


def test_rows_as_json_and_their_pictures_page_by_page(caller: Caller) -> None:
    """Each image as ``show --json`` has it; ``next`` leads on until there is nothing."""
    found = caller.rested(caller.post_rows([{"sku": f"C-{n}", "name": "컵", "color": "빨강"} for n in range(5)]))
    address = f"/api/batches/{found['batch']}/images"
    keys, after = [], "0"
    while after is not None:
        page = caller.call("GET", address, params={"limit": 2, "after": after, "state": "published"}).json()
        keys += [each["sku"] for each in page["images"]]
        after = page["next"]
    assert keys == [f"C-{n}" for n in range(5)]
    assert caller.call("GET", address, params={"state": "failed"}).json() == {"images": [], "next": None}
    listed = caller.call("GET", "/api/batches").json()["batches"]
    assert {"published": 5} in [each["counts"] for each in listed if each["batch"] == found["batch"]]


def test_the_newest_page_by_page(caller: Caller) -> None:
    """Each batch is on one page, the newest first."""
    rows = [{"sku": f"L-{n}", "name": "컵", "color": "빨강"} for n in range(3)]
    ids = [caller.rested(caller.post_rows([row]))["batch"] for row in rows]
    listed = [batch["batch"] for batch in caller.call("GET", "/api/batches?limit=1000").json()["batches"]]
    assert listed[:3] == ids[::-1]
    first = caller.call("GET", "/api/batches?limit=2").json()
    assert [batch["batch"] for batch in first["batches"]] == listed[:2]
    assert first["next"] == listed[1]
    rest = caller.call("GET", f"/api/batches?limit=1000&before={first['next']}").json()
    assert [batch["batch"] for batch in rest["batches"]] == listed[2:]
    assert rest["next"] is None
    assert caller.call("GET", "/api/batches?before=none").status_code == 404


def test_rows_with_mistakes(caller: Caller) -> None:
    """A worker refuses them, and the batch's address says every problem; nothing is started."""
    good = {"sku": "D-1", "name": "컵", "color": "빨강"}
    rows: list[Any] = [good, good | {"color": ""}, good | {"sku": ""}, good | {"name": ["컵"]}, "D-5"]
    found = caller.rested(caller.post_rows(rows))
    assert (found["phase"], found["total"]) == ("refused", 0)
    assert "4 of 5 rows" in found["problems"][0]
    for number in range(2, 6):
        assert any(f"line {number}" in problem for problem in found["problems"]), found["problems"]


def test_pause_resume_cancel_retry(caller: Caller) -> None:
    """What is done to a batch answers 202; what cannot be done says why."""
    rows = [{"sku": f"E-{n}", "name": "컵", "color": "빨강"} for n in range(3)]
    batch = caller.rested(caller.post_rows(rows, hold_publish=True))
    one = f"/api/batches/{batch['batch']}"
    assert caller.call("POST", f"{one}/publish", json={"keys": ["E-0"]}).json()["images"] == 1
    wait_until(lambda: caller.call("GET", one).json()["published"] == 1, what="the one that was looked at")
    assert caller.call("POST", f"{one}/pause").status_code == 202
    assert caller.call("POST", f"{one}/resume", json={"budget_usd": "5"}).status_code == 202
    assert caller.call("POST", f"{one}/cancel").status_code == 202
    wait_until(lambda: caller.call("GET", one).json()["counts"].get("cancelled"), what="the cancellation")
    assert caller.call("POST", f"{one}/retry", json={"only": "cancelled"}).json()["images"] == 2
    for said in (
        {"everything": True},
        [],
        {"only": "lost"},
        {"only": 5},
        {"keys": "E-0"},
        {"keys": [5]},
        {"edit": "model"},
        {"edit": {"model": None}},
    ):
        refused = caller.call("POST", f"{one}/retry", json=said)
        assert refused.status_code == 422
        assert refused.json()["error"]


@pytest.mark.parametrize(
    ("status", "words", "sent"),
    [
        (422, "there is no option 'temp'", {"json": {"rows": [], "temp": 1}}),
        (422, "there is no option 'source'", {"json": {"template": "product_hero", "source": "/etc/passwd"}}),
        (422, "there is no option 'source'", {"params": {"source": "s3://shop/a.csv"}, "data": "sku\n1\n"}),
        (422, "the form has no file", {"files": {"source": (None, "/etc/passwd")}}),
        (422, 'the body has no "rows"', {"json": {"template": "product_hero"}}),
        (422, "say which template", {"json": {"rows": [{"sku": "x"}]}}),
        (422, "variants is 'two'; it must be a whole number", {"params": {"variants": "two"}, "data": "sku\n1\n"}),
        (422, "needs a column for {color}", {"json": {**OPTIONS, "rows": [{"sku": "x", "name": "y"}]}}),
        (422, "unknown template 'none'", {"params": {"template": "none"}, "data": "sku\n1\n"}),
        (422, "the form has no file", {"files": {"picture": ("a.csv", b"sku\n1\n")}}),
        (415, "rows come as multipart/form-data", {"data": b"x", "headers": {"Content-Type": "image/png"}}),
        (422, "nested too deeply", {"data": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}),
        (422, "not valid JSON", {"data": b"{", "headers": {"Content-Type": "application/json"}}),
    ],
)
def test_what_cannot_be_meant(caller: Caller, status: int, words: str, sent: dict[str, Any]) -> None:
    """Says what, and what could be; no file of the server's is ever read."""
    if "data" in sent and "headers" not in sent:
        sent = sent | {"headers": {"Content-Type": "text/csv"}}
    answer = caller.call("POST", "/api/batches", **sent)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]


def test_a_sender_cannot_name_the_servers_files(caller: Caller) -> None:
    """A picture to start from is one beside the rows, and there is none."""
    secret = caller.stack.folder / "secret.png"
    secret.write_bytes(picture())
    for name in (str(secret), "secret.png", "../secret.png"):
        row = {"sku": f"F-{len(name)}", "name": "컵", "color": "빨강", "reference": name}
        found = caller.rested(caller.post_rows([row], model="nano-banana-pro", fresh=True))
        assert found["phase"] == "refused"
        assert "secret.png" in str(found["problems"])


def test_what_is_not_there(caller: Caller) -> None:
    """404 for a batch, 405 for a method; a file that is too large is not read to its end."""
    for path in ("/api/batches/none", "/api/batches/none/images", "/nothing"):
        assert caller.call("GET", path).status_code == 404
    assert caller.call("POST", "/api/batches/none/pause").status_code == 404
    answer = caller.call("DELETE", "/api/batches")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    with closing(HTTPConnection(urlsplit(caller.url).netloc, timeout=20)) as connection:
        connection.putrequest("POST", "/api/batches")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Length", "64000001")
        connection.endheaders()
        assert connection.getresponse().status == 413
