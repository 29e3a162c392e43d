"""Requests as every server hands them to us."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from flask import Flask

from tasks.core.callbacks import sign
from tasks.services import Services
from tasks.settings import load_settings
from tasks.web.flask import blueprint
from tasks.web.http import Request
from tasks.web.receiver import LARGEST_BODY_BYTES, receive
from tasks.web.server import addresses
from tasks.web.site import Site
from tasks.web.wsgi import application

SECRET = "a-secret-of-the-shop's-own"
CALLER = "tests.stand_ins.calling:Caller"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOKEN = sign(SECRET, CALLER, 42, 7, datetime(2026, 11, 23, tzinfo=UTC))


class Heard:
    """What the site takes down."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.bodies: list[bytes] = []
        services = Services(load_settings({"WEBHOOK_SECRET": SECRET, **variables}, folder))
        self.site = Site(self._called, lambda: services, lambda: NOW)

    def _called(self, services: Services, image_id: int, fence: int, body: bytes) -> bool:
        self.bodies.append(body)
        return True

    def ask(self, stream: io.BytesIO, **environ: Any) -> str:
        """The status that the WSGI application answers with."""
        return status_of(application(self.site), stream, environ)


def status_of(app: Any, stream: io.BytesIO, environ: dict[str, Any]) -> str:
    """What a WSGI application answers to a call with this body."""
    request: dict[str, Any] = {"wsgi.input": stream}
    setup_testing_defaults(request)
    request |= {"REQUEST_METHOD": "POST", "PATH_INFO": f"/webhooks/{CALLER}/{TOKEN}"}
    statuses: list[str] = []
    app(request | environ, lambda status, *_: statuses.append(status))
    return statuses[0]


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    """A site with a secret."""
    return Heard(tmp_path)


def test_a_body_is_read_to_its_declared_end_and_no_further(heard: Heard) -> None:
    """What follows on the connection is the next request's."""
    assert heard.ask(io.BytesIO(b"bodyGET / "), CONTENT_LENGTH="4") == "200 OK"
    assert heard.bodies == [b"body"]


def test_a_body_without_a_length_is_read_where_the_server_ends_it(heard: Heard) -> None:
    """In chunks, under a server that says it can be read to its end; under another we could wait for ever."""
    assert heard.ask(io.BytesIO(b"body"), **{"wsgi.input_terminated": True}) == "200 OK"
    assert heard.ask(io.BytesIO(b"body")) == "200 OK"
    assert heard.bodies == [b"body", b""]


def test_of_an_endless_body_no_more_is_read_than_shows_that_it_is_too_large(heard: Heard) -> None:
    """The cap holds while reading too."""
    endless = io.BytesIO(b"x" * 3 * LARGEST_BODY_BYTES)
    assert heard.ask(endless, **{"wsgi.input_terminated": True}).startswith("413 ")
    assert endless.tell() == LARGEST_BODY_BYTES + 1


def test_flask_reads_no_more_of_it_either(heard: Heard) -> None:
    """Whatever the host's own limit is."""
    shop = Flask("shop")
    shop.register_blueprint(blueprint(heard.site))
    endless = io.BytesIO(b"x" * 3 * LARGEST_BODY_BYTES)
    assert status_of(shop, endless, {"wsgi.input_terminated": True}).startswith("413 ")
    assert endless.tell() <= 2 * LARGEST_BODY_BYTES


@pytest.mark.parametrize("declared", [str(LARGEST_BODY_BYTES + 1), "9" * 5000])
def test_of_a_body_that_declares_itself_too_large_nothing_is_read(heard: Heard, declared: str) -> None:
    """Refused by its Content-Length, however it is written."""
    stream = io.BytesIO(b"x")
    assert heard.ask(stream, CONTENT_LENGTH=declared).startswith("413 ")
    assert stream.tell() == 0


def test_of_a_strangers_body_nothing_is_read(heard: Heard) -> None:
    """The address comes first."""

    def read(_most_bytes: int) -> bytes:
        raise AssertionError

    assert receive(heard.site, CALLER, "forged", Request("POST", {}, read)).status == 401
    assert receive(heard.site, CALLER, TOKEN, Request("GET", {}, read)).status == 405


def test_without_a_secret_every_call_is_turned_away(tmp_path: Path) -> None:
    """Nothing is signed then, so nobody has an address of ours."""
    heard = Heard(tmp_path, WEBHOOK_SECRET="")
    assert heard.ask(io.BytesIO(b"body"), CONTENT_LENGTH="4") == "401 Unauthorized"


def test_health_asks_nothing(heard: Heard) -> None:
    """``/healthz`` says that the process answers; it reads neither ledger nor broker."""
    assert heard.ask(io.BytesIO(), PATH_INFO="/healthz", REQUEST_METHOD="GET") == "200 OK"


def test_the_log_says_why_and_never_the_address(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    """A log is read by more people than may call us, and a name that a stranger chose breaks no line of it."""
    receive(heard.site, "a\nb", TOKEN, Request("POST", {}, lambda _: b""))
    assert caplog.messages == [r"a webhook for 'a\nb' is turned away: the token's signature is wrong"]


def test_no_framework_is_loaded_before_it_is_used() -> None:
    """Neither Flask nor Django nor waitress comes with the site."""
    probe = "import sys, tasks.web.wsgi, tasks.web.server; print({'flask', 'django', 'waitress'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_name_is_every_address_that_it_stands_for() -> None:
    """``localhost`` may be two sockets, and IPv6 is written as URLs have it."""
    both = SimpleNamespace(effective_listen=[("::1", 8000), ("127.0.0.1", 8000)])
    assert addresses(both) == ["http://[::1]:8000", "http://127.0.0.1:8000"]
