"""What the pages say, without a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from tasks.core.cost import manual_cost
from tasks.core.errors import ConfigurationError, Overloaded, Refused
from tasks.core.holds import Reason
from tasks.core.plan import PlannedImage
from tasks.core.preferences import ManualDesign
from tasks.core.retry import Decision
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import browsing, events, holding, retrying, schema
from tasks.ledger.browsing import Wanted
from tasks.services import Services
from tasks.settings import load_settings
from tasks.web.pages import wording
from tasks.web.site import Site
from tests.contract.ledger.large import enlarge, fill
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, Scene, catalogue, planned
from tests.contract.pages.conftest import BASE, SECRET, Seen, Visitor
from tests.unit.report.factories import thumbnail

PNG = thumbnail("PNG")
FAILS = Decision(end=State.FAILED)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' & 한글"
ENOUGH_SECONDS = 0.1
ROUNDS = 20
"""On a machine that others keep busy some rounds are slow: the quickest one shows what a page takes."""


def of(batch_id: str, *more: object) -> str:
    """The path of a batch's page, or of one below it."""
    return "/".join(map(str, ("/batches", batch_id, *more)))


def ids(scene: Scene, batch_id: str) -> list[int]:
    """The images of a batch in the order of their rows."""
    return [card.id for card in browsing.matching(scene.ledger, batch_id, 1000, Wanted())]


def of_every_state(scene: Scene, **values: object) -> str:
    """A batch with a picture in each state."""
    batch_id = scene.submit(len(State), **values)
    for image_id, state in zip(ids(scene, batch_id), State, strict=True):
        scene.set_image(image_id, state=state)
    return batch_id


