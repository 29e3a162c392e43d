"""The article's call against a CMS that misbehaves on demand."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tasks.core.cms_preset import CmsPreset, ReadBack, Replaced
from tasks.core.errors import Account, ConfigurationError, Invalid, NotSent, Overloaded, RateLimited, StepError
from tasks.delivery.base import ReadableCms
from tasks.delivery.cms import HttpCms, RecordedCms
from tasks.delivery.readable_cms import http_cms
from tests.contract.cms.conftest import Presets
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.stand_ins.http_server import Reply, Request, StandIn

URL = "https://cdn.example.com/%EB%A8%B8%EA%B7%B8/SKU-1.png"


@pytest.fixture
def cms() -> Iterator[CmsStandIn]:
    """A CMS that knows three products."""
    with CmsStandIn(["SKU-1", "SKU-2", "머그/컵 1?"]) as stand_in:
        yield stand_in


def client(cms: StandIn, preset: CmsPreset, token: str | None = "cms-token", total_seconds: float = 10) -> HttpCms:
    """The CMS under test, with a slash too many in its URL, as people write it."""
    return http_cms(cms.url + "/", token, preset, total_seconds=total_seconds)


def test_the_articles_call(cms: CmsStandIn, presets: Presets) -> None:
    """PATCH /api/products/{sku} with a Bearer token and the URL as JSON; the receipt says that it was echoed."""
    assert client(cms, presets["generic"]).write("SKU-1", [URL]) == "PATCH 200, echoed"
    (request,) = cms.requests
    assert (request.method, request.path) == ("PATCH", "/api/products/SKU-1")
    assert request.headers["Authorization"] == "Bearer cms-token"
    assert request.headers["Content-Type"] == "application/json"
    assert request.json() == {"image_url": URL}
    assert cms.products["SKU-1"] == URL


def test_keys_are_quoted_whole(cms: CmsStandIn, presets: Presets) -> None:
    """A slash, a question mark or Hangul in a key stays inside the path's last segment."""
    client(cms, presets["generic"]).write("머그/컵 1?", [URL])
    assert cms.products["머그/컵 1?"] == URL


@pytest.mark.parametrize("key", [".", ".."])
def test_a_dotted_key_goes_nowhere(cms: CmsStandIn, presets: Presets, key: str) -> None:
    """A key that an HTTP client would resolve away is refused before anything is sent."""
    with pytest.raises(Invalid, match="cannot be part of a URL"):
        client(cms, presets["generic"]).write(key, [URL])
    assert cms.requests == []


def test_silence_is_accepted_and_said(presets: Presets) -> None:
    """A CMS that answers 204 is common: the write counts, and the receipt says that nothing was echoed."""
    with CmsStandIn(["SKU-1"], silent=True) as cms:
        assert client(cms, presets["generic"]).write("SKU-1", [URL]) == "PATCH 204, not echoed"


def test_reading_back_finds_a_silent_loss(presets: Presets) -> None:
    """With read_back a CMS that drops the field without a word is found out, and one that keeps it is believed."""
    preset = presets["generic"].model_copy(
        update={"verify": ReadBack(mode="read_back", path="/api/products/{sku}", field="image_url")}
    )
    with CmsStandIn(["SKU-1"], silent=True) as cms:
        cms.script("SKU-1", CmsFault(drop_field=True))
        with pytest.raises(Invalid, match="dropped the field"):
            client(cms, preset).write("SKU-1", [URL])
        assert client(cms, preset).write("SKU-1", [URL]) == "PATCH 204, read back"


def test_what_all_variants_have_replaced_is_put_back(presets: Presets) -> None:
    """A preset with a list keeps the first URL and the list, and both stand there again, or nothing does."""
    replaced = Replaced(path="/api/products/{sku}", image_url="image_url", image_urls="image_urls")
    preset = presets["generic_list"].model_copy(update={"replaced": replaced})
    old = ["https://old/1.png", "https://old/2.png"]
    with CmsStandIn(["SKU-1", "SKU-2"]) as cms:
        readable = http_cms(cms.url, "cms-token", preset)
        assert isinstance(readable, ReadableCms)
        readable.write("SKU-1", old)
        was = {sku: readable.read(sku) for sku in ("SKU-1", "SKU-2")}
        for sku, shown in was.items():
            readable.write(sku, [URL, f"{URL}?2"])
            readable.restore(sku, shown)
        assert was["SKU-1"] == {"image_url": old[0], "image_urls": old}
        assert (cms.products["SKU-1"], cms.galleries["SKU-1"]) == (old[0], old)
        assert (cms.products["SKU-2"], cms.galleries["SKU-2"]) == (None, None)


