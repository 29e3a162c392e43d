"""Who may enter a site whose users no host knows: real requests at real servers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from flask import Flask, abort, request
from waitress import create_server

from tasks.services import Services
from tasks.settings import load_settings
from tasks.web import door
from tasks.web.flask import blueprint
from tasks.web.http import Request
from tasks.web.site import Site
from tests.contract.web.conftest import SECRET, TOKEN
from tests.contract.web.servers import Answer, Books, Client, listening

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGE = {"Accept": "text/html,*/*"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(params=["any", "flask", "imagechord"])
def visitor(request: pytest.FixtureRequest, servers: dict[str, str], site: Site, books: Books) -> Client:
    """Somebody at each server that lets people in by the token."""
    return Client(servers[request.param], site, books, SECRET)


def look(visitor: Client, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A GET."""
    return visitor.call(path, b"", headers, method="GET")


def sign_in(visitor: Client, token: str, path: str = "/login?next=/nothing") -> Answer:
    """As the form does it."""
    return visitor.call(path, urlencode({"token": token}).encode(), FORM)


def test_a_program_sends_the_token(visitor: Client) -> None:
    """With it there is nothing at that address; with none, half of one or another one it is not even told that."""
    assert look(visitor, "/nothing", BEARER).status == 404
    for wrong in (
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": TOKEN},
    ):
        answer = look(visitor, "/nothing", wrong)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_person_types_it_once(visitor: Client) -> None:
    """Sent to the form, and back to where they wanted to; the cookie is for our eyes and this site only."""
    asked = look(visitor, "/batches?state=failed", PAGE)
    assert (asked.status, asked.headers["location"]) == (303, "/login?next=%2Fbatches%3Fstate%3Dfailed")
    form = look(visitor, asked.headers["location"], PAGE)
    assert form.status == 200
    assert b'type="password"' in form.body
    assert look(visitor, "/assets/pages.css").status == 200

    let_in = sign_in(visitor, TOKEN)

    assert (let_in.status, let_in.headers["location"]) == (303, "/nothing")
    cookie = let_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    known = {"Cookie": cookie.partition(";")[0]}
    assert TOKEN not in cookie
    assert look(visitor, "/nothing", known).status == 404
    out = visitor.call("/logout", b"", known)
    assert out.headers["set-cookie"].startswith(f"{door.COOKIE}=; ")


def test_a_wrong_token_is_said_to_be_wrong(visitor: Client) -> None:
    """In the language of whoever reads it."""
    answer = visitor.call("/login", b"token=guess", FORM | {"Accept-Language": "ko"})
    assert answer.status == 401
    assert "토큰이 맞지 않습니다" in answer.body.decode()
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "nowhere"])
def test_the_form_leads_to_this_site_only(visitor: Client, elsewhere: str) -> None:
    """Whatever the link to it said."""
    assert sign_in(visitor, TOKEN, f"/login?{urlencode({'next': elsewhere})}").headers["location"] == "/"


def test_cookies_cannot_be_made_or_kept(visitor: Client) -> None:
    """A longer time, another signature, one of another token, and one whose time is over."""
    value = sign_in(visitor, TOKEN).headers["set-cookie"].partition(";")[0].partition("=")[2]
    until, _, signature = value.partition(".")
    long_ago = str(int(datetime.now(UTC).timestamp()) - 1)
    for forged in (
        f"{int(until) + 1}.{signature}",
        f"{until}.{'0' * len(signature)}",
        f"{until}.{door._signature('another-token-of-a-site', until)}",
        f"{long_ago}.{door._signature(TOKEN, long_ago)}",
        f"x.{signature}",
        "",
    ):
        assert look(visitor, "/nothing", {"Cookie": f"{door.COOKIE}={forged}"}).status == 401, forged


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://proxied"}, 404),
        ({}, 404),
    ],
)
def test_other_sites_cannot_send_forms(visitor: Client, headers: Mapping[str, str], status: int) -> None:
    """Though the visitor's browser would send the cookie along; programs and our own forms may."""
    assert visitor.call("/nothing", b"", BEARER | headers).status == status
    assert visitor.call("/api/batches/none/pause", b"", BEARER | headers).status in {status, 503}


def test_without_a_token_nobody_enters(site: Site) -> None:
    """A shop that has forgotten it is told so; a short one is none."""
    for token in ("", "short"):
        services = Services(load_settings({"IMAGECHORD_WEB_TOKEN": token}, site.services().settings.directory))
        asked = Request("GET", {"authorization": f"Bearer {token}"}, lambda _: b"", "/batches")
        answer = door.enter(Site(site.called, lambda services=services: services), asked)  # type: ignore[misc]
        assert answer.status == 503
        assert b"openssl rand -hex 32" in answer.body


def test_a_flask_shop_that_knows_its_users(site: Site) -> None:
    """Its own decorator decides, and nobody needs a token; the endpoint of webhooks stays open."""

    def customers_only(view: object) -> object:
        def guarded(**names: str) -> object:
            return view(**names) if request.headers.get("X-Customer") == "7" else abort(403)  # type: ignore[operator]

        return guarded

    shop = Flask("guarded")
    shop.register_blueprint(blueprint(site, customers_only), url_prefix="/pictures")  # type: ignore[arg-type]
    with listening(create_server(shop, host="127.0.0.1", port=0)) as url:
        visitor = Client(url, site, Books(), SECRET)
        assert look(visitor, "/pictures/nothing").status == 403
        assert look(visitor, "/pictures/nothing", BEARER).status == 403
        assert look(visitor, "/pictures/nothing", {"X-Customer": "7"}).status == 404
        home = look(visitor, "/pictures/", {"X-Customer": "7"})
        assert (home.status, home.headers["location"]) == (303, "/pictures/batches")
        assert visitor.call("/pictures/webhooks/fal/42.7.1.forged").status == 401


def test_a_visit_ends(site: Site) -> None:
    """After two weeks the token has to be typed again."""
    then = datetime.now(UTC) + timedelta(days=14, seconds=5)
    later = Site(site.called, site.services, lambda: then)
    until = str(int(datetime.now(UTC).timestamp()) + door._VISIT_SECONDS)
    cookie = {"cookie": f"{door.COOKIE}={until}.{door._signature(TOKEN, until)}"}
    asked = Request("GET", cookie, lambda _: b"", "/nothing")
    assert [door.enter(each, asked).status for each in (site, later)] == [404, 401]
