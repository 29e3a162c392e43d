"""The site behind each way into it, on a real socket."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import waitress
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from flask import Flask, request
from waitress import wasyncore

from tasks.core import callbacks
from tasks.services import Services
from tasks.web.django.views import addresses as django_addresses
from tasks.web.door import most_bytes
from tasks.web.flask import blueprint
from tasks.web.server import addresses, open_server
from tasks.web.site import Site
from tasks.web.wsgi import Application, application
from tests.stand_ins.django_host import DjangoShop, set_up

CALLER = "tests.stand_ins.calling:Caller"
SIGNING_CALLER = "tests.stand_ins.calling:SigningCaller"
OTHERS_SECRET = "a-secret-of-somebody-else"


def of_imagechord(site: Site) -> Any:
    """``imagechord web``'s own."""
    return open_server(application(site), "127.0.0.1", 0, most_bytes(site))


def of_any_wsgi_server(site: Site) -> Any:
    """The application under a server that has other limits than ours."""
    return _hosted(application(site))


def of_flask(site: Site) -> Any:
    """A Flask shop that looks at every body before us."""
    shop = Flask("shop")

    @shop.before_request
    def _look() -> None:
        if (request.content_length or 0) < 1000:
            request.get_data()

    shop.register_blueprint(blueprint(site))
    return _hosted(shop)


def of_django(site: Site) -> Any:
    """A Django shop that wants a CSRF token with every POST."""
    DjangoShop.urlpatterns[:] = [path("", include(django_addresses(site)))]
    set_up()
    return _hosted(get_wsgi_application())


def _hosted(shop: Application | Flask) -> Any:
    return waitress.create_server(shop, host="127.0.0.1", port=0)


SERVERS: dict[str, Callable[[Site], Any]] = {
    "imagechord": of_imagechord,
    "any": of_any_wsgi_server,
    "flask": of_flask,
    "django": of_django,
}


@contextmanager
def listening(server: Any) -> Iterator[str]:
    """Serve in a thread until the block is left; gives the URL."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield addresses(server)[0]
    finally:
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
        thread.join(10)
        server.task_dispatcher.shutdown()


class Books:
    """Takes down what is called, in place of the ledger. ``trouble`` is raised instead; ``known`` are image ids."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, bytes]] = []
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.calls.clear()
        self.known = {42}
        self.trouble: Exception | None = None

    def called(self, services: Services, image_id: int, fence: int, body: bytes) -> bool:
        """See :class:`tasks.web.site.Called`."""
        if self.trouble:
            raise self.trouble
        self.calls.append((image_id, fence, body))
        return image_id in self.known


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Client:
    """A provider, or who claims to be one. ``secret`` is ours."""

    url: str
    site: Site
    books: Books
    secret: str

    def address(
        self, provider: str = CALLER, image_id: int = 42, *, signer: str = "", secret: str = "", minutes: int = 30
    ) -> str:
        """The path that ``provider`` was given, unless another ``signer`` or ``secret`` has made it."""
        expires_at = self.site.clock() + timedelta(minutes=minutes)
        token = callbacks.sign(secret or self.secret, signer or provider, image_id, 7, expires_at)
        return callbacks.callback_url("", provider, token)

    def connection(self) -> http.client.HTTPConnection:
        """A fresh one."""
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)

    def call(
        self,
        address: str,
        body: bytes | Iterable[bytes] = b"{}",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
    ) -> Answer:
        """One request on a connection of its own; a body in pieces is sent in chunks."""
        connection = self.connection()
        try:
            connection.request(method, address, body, dict(headers or {}), encode_chunked=not isinstance(body, bytes))
            return answer_of(connection)
        finally:
            connection.close()


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    """What the server says to a request that was sent."""
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
