"""The pages as people see and use them: a real browser, a real server, a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tasks.core.errors import Overloaded
from tasks.core.holds import Reason
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import browsing, holding, reading
from tasks.ledger.browsing import Wanted
from tests.contract.ledger.scene import planned
from tests.contract.pages.shop import Reader, Shop, open_browser, open_shop
from tests.contract.pages.test_answers import HOSTILE, hostile_image

AUDIT = (Path(__file__).parent / "audit.js").read_text("utf-8")
FAILS = Decision(end=State.FAILED)

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def opened_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all of these tests."""
    with open_shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.fixture
def shop(opened_shop: Shop) -> Shop:
    """Without batches."""
    opened_shop.clear()
    return opened_shop


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all of these tests."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    """Somebody whose browser has nothing to complain of at the end."""
    somebody = Reader(browser)
    yield somebody
    somebody.leave()
    assert somebody.complaints == []


def failing(shop: Shop) -> str:
    """A batch of three pictures, of which two have failed and one is published."""
    batch_id = shop.submit("cup", "lamp", "table")
    for dispatch in shop.scene.release(batch_id, window=2):
        shop.scene.fail(shop.scene.claim(dispatch.ticket), Overloaded("HTTP 503"), FAILS)
    shop.publish(batch_id)
    return batch_id


def test_progress_is_seen_while_pictures_are_made(shop: Shop, reader: Reader) -> None:
    """Counts, pictures and the word for it all change in the page that is open, and what has loaded stays."""
    batch_id = shop.scene.submit(3)
    page = reader.open(shop.batch(batch_id))
    expect(page.get_by_role("status")).to_have_text("Running")
    expect(page.locator("#figures")).to_contain_text("0 of 3")
    page.evaluate("window.opened = 'before'")

    shop.publish(batch_id)
    expect(page.locator("#figures")).to_contain_text("1 of 3")
    card = page.locator(".card")
    expect(card).to_have_count(1)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 8)
    card.locator("h3 a").focus()
    card.evaluate("card => { card.firstElementChild.firstElementChild.loaded = 'before' }")

    shop.publish(batch_id, images=2)
    expect(page.locator("#figures")).to_contain_text("3 of 3")
    expect(page.get_by_role("status")).to_have_text("Finished")
    expect(card).to_have_count(3)
    expect(page.get_by_role("heading", name="Summary")).to_be_visible()
    assert page.evaluate("[window.opened, document.activeElement.textContent]") == ["before", "SKU-00000"]
    assert page.locator(".card img").last.evaluate("image => image.loaded") == "before"


def test_what_failed_is_tried_again_with_one_click(shop: Shop, reader: Reader) -> None:
    """The pictures of that class are planned anew in the next round, and the page says how many."""
    batch_id = failing(shop)
    page = reader.open(shop.batch(batch_id))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".noted")).to_have_text("Pictures that are tried again: 2.")
    assert reading.state_counts(shop.scene.ledger, batch_id) == {State.PLANNED: 2, State.PUBLISHED: 1}
    assert reading.find_batch(shop.scene.ledger, batch_id).round == 2


def test_one_picture_is_tried_again_with_another_model(shop: Shop, reader: Reader) -> None:
    """From its own page, which asks what shall be different; the other stays as it is."""
    batch_id = failing(shop)
    page = reader.open(shop.batch(batch_id))
    page.locator(".card").get_by_role("link", name="lamp").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lamp")
    page.get_by_role("link", name="Change and try again").click()
    page.get_by_label("Model").select_option("seedream-5")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".noted")).to_have_text("Pictures that are tried again: 1.")
    again = {view.key: (view.state, view.model) for view in reading.images(shop.scene.ledger, batch_id)}
    assert again["lamp"] == (State.PLANNED, "seedream-5")
    assert again["cup"] == (State.FAILED, "nano-banana-2")


def test_what_cannot_be_done_is_said(shop: Shop, reader: Reader) -> None:
    """Why, and nothing has changed."""
    batch_id = failing(shop)
    page = reader.open(f"{shop.batch(batch_id)}/retry?only=overloaded")
    page.get_by_label("Template").select_option("blog_hero")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("That could not be done")
    expect(page.get_by_role("main")).to_contain_text("template 'blog_hero' needs a column for {topic}")
    assert reading.state_counts(shop.scene.ledger, batch_id)[State.FAILED] == 2
    assert [said for said in reader.complaints if "409" not in said] == []
    reader.complaints.clear()


def test_more_money_lets_a_batch_go_on(shop: Shop, reader: Reader) -> None:
    """The page asks how much, and pictures that were held for money are planned again."""
    batch_id = shop.submit("cup", "lamp")
    shop.scene.set_batch(batch_id, budget_usd_micros=1)
    with shop.scene.ledger.write() as connection:
        holding.put_on_hold(connection, batch_id, "", Reason.BUDGET, "the batch's budget is reached")
    holding.apply_holds(shop.scene.ledger, batch_id)
    page = reader.open(shop.batch(batch_id))
    page.get_by_role("link", name="Raise the budget…").click()
    expect(page.get_by_label("New budget (USD)")).to_be_focused()
    page.keyboard.type("2.50")
    page.keyboard.press("Enter")
    expect(page.locator(".noted")).to_have_text("The batch goes on.")
    assert browsing.head(shop.scene.ledger, batch_id).budget_usd_micros == 2_500_000
    assert reading.state_counts(shop.scene.ledger, batch_id) == {State.PLANNED: 2}


def test_everything_can_be_done_with_the_keyboard(shop: Shop, reader: Reader) -> None:
    """Skip to the pictures, go from one to the next, open one; pause; cancel, which asks first."""
    batch_id = shop.scene.submit(4)
    shop.publish(batch_id, images=2)
    page = reader.open(shop.batch(batch_id))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the pictures")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pictures")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="SKU-00000")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("SKU-00001")

    page.go_back()
    tab_to(page, "Pause")
    page.keyboard.press("Space")
    expect(page.locator(".noted")).to_have_text("The batch is paused.")
    tab_to(page, "Cancel…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel the batch?")
    assert reading.phase_of(shop.scene.ledger, batch_id) == "started"
    tab_to(page, "Cancel the batch")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("The batch is cancelled.")
    assert reading.phase_of(shop.scene.ledger, batch_id) == "cancelled"


def tab_to(page: Page, name: str) -> None:
    """Press the tabulator until that has the focus."""
    for _ in range(60):
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the tabulator does not reach {name!r}")


def test_without_javascript_all_is_there(shop: Shop, reader: Reader) -> None:
    """Forms and links work, and the page comes again by itself."""
    batch_id = shop.scene.submit(2)
    shop.publish(batch_id)
    page = reader.open(shop.batch(batch_id), java_script_enabled=False)
    assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "10"
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#standing")).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#standing")).to_have_text("Running")
    page.get_by_role("searchbox").fill("00001")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".card h3")).to_have_text("SKU-00001")
    page.get_by_role("link", name="Published 1").click()
    expect(page.locator(".card")).to_have_count(0)


@pytest.fixture
def addresses(shop: Shop) -> list[str]:
    """Every kind of page, of a batch that is full of trouble and strangers' markup."""
    odd = [hostile_image(), *(planned(number) for number in range(1, len(State) + 3))]
    batch_id = shop.scene.submit(odd, name=f"{HOSTILE} {'long' * 40}", budget_usd_micros=1_000_000)
    shop.publish(batch_id, images=2)
    cards = browsing.matching(shop.scene.ledger, batch_id, 20, Wanted())
    shown = {"error_message": f"{HOSTILE} {'x' * 300}", "cms_receipt": HOSTILE}
    for card, state in zip(cards[1:], State, strict=False):
        troubled = state in {State.FAILED, State.REFUSED, State.HELD, State.UNKNOWN}
        values = shown | {"error_class": "overloaded", "error_step": "generate"} if troubled else {}
        shop.scene.set_image(card.id, state=state, **values)
    shop.scene.set_image(cards[0].id, state=State.FAILED, error_class="invalid", **shown)
    batch = shop.batch(batch_id)
    asked = [f"{batch}/{what}" for what in ("cancel", "resume", "retry?only=refused")]
    pictures = [f"{batch}/images/{card.id}" for card in (cards[0], cards[-1])]
    return [f"{shop.url}/batches", batch, f"{batch}?state=planned", *asked, *pictures]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(addresses: list[str], reader: Reader, scheme: str) -> None:
    """Names, headings, labels, contrast; and no stranger's text is run or makes the console complain."""
    page = reader.open(addresses[0], color_scheme=scheme)
    for address in addresses:
        page.goto(address)
        assert page.evaluate(AUDIT) == [], address


def test_the_audit_sees_what_is_wrong(addresses: list[str], reader: Reader) -> None:
    """A heading left out, a button without a name, grey on grey."""
    page = reader.open(addresses[0])
    page.evaluate("document.querySelector('main').innerHTML = '<h3 id=x>a</h3><button id=x></button><p id=grey>b</p>'")
    page.evaluate("document.getElementById('grey').style.color = '#aaa'")
    found = " ".join(page.evaluate(AUDIT))
    for each in ("not one h1", "h3 after h1", "no name", "two have the id x", "contrast"):
        assert each in found


def test_it_fits_a_phone_in_korean(addresses: list[str], reader: Reader) -> None:
    """390 pixels wide, nothing has to be pushed sideways, and everything is said in Korean."""
    page = reader.open(addresses[0], width=390, locale="ko-KR", is_mobile=True, has_touch=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("배치 목록")
    for address in addresses:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        assert page.locator("html").get_attribute("lang") == "ko"
    page.get_by_role("link", name="English").tap()
    expect(page.locator("html")).to_have_attribute("lang", "en")