@contextmanager
def statements(services: Services) -> Iterator[list[str]]:
    """What the ledger is asked meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(services.ledger.engine, "before_cursor_execute", note)
    yield asked
    event.remove(services.ledger.engine, "before_cursor_execute", note)


class TestTheList:
    def test_it_tells_how_each_batch_stands(self, scene: Scene, visitor: Visitor) -> None:
        """Name, word, published of all, money of the budget; the newest first."""
        done = scene.submit(2, name="spring.csv", budget_usd_micros=2_000_000)
        for dispatch in scene.release(done):
            scene.publish(dispatch.ticket)
        holding.pause(scene.ledger, scene.submit(3, name="autumn.csv"))

        text = visitor.get("/batches").text

        assert re.search(r"autumn\.csv .* Paused Published 0 of 3 \$0\.00", text)
        assert re.search(r"spring\.csv .* Finished Published 2 of 2 \$0\.0100 of \$2\.00", text)
        assert text.index("autumn.csv") < text.index("spring.csv")

    def test_all_batches_are_reached_page_by_page(self, scene: Scene, visitor: Visitor) -> None:
        """Each once; and there is a way back."""
        batches = [scene.submit([]) for _ in range(45)]
        page: str | None = "/batches"
        seen: list[str] = []
        while page:
            answer = visitor.get(page)
            seen += re.findall(r'id="batch-([^"]*)"', answer.html)
            page = answer.onward
        assert seen == batches[::-1]
        assert f"{BASE}/batches" in answer.links

    def test_it_asks_no_more_for_more_batches(self, scene: Scene, services: Services, visitor: Visitor) -> None:
        """One query for each question, not for each batch."""
        asked = []
        for _ in range(2):
            for _ in range(5):
                scene.submit(1)
            with statements(services) as made:
                visitor.get("/batches")
            asked.append(len(made))
        assert asked[0] == asked[1]

    def test_without_a_ledger_it_says_how_to_begin(self, tmp_path: Path) -> None:
        """And makes none."""
        settings = load_settings({"IMAGECHORD_HOME": str(tmp_path / "home")}, tmp_path)
        seen = Visitor(Site(lambda *_call: True, lambda: Services(settings))).get("/batches")
        assert "There is no batch yet." in seen.text
        assert "imagechord run" in seen.text
        assert not (tmp_path / "home").exists()

    def test_it_is_where_one_begins(self, visitor: Visitor) -> None:
        """The mount point leads there."""
        assert visitor.get("/").response.headers["Location"] == f"{BASE}/batches"


class TestABatch:
    def test_its_failures_are_grouped_with_the_way_on(self, scene: Scene, visitor: Visitor) -> None:
        """By class, the most frequent first: how many, an example, what to do, and a button that does it."""
        batch_id = scene.submit(4)
        tickets = [dispatch.ticket for dispatch in scene.release(batch_id)]
        for ticket in tickets[:2]:
            scene.fail(scene.claim(ticket), Overloaded("HTTP 503 of the maker"), FAILS)
        scene.fail(scene.claim(tickets[2]), Refused("no people"), Decision(end=State.REFUSED))

        seen = visitor.get(of(batch_id))

        assert re.search(r"2 Service in trouble · Failed · generation HTTP 503 of the maker .* Try again", seen.text)
        assert re.search(r"1 Content policy .* no people .* Change and try again…", seen.text)
        assert f'formaction="{BASE}/batches/{batch_id}/retry" name="only" value="overloaded"' in seen.html
        assert f"{BASE}/batches/{batch_id}/retry?only=refused" in seen.links

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            (Reason.BUDGET, "Raise the budget…"),
            (Reason.DAY_BUDGET, "goes on by itself in time"),
            (Reason.PUBLISH, "Publish"),
            (Reason.ACCOUNT, "Resume"),
        ],
    )
    def test_what_waits_has_its_own_way_on(self, scene: Scene, visitor: Visitor, reason: Reason, words: str) -> None:
        """Money, midnight, a look, or just going on."""
        batch_id = scene.submit(1)
        scene.set_image(ids(scene, batch_id)[0], state=State.HELD, error_class=reason)
        seen = visitor.get(of(batch_id))
        assert "Waiting for you" in seen.text
        assert words in seen.text

    def test_money_pace_and_limits(self, scene: Scene, visitor: Visitor) -> None:
        """Spent and reserved against the budget; the model's limits where no broker tells of their use."""
        batch_id = scene.submit(4, budget_usd_micros=1_000_000)
        first, second, *_ = (dispatch.ticket for dispatch in scene.release(batch_id))
        scene.publish(first)
        scene.claim(second)
        text = visitor.get(of(batch_id)).text
        assert "Running" in text
        assert "Spent $0.0050 of $1.00 · $0.0050 in flight" in text
        assert re.search(r"Pace \d+(\.\d+)?/min Time left about ", text)
        assert re.search(r"nano-banana-2 Done 1 Left 3 .* Limits in force 60/min · 0 of 8 at once", text)

    def test_at_rest_it_is_summed_up(self, scene: Scene, visitor: Visitor) -> None:
        """What it came to, beside the price of manual design, and whether Slack has heard of it."""
        batch_id = scene.submit(1)
        scene.publish(scene.release(batch_id)[0].ticket)
        with scene.ledger.write() as connection:
            now = browsing.head(scene.ledger, batch_id).created_at
            values = {"batch_id": batch_id, "round": 1, "kind": "end", "worker_id": "w", "claimed_at": now}
            connection.execute(schema.summary.insert().values(**values, sent_at=now, message={}, error="HTTP 404"))
        text = visitor.get(of(batch_id)).text
        assert re.search(r"Summary Published 1 / 1 Duration .* The same by hand \$5 – \$10", text)
        assert "Slack was not told HTTP 404" in text

    def test_the_sum_tells_of_fallbacks_and_of_who_has_not_heard(self, scene: Scene, visitor: Visitor) -> None:
        """Which model took over, what was bought before, whether the webhook is behind; and why one model waits."""
        batch_id = scene.submit(2, catalogue=catalogue() | {"unpriced": [MODEL]})
        first, second = ids(scene, batch_id)
        scene.set_image(first, state=State.PUBLISHED, asked_model=OTHER_MODEL)
        scene.set_image(second, state=State.PUBLISHED, reused=True)
        with scene.ledger.write() as connection:
            events.add_webhook(connection, batch_id, "https://shop.example")
            holding.put_on_hold(connection, batch_id, OTHER_MODEL, Reason.ACCOUNT, "HTTP 402")
        text = visitor.get(of(batch_id)).text
        assert f"Fallbacks 1 by {MODEL} instead of {OTHER_MODEL} (1 published)" in text
        assert "Reused 1" in text
        assert "Webhook everything is told" in text
        assert f"{OTHER_MODEL}: Key, credit or quota – HTTP 402" in text
        assert f"models without a price: {MODEL}" in text

    @pytest.mark.parametrize(("images", "words"), [(10_000, "$50,000 and more"), (100_000, "practically impossible")])
    def test_the_same_by_hand(self, images: int, words: str) -> None:
        """As the preferences price it."""
        assert wording.by_hand(manual_cost(images, ManualDesign()), "en") == words

    def test_one_that_was_refused_says_why(self, scene: Scene, visitor: Visitor) -> None:
        """Every problem, and nothing to press."""
        batch_id = scene.submit([])
        scene.set_batch(batch_id, phase="refused", problems=["2 rows are wrong", "line 3: name is empty"])
        seen = visitor.get(of(batch_id))
        assert "Not started" in seen.text
        assert "2 rows are wrong line 3: name is empty" in seen.text
        assert "<button" not in seen.html.split('class="search"')[0]

    def test_one_that_is_planned_says_what_it_waits_for(self, scene: Scene, visitor: Visitor) -> None:
        """A worker reads the rows."""
        batch_id = scene.submit([])
        scene.set_batch(batch_id, phase="planning")
        assert "A worker is reading the rows" in visitor.get(of(batch_id)).text

    @pytest.mark.parametrize("query", ["", "?state=published", "?sku=SKU"])
    def test_all_pictures_are_reached_page_by_page(self, scene: Scene, visitor: Visitor, query: str) -> None:
        """Each once, also while others come in."""
        batch_id = scene.submit(130)
        images = ids(scene, batch_id)
        for image_id in images:
            scene.set_image(image_id, state=State.PUBLISHED)
        page: str | None = of(batch_id) + query
        seen: list[int] = []
        while page:
            answer = visitor.get(page)
            seen += [int(found) for found in re.findall(r'id="card-(\d+)"', answer.html)]
            page = answer.onward
        assert sorted(seen) == images
        assert any(link.startswith(f"{BASE}{of(batch_id)}{query}") for link in answer.links)

    def test_its_changing_parts_are_asked_for_alone(self, scene: Scene, visitor: Visitor) -> None:
        """Nothing is sent again while nothing has changed, and what is sent says when to ask again."""
        batch_id = scene.submit(1)
        first = visitor.get(of(batch_id, "live"))
        tag = first.response.headers["ETag"]
        again = visitor.get(of(batch_id, "live"), if_none_match=tag)
        assert (again.status, again.response.body, again.response.headers["ETag"]) == (304, b"", tag)

        scene.publish(scene.release(batch_id)[0].ticket)

        after = visitor.get(of(batch_id, "live"), if_none_match=tag)
        assert after.status == 200
        assert [re.findall(r'data-every="(\d+)"', each.html) for each in (first, after)] == [["2"], ["15"]]
        assert "<html" not in after.html


