"""What holds for every answer of the site, whoever serves it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from flask import Flask, session
from flask_wtf.csrf import CSRFProtect
from waitress import create_server

from tasks.web import door
from tasks.web.flask import blueprint
from tasks.web.receiver import LARGEST_BODY_BYTES
from tasks.web.site import Site
from tests.contract.ledger.scene import Scene
from tests.contract.web.conftest import SECRET, TOKEN
from tests.contract.web.servers import Answer, Books, Client, answer_of, listening
from tests.contract.web.test_door import BEARER, FORM, PAGE, look, sign_in, visitor
from tests.unit.web.test_uploads import part

__all__ = ["visitor"]

CSV = {"Content-Type": "text/csv"}


def is_safe(answer: Answer) -> bool:
    """Whether a browser is kept from running, framing, guessing and keeping what it was sent."""
    return (
        "default-src 'self'" in answer.headers["content-security-policy"]
        and "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        and answer.headers["x-content-type-options"] == "nosniff"
        and answer.headers["referrer-policy"] == "same-origin"
        and "no-" in answer.headers["cache-control"]
    )


def test_every_answer_keeps_browsers_from_mischief(visitor: Client) -> None:
    """Pages, JSON, refusals, what is not there, and webhooks."""
    for answer in (
        look(visitor, "/login", PAGE),
        look(visitor, "/batches", PAGE | BEARER),
        look(visitor, "/batches", PAGE),
        look(visitor, "/api/batches", BEARER),
        look(visitor, "/api/batches/none", BEARER),
        look(visitor, "/api/batches"),
        look(visitor, "/nothing", BEARER),
        visitor.call("/batches", b"", BEARER),
        visitor.call("/batches", b"", BEARER | {"Origin": "https://evil.example"}),
        visitor.call("/webhooks/fal/42.7.1.forged"),
    ):
        assert is_safe(answer), answer


def test_head_is_a_get_without_its_body(visitor: Client) -> None:
    """As monitors ask."""
    for path in ("/login", "/assets/pages.css", "/nothing"):
        head, get = (visitor.call(path, b"", BEARER, method=method) for method in ("HEAD", "GET"))
        assert (head.status, head.body) == (get.status, b"")


def test_who_is_signed_in_can_sign_out(visitor: Client) -> None:
    """By a button on every page, which those who have come another way do not see."""
    cookie = sign_in(visitor, TOKEN).headers["set-cookie"]
    page = look(visitor, "/batches", {"Cookie": cookie.partition(";")[0]})
    assert page.status == 200
    assert b'action="/logout"' in page.body
    assert b'action="/logout"' not in look(visitor, "/batches", BEARER).body


def test_over_https_the_cookie_is_for_https_alone(visitor: Client) -> None:
    """The browser tells with its form how it came here, whatever stands between."""
    for origin, secure in (("https://shop.example", True), ("http://127.0.0.1", False)):
        body = urlencode({"token": TOKEN}).encode()
        let_in = visitor.call("/login", body, FORM | {"Origin": origin, "Host": origin.partition("//")[2]})
        assert let_in.headers["set-cookie"].endswith("; Secure") is secure


def test_a_login_form_is_a_small_one(visitor: Client) -> None:
    """More than a form holds is not looked at."""
    answer = visitor.call("/login", b"token=" + b"x" * 100_000, FORM)
    assert answer.status == 409
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("visitor", ["imagechord"], indirect=True)
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/batches", {}),
        ("/api/batches", {"Authorization": "Bearer a-guess-of-somebody"}),
        ("/api/batches", {"Cookie": f"{door.COOKIE}=99999999999.forged"}),
        ("/api/batches/b-1/retry", BEARER),
        ("/webhooks/fal/42.7.1.forged", BEARER),
    ],
)
def test_large_bodies_are_not_collected_for_others(visitor: Client, path: str, headers: Mapping[str, str]) -> None:
    """Only for who may send rows, where they are sent; the rest is refused before it takes up the disk."""
    connection = visitor.connection()
    connection.putrequest("POST", path)
    for name, value in (headers | CSV | {"Content-Length": str(LARGEST_BODY_BYTES + 1)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    assert answer_of(connection).status == 413
    connection.close()


def test_large_bodies_of_those_who_may_send_rows_are_read(visitor: Client) -> None:
    """By the token or the cookie; what they say is looked at then."""
    cookie = sign_in(visitor, TOKEN).headers["set-cookie"].partition(";")[0]
    for known in (BEARER, {"Cookie": cookie}):
        answer = visitor.call("/api/batches", b"x" * (LARGEST_BODY_BYTES + 1), CSV | known)
        assert (answer.status, b"say which template" in answer.body) == (422, True)


@contextmanager
def protected_shop(site: Site) -> Iterator[str]:
    """A Flask shop behind Flask-WTF, with the blueprint once for token holders and once behind its own login."""
    shop = Flask("protected")
    shop.config.update(SECRET_KEY="the-shop's", WTF_CSRF_FIELD_NAME="shop_token")
    shop.add_url_rule("/enter", "enter", lambda: session.update(user="kim") or "welcome")

    def login_required(view: object) -> object:
        def guarded(**names: str) -> object:
            return view(**names) if "user" in session else ("log in first", 403)  # type: ignore[operator]

        return guarded

    shop.register_blueprint(blueprint(site, login_required), url_prefix="/pictures")  # type: ignore[arg-type]
    shop.register_blueprint(blueprint(site), url_prefix="/open", name="open")
    CSRFProtect(shop)  # after the blueprints, as a factory may do it
    with listening(create_server(shop, host="127.0.0.1", port=0)) as url:
        yield url


def test_a_flask_shop_protects_our_forms_with_its_own_token(site: Site) -> None:
    """They carry it; a form or a file without it is refused, and webhooks and token holders need none."""
    batch_id = Scene(site.services().ledger).submit(1)
    with protected_shop(site) as url:
        shop = Client(url, site, Books(), SECRET)
        entered = {"Cookie": look(shop, "/enter").headers["set-cookie"].partition(";")[0]}
        page = look(shop, f"/pictures/batches/{batch_id}/cancel", entered)
        found = re.search(r'name="shop_token" value="([^"]+)"', page.body.decode())
        assert found, page
        known = {"Cookie": page.headers["set-cookie"].partition(";")[0]}
        form = f"shop_token={found[1]}".encode()
        pause, file = "/pictures/api/batches/none/pause", part("source", b"sku\n1\n", "a.csv") + b"--b--"
        in_parts, in_header = {"Content-Type": "multipart/form-data; boundary=b"}, {"X-CSRFToken": found[1]}

        assert shop.call(pause, b"a=1", FORM | known).status == 400
        assert shop.call(pause, form, FORM | known).status == 404
        assert shop.call("/pictures/api/batches", file, in_parts | known).status == 400
        assert b"say which template" in shop.call("/pictures/api/batches", file, in_parts | known | in_header).body

        assert shop.call("/open/nothing", b"a=1", FORM | BEARER).status == 404
        assert shop.call("/pictures/webhooks/fal/42.7.1.forged", b"a=1", FORM).status == 401


def test_what_the_host_has_looked_at_is_still_there(site: Site) -> None:
    """Forms, files and JSON alike: the whole of it is read, once."""
    bodies = []
    shop = Flask("curious")

    @shop.before_request
    def _look() -> None:
        from flask import request

        bodies.append((request.form.to_dict(), request.get_data()))

    shop.register_blueprint(blueprint(site))
    with listening(create_server(shop, host="127.0.0.1", port=0)) as url:
        visitor = Client(url, site, Books(), SECRET)
        assert sign_in(visitor, TOKEN).status == 303
        told = visitor.call("/api/batches", b"{", BEARER | {"Content-Type": "application/json"})
        assert b"not valid JSON" in told.body
    assert bodies[0][0] == {"token": TOKEN}
    assert bodies[1][1] == b"{"