@pytest.mark.parametrize("body", ["<html>Please log in</html>", "", "welcome"])
def test_what_is_no_record_is_no_old_value(presets: Presets, body: str) -> None:
    """A site that answers everything with 200 is found out before anything is kept or written."""
    replaced = Replaced(path="/api/products/{sku}", image_url="image_url")
    preset = presets["generic"].model_copy(update={"replaced": replaced})
    with Canned(Reply(body=body)) as cms:
        readable = client(cms, preset)
        assert isinstance(readable, ReadableCms)
        with pytest.raises(Account, match="CMS_URL must be the address of its API"):
            readable.read("SKU-1")


def test_another_value_is_not_a_success(presets: Presets) -> None:
    """An answer that carries the field with another value means that the write did not take."""
    old = Reply(body={"data": {"image_url": "https://old.example.com/1.png"}})
    with Canned(old) as cms, pytest.raises(Invalid, match=r"holds 'https://old.example.com/1.png' in data.image_url"):
        client(cms, presets["generic"]).write("SKU-1", [URL])


def test_a_web_page_is_not_an_api(presets: Presets) -> None:
    """A site that answers every address with its start page has not stored anything."""
    page = Reply(body="\n<!doctype html><title>Shop</title>")
    with Canned(page) as cms, pytest.raises(Account, match="CMS_URL must be the address of its API"):
        client(cms, presets["generic"]).write("SKU-1", [URL])


def test_an_unknown_product(cms: CmsStandIn, presets: Presets) -> None:
    """404 is Invalid and names the key."""
    with pytest.raises(Invalid, match="no product with key 'SKU-9' in the CMS"):
        client(cms, presets["generic"]).write("SKU-9", [URL])


@pytest.mark.parametrize(
    ("fault", "expected", "retry_after_seconds"),
    [
        (CmsFault(400), Invalid, None),
        (CmsFault(409), Invalid, None),
        (CmsFault(413), Invalid, None),
        (CmsFault(422), Invalid, None),
        (CmsFault(401), Account, None),
        (CmsFault(402), Account, None),
        (CmsFault(403), Account, None),
        (CmsFault(405), Account, None),
        (CmsFault(302, {"Location": "/login"}), Account, None),
        (CmsFault(408), Overloaded, None),
        (CmsFault(423), Overloaded, None),
        (CmsFault(429), RateLimited, None),
        (CmsFault(429, {"Retry-After": "12"}), RateLimited, 12.0),
        (CmsFault(500), Overloaded, None),
        (CmsFault(503, {"Retry-After": "1.5"}), Overloaded, 1.5),
        (CmsFault(503, {"Retry-After": "soon"}), Overloaded, None),
        (CmsFault(lost_answer=True), Overloaded, None),
    ],
)
def test_answers_get_their_class(
    cms: CmsStandIn,
    presets: Presets,
    fault: CmsFault,
    expected: type[StepError],
    retry_after_seconds: float | None,
) -> None:
    """Each answer becomes the class that decides about retrying, after exactly one request; the next write succeeds."""
    cms.script("SKU-1", fault)
    http_cms = client(cms, presets["generic"])
    with pytest.raises(expected) as caught:
        http_cms.write("SKU-1", [URL])
    assert type(caught.value) is expected
    assert caught.value.retry_after_seconds == retry_after_seconds
    assert cms.writes("SKU-1") == 1
    http_cms.write("SKU-1", [URL])
    assert cms.products["SKU-1"] == URL


def test_retry_after_as_a_date(cms: CmsStandIn, presets: Presets) -> None:
    """Retry-After may be an HTTP date; it becomes seconds from now."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    cms.script("SKU-1", CmsFault(503, {"Retry-After": date}))
    with pytest.raises(Overloaded) as caught:
        client(cms, presets["generic"]).write("SKU-1", [URL])
    assert caught.value.retry_after_seconds == pytest.approx(90, abs=5)


def test_a_redirect_is_not_followed(presets: Presets) -> None:
    """A redirected PATCH would come back as a GET that succeeds; the error says where CMS_URL should point."""
    with Canned(Reply(301, headers={"Location": "https://cms.example.com/"})) as cms:
        with pytest.raises(Account, match=r"redirects to 'https://cms.example.com/', correct CMS_URL"):
            client(cms, presets["generic"]).write("SKU-1", [URL])
        assert len(cms.requests) == 1


@pytest.mark.parametrize("reply", [Reply(delay_seconds=30), Reply(body="x" * 200, drip_seconds=0.05)])
def test_a_slow_cms_cannot_hold_a_thread(presets: Presets, reply: Reply) -> None:
    """Neither silence nor an answer that drips in byte by byte outlasts the limit."""
    with Canned(reply) as cms, pytest.raises(Overloaded, match=r"did not answer within 0\.3 s"):
        client(cms, presets["generic"], total_seconds=0.3).write("SKU-1", [URL])


def test_an_endless_answer_is_cut(presets: Presets) -> None:
    """An answer larger than 1 MB is not read to its end, and is no JSON then."""
    with Canned(Reply(body={"image_url": URL, "padding": "x" * 3_000_000})) as cms:
        assert client(cms, presets["generic"]).write("SKU-1", [URL]) == "PATCH 200, not echoed"


def test_a_closed_port_was_not_asked(presets: Presets) -> None:
    """Connection refused is NotSent."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(NotSent, match="cannot be reached"):
            HttpCms(url, None, presets["generic"]).write("SKU-1", [URL])
        assert HttpCms(url, None, presets["generic"]).check().status == "bad"