class TestAPicture:
    def test_its_history(self, scene: Scene, visitor: Visitor) -> None:
        """Prompt, row, each call with outcome, cost and message, and what it was before it was tried again."""
        batch_id = scene.submit(1)
        scene.fail(scene.claim(scene.release(batch_id)[0].ticket), Overloaded("HTTP 503", trace_id="tr-7"), FAILS)
        retrying.retry(scene.ledger, batch_id, Selection())
        scene.publish(scene.release(batch_id)[0].ticket)
        text = visitor.get(of(batch_id, "images", ids(scene, batch_id)[0])).text
        assert "빨간 컵 0" in text
        assert "sku SKU-00000 name 컵 color 빨강" in text
        assert re.search(r"Call 1 · nano-banana-2 · Service in trouble .* tr-7 HTTP 503", text)
        assert re.search(r"Call 2 · nano-banana-2 · Generated · \$0\.0050", text)
        assert "Round 1: nano-banana-2, template product – Failed · tried again" in text
        assert "Public URL https://cdn/SKU-00000.png" in text
        assert "CMS receipt 204" in text

    def test_what_failed_can_be_tried_again_alone(self, scene: Scene, visitor: Visitor) -> None:
        """By its key and class, as it is or with something changed."""
        batch_id = scene.submit(1)
        scene.fail(scene.claim(scene.release(batch_id)[0].ticket), Overloaded("HTTP 503"), FAILS)
        seen = visitor.get(of(batch_id, "images", ids(scene, batch_id)[0]))
        assert f'action="{BASE}/batches/{batch_id}/retry"' in seen.html
        for field in ('name="sku" value="SKU-00000"', 'name="only" value="overloaded"'):
            assert f'<input type="hidden" {field}>' in seen.html
        assert f"{BASE}/batches/{batch_id}/retry?only=overloaded&sku=SKU-00000" in seen.links

    def test_its_file_is_shown_from_wherever_it_is_kept(
        self, scene: Scene, services: Services, visitor: Visitor
    ) -> None:
        """With its own type, also from a folder that no browser could reach; a link to that folder is none."""
        batch_id = scene.submit(1)
        scene.publish(scene.release(batch_id)[0].ticket)
        image_id = ids(scene, batch_id)[0]
        folder = services.settings.output
        folder.mkdir()
        (folder / "SKU-00000.png").write_bytes(PNG)
        scene.set_image(image_id, public_url=(folder / "SKU-00000.png").as_uri())
        seen = visitor.get(of(batch_id, "images", image_id))
        assert not [link for link in seen.links if link.startswith("file:")]
        file = visitor.get(of(batch_id, "images", image_id, "full")).response
        assert (file.status, file.headers["Content-Type"], file.body) == (200, "image/png", PNG)

        (folder / "SKU-00000.png").write_text("<script>alert(1)</script>")
        odd = visitor.get(of(batch_id, "images", image_id, "full")).response
        assert odd.headers["Content-Type"] == "application/octet-stream"
        assert odd.headers["X-Content-Type-Options"] == "nosniff"

    def test_where_its_file_is_out_of_reach_the_thumbnail_stands_for_it(self, scene: Scene, visitor: Visitor) -> None:
        """As on a machine that does not share the workers' folder; without a thumbnail there is nothing."""
        batch_id = scene.submit(2)
        for dispatch in scene.release(batch_id):
            scene.publish(dispatch.ticket)
        first, second = ids(scene, batch_id)
        scene.set_image(second, fingerprint="gone")
        assert visitor.get(of(batch_id, "images", first, "full")).response.body == b"jpeg "
        assert visitor.get(of(batch_id, "images", second, "full")).status == 404

    def test_a_thumbnail_is_the_ledgers(self, scene: Scene, visitor: Visitor) -> None:
        """By the fingerprint of the picture."""
        batch_id = scene.submit(1)
        scene.generate(scene.release(batch_id)[0].ticket)
        assert visitor.get(f"/thumbnails/{planned(0).fingerprint}").response.body == b"jpeg "


PAGES_OF_A_BATCH = ("", "/live", "?state=failed", "/cancel", "/resume", "/retry?only=refused&sku=x")


def every_page(visitor: Visitor, batch_id: str, image_ids: list[int]) -> Iterator[Seen]:
    """All pages that show something of a batch."""
    yield visitor.get("/batches")
    for page in PAGES_OF_A_BATCH:
        yield visitor.get(of(batch_id) + page)
    for image_id in image_ids:
        yield visitor.get(of(batch_id, "images", image_id))


def hostile_image() -> PlannedImage:
    """Everything that a shop's file can put into a page."""
    return replace(planned(0), key=HOSTILE, prompt=HOSTILE, template=HOSTILE, model=HOSTILE, row={HOSTILE: HOSTILE})


class TestEveryPage:
    def test_nothing_that_is_shown_is_markup(self, scene: Scene, visitor: Visitor) -> None:
        """Names, keys, prompts, messages, URLs: whatever strangers have written stays text."""
        batch_id = scene.submit([hostile_image()], name=HOSTILE)
        image_id = ids(scene, batch_id)[0]
        shown = {"error_class": HOSTILE[:20], "error_message": HOSTILE, "error_step": HOSTILE[:20]}
        receipts = {"public_url": "javascript:alert(3)", "cms_receipt": HOSTILE, "output_key": HOSTILE}
        scene.set_image(image_id, state=State.FAILED, **shown, **receipts)
        with scene.ledger.write() as connection:
            holding.put_on_hold(connection, batch_id, HOSTILE[:50], Reason.ACCOUNT, HOSTILE)
        pages = [
            *every_page(visitor, batch_id, [image_id]),
            visitor.get(f"{of(batch_id)}?sku={HOSTILE}&lang={HOSTILE}"),
        ]
        for seen in pages:
            assert seen.status == 200
            assert "<script>alert" not in seen.html
            assert "<img src=x" not in seen.html
            assert not [link for link in seen.links if link.startswith("javascript:")]

    @pytest.mark.parametrize("language", ["ko", "en"])
    def test_nothing_is_inline_and_every_state_has_its_words(
        self, scene: Scene, visitor: Visitor, language: str
    ) -> None:
        """So the policy that each page carries can forbid all else."""
        batch_id = of_every_state(scene)
        for seen in every_page(visitor, batch_id, ids(scene, batch_id)):
            policy = seen.response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'self';")
            assert "unsafe" not in policy
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)", seen.html)
        page = visitor.get(of(batch_id), accept_language=language)
        assert f'<html lang="{language}">' in page.html

    def test_no_secret_is_shown(self, scene: Scene, visitor: Visitor) -> None:
        """Of all that an installation is configured with, and of where a batch's webhook is."""
        batch_id = of_every_state(scene)
        with scene.ledger.write() as connection:
            events.add_webhook(connection, batch_id, f"https://shop.example/{SECRET}")
        for seen in every_page(visitor, batch_id, ids(scene, batch_id)):
            assert SECRET not in seen.html

    def test_every_form_carries_what_the_host_asks_for(self, scene: Scene, visitor: Visitor) -> None:
        """Its protection against forged requests."""
        batch_id = of_every_state(scene)
        forms = [
            form
            for seen in every_page(visitor, batch_id, ids(scene, batch_id))
            for form in re.findall(r'<form [^>]*method="post".*?</form>', seen.html, re.DOTALL)
        ]
        assert len(forms) >= 8
        for form in forms:
            assert '<input type="hidden" name="csrf" value="the &#34;host&#39;s&#34;">' in form

    @pytest.mark.parametrize(
        "path",
        [
            "/batches/nothing",
            "/batches/nothing/live",
            "/batches/nothing/cancel",
            "/batches/b-1/images/7",
            "/batches/b-1/images/x",
            f"/batches/b-1/images/{'9' * 40}",
            "/batches/b-1/images/1/full",
            "/thumbnails/nothing",
        ],
    )
    def test_what_is_not_there_is_said(self, scene: Scene, visitor: Visitor, path: str) -> None:
        """With a way back; an image that is not published has no file."""
        scene.submit(1)
        seen = visitor.get(path)
        assert seen.status == 404
        assert "There is no such page" in seen.text
        assert f"{BASE}/batches" in seen.links

    @pytest.mark.parametrize(
        "query", ["before=x", "before=2026-01-01,1", "after=-1", "state=odd", "after=1e9&state=held"]
    )
    def test_an_odd_address_shows_the_first_page(self, scene: Scene, visitor: Visitor, query: str) -> None:
        """Nobody is punished for a link that was cut."""
        assert visitor.get(f"{of(scene.submit(1))}?{query}").status == 200
        assert visitor.get(f"/batches?{query}").status == 200

    def test_trouble_is_no_traceback(self, visitor: Visitor) -> None:
        """Where there are no services, there is a sentence, and it is worth coming again."""

        def none() -> Services:
            raise ConfigurationError("models.toml: not valid TOML")

        seen = Visitor(Site(lambda *_call: True, none)).get("/batches")
        assert (seen.status, seen.text) == (503, "models.toml: not valid TOML")
        assert "Retry-After" in seen.response.headers

    def test_a_language_that_was_chosen_is_kept(self, scene: Scene, visitor: Visitor) -> None:
        """By a cookie for these pages alone; links keep the rest of the address."""
        batch_id = scene.submit(1)
        chosen = visitor.get(f"{of(batch_id)}?state=planned&lang=ko")
        cookie = chosen.response.headers["Set-Cookie"]
        assert f"Path={BASE};" in cookie
        assert f"{BASE}{of(batch_id)}?state=planned&lang=en" in chosen.links
        assert '<html lang="ko">' in visitor.get("/batches", cookie=cookie.partition(";")[0]).html