def test_plain_text_on_a_tls_port(cms: CmsStandIn, presets: Presets) -> None:
    """https:// where only http:// is spoken is for a person to mend."""
    with pytest.raises(Account, match="TLS"):
        HttpCms(cms.url.replace("http:", "https:"), None, presets["generic"]).write("SKU-1", [URL])


def test_a_host_that_cannot_be(presets: Presets) -> None:
    """A host name that only the HTTP client finds impossible is for a person to mend, not to be tried again."""
    with pytest.raises(Account, match="cannot be called at this address; check CMS_URL"):
        HttpCms("https://cms..example.com", None, presets["generic"]).write("SKU-1", [URL])


def test_netrc_does_not_replace_the_token(
    cms: CmsStandIn, presets: Presets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry for the host in ~/.netrc must not win against CMS_TOKEN."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client(cms, presets["generic"]).write("SKU-1", [URL])
    client(cms, presets["generic"], token=None).check()
    assert [r.headers["Authorization"] for r in cms.requests] == ["Bearer cms-token", None]


def test_many_threads_share_one_cms(presets: Presets) -> None:
    """One instance serves all threads of a worker, and every product gets its own URL."""
    with CmsStandIn(any_product=True) as cms, ThreadPoolExecutor(16) as threads:
        http_cms = client(cms, presets["generic"])
        skus = [f"SKU-{n}" for n in range(200)]
        list(threads.map(lambda sku: http_cms.write(sku, [f"https://cdn.example.com/{sku}.png"]), skus))
        assert cms.products == {sku: f"https://cdn.example.com/{sku}.png" for sku in skus}


@pytest.mark.parametrize(
    "url",
    ["", "cms.example.com", "ftp://cms.example.com", "https://", "https://a b.com", "https://cms:port", "http://x:0"],
)
def test_a_bad_cms_url_is_said_at_once(presets: Presets, url: str) -> None:
    """A CMS_URL that cannot work is refused when the client is made, by its variable's name."""
    with pytest.raises(ConfigurationError, match="CMS_URL"):
        HttpCms(url, None, presets["generic"])


def test_secrets_have_their_own_variable(presets: Presets) -> None:
    """A password inside CMS_URL is refused without being repeated, and so is a token with a line break inside."""
    with pytest.raises(ConfigurationError, match="user or password") as caught:
        HttpCms("https://me:hunter2@cms.example.com", None, presets["generic"])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="CMS_TOKEN") as caught:
        HttpCms("https://cms.example.com", "to\nken", presets["generic"])
    assert "ken" not in str(caught.value).replace("token", "").replace("CMS_TOKEN", "")


def test_the_check_changes_nothing(cms: CmsStandIn, presets: Presets) -> None:
    """The check is one GET; it tells a good token from a wrong one."""
    assert client(cms, presets["generic"]).check().status == "ok"
    wrong = client(cms, presets["generic"], token="wrong").check()
    assert (wrong.status, wrong.mend) == ("bad", "set CMS_TOKEN")
    assert [r.method for r in cms.requests] == ["GET", "GET"]


def test_the_check_sees_trouble(presets: Presets) -> None:
    """A CMS that answers 500 to the check is bad."""
    with Canned(Reply(500)) as cms:
        assert client(cms, presets["generic"]).check().status == "bad"


def test_without_a_cms_nothing_is_called() -> None:
    """RecordedCms writes nowhere, and both the receipt and the check say so."""
    assert RecordedCms().write("SKU-1", [URL]) == "recorded, CMS_URL is not set"
    assert RecordedCms().check().status == "off"


class Canned(StandIn):
    """Gives the same reply to everything."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply

    def answer(self, request: Request) -> Reply:
        return self.reply