class TestFiles:
    def test_they_are_kept_until_they_change(self, visitor: Visitor) -> None:
        """Each page names them with their version."""
        html = visitor.get("/batches").html
        for name, kind in (
            ("pages.css", "text/css"),
            ("contact_sheet.css", "text/css"),
            ("pages.js", "text/javascript"),
        ):
            address = re.search(rf'"({BASE}/assets/{re.escape(name)}\?v=\w+)"', html)
            assert address
            file = visitor.get(address[1]).response
            assert file.headers["Content-Type"].startswith(kind)
            assert "immutable" in file.headers["Cache-Control"]

    @pytest.mark.parametrize("name", ["..", "pages.py", "%2e%2e%2fvisit.py", "icons.html"])
    def test_nothing_else_is_served(self, visitor: Visitor, name: str) -> None:
        """Neither templates nor code."""
        assert visitor.get(f"/assets/{name}").status == 404


def test_a_batch_of_100_000_pictures_is_shown_in_100_ms(services: Services, visitor: Visitor) -> None:
    """Its page, what the page asks for all the time, any part of its pictures, and the list that it is in."""
    (batch_id,) = fill(services.ledger, images=10_000, batches=1)
    enlarge(services.ledger, batch_id, times=10)
    assert "of 100,000" in visitor.get(of(batch_id)).text
    deep = visitor.get(f"{of(batch_id)}?state=planned").onward
    assert deep
    for page in ("/batches", of(batch_id), of(batch_id, "live"), f"{of(batch_id)}?sku=SKU-09", deep):
        assert any(_seconds(visitor, page) < ENOUGH_SECONDS for _ in range(ROUNDS)), page


def _seconds(visitor: Visitor, page: str) -> float:
    # Of this thread's processor: others keep the machine busy, and the ledger's file is read from memory.
    began = time.thread_time()
    assert visitor.get(page).status == 200
    return time.thread_time() - began
