from __future__ import annotations

import base64
import gc
import hashlib
import re
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.core.errors import ConfigurationError
from tasks.core.states import State
from tasks.core.summary import FailureGroup
from tasks.core.views import ImageView, SkippedRow
from tasks.report.contact_sheet import write_contact_sheet
from tests.unit.report.factories import image, skipped, summary, thumbnail

VOID = {"meta", "input", "img", "path", "circle", "use", "link", "br"}


@dataclass
class Card:
    state: str
    key: str
    text: str = ""
    links: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What a browser would make of a page: its tags, its cards, what it links to and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.cards: list[Card] = []
        self.text = ""
        self.open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "article":
            self.cards.append(Card(values["data-state"], values["data-key"]))
        if "article" in self.open and tag == "a":
            self.cards[-1].links.append(values["href"])
        if "article" in self.open and tag == "img":
            self.cards[-1].pictures.append(values["src"])

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self.open):
            return
        self.text += data
        if "article" in self.open:
            self.cards[-1].text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [values for name, values in self.tags if name == tag]


def draw(folder: Path, images: Iterable[ImageView], rows: Iterable[SkippedRow] = (), **other: object) -> list[Page]:
    """Write a sheet of these entries in English and read its pages."""
    images, rows = list(images), list(rows)
    failures = other.pop("failures", ())
    name = str(other.pop("name", "Autumn"))
    totals = summary(images, len(rows), failures, name)  # type: ignore[arg-type]
    options: dict[str, object] = {"language": "en", "timezone": "Asia/Seoul"} | other
    paths = write_contact_sheet(folder / "index.html", totals, images, rows, **options)  # type: ignore[arg-type]
    return [Page(path) for path in paths]


def test_each_entry_has_a_card_failures_first(tmp_path: Path) -> None:
    """Skipped rows, failures and waiting images stand before what is moving or published, whatever came first."""
    states = [State.PUBLISHED, State.GENERATING, State.CANCELLED, State.HELD, State.REFUSED, State.FAILED]

    (page,) = draw(tmp_path, [image(n, state) for n, state in enumerate(states, 2)], [skipped(9)])

    assert [card.state for card in page.cards] == [
        *("skipped", "refused", "failed", "held", "cancelled", "generating", "published"),
    ]
    assert page.open == []


def test_a_published_card_shows_picture_prompt_model_cost_and_link(tmp_path: Path) -> None:
    """The thumbnail is inside the page, and the link leads to the public picture."""
    (page,) = draw(tmp_path, [image(2, thumbnail=thumbnail())])

    (card,) = page.cards
    assert card.pictures == ["data:image/webp;base64," + base64.b64encode(thumbnail()).decode()]
    assert set(card.links) == {"https://cdn.example.com/KR-2.webp"}
    for text in ("KR-2", "리넨 셔츠 2, 흰 배경", "nano-banana-2", "$0.0050", "Published", "1200×630", "18:05:02 KST"):
        assert text in card.text


@pytest.mark.parametrize(
    ("kind", "content_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_thumbnails_of_every_kind_are_embedded(tmp_path: Path, kind: str, content_type: str) -> None:
    """The content type comes from the bytes."""
    (page,) = draw(tmp_path, [image(2, thumbnail=thumbnail(kind))])
    assert page.cards[0].pictures[0].startswith(f"data:{content_type};base64,")


def test_bytes_that_are_no_picture_are_not_embedded(tmp_path: Path) -> None:
    """An SVG or an error page could carry script; the card says that there is no preview."""
    (page,) = draw(tmp_path, [image(2, thumbnail=b"<svg onload=alert(1)>")])
    assert page.cards[0].pictures == []
    assert "No preview" in page.cards[0].text


def test_a_failed_card_says_what_went_wrong_and_the_mend(tmp_path: Path) -> None:
    """Class, step, message and what to do stand on the card."""
    failed = image(2, State.FAILED, error_class="invalid", error_step="patch_cms", error_message="CMS answered 404")

    (page,) = draw(tmp_path, [failed])

    for text in ("Invalid request", "patch_cms", "CMS answered 404", "imagechord export --failed"):
        assert text in page.cards[0].text


def test_a_skipped_row_shows_its_problems_and_its_cells(tmp_path: Path) -> None:
    """An empty cell is shown as such, since it may be the reason."""
    (page,) = draw(tmp_path, [], [skipped(31, "line 31: the cell is empty", sku="A-1", name="")])

    (card,) = page.cards
    assert card.key == "a-1 "
    assert "Line 31" in card.text
    assert "line 31: the cell is empty" in card.text
    assert re.search(r"name\s*–", card.text)


def test_the_head_counts_and_groups(tmp_path: Path) -> None:
    """Counts, cost, duration and the reasons of failure with example keys stand at the top."""
    group = FailureGroup(State.FAILED, "overloaded", "generate", "503 three times", 1234, ("KR-3", "KR-4"))

    (page,) = draw(tmp_path, [image(2), image(3, State.FAILED)], [skipped(4)], failures=(group,))

    head = re.sub(r"\s+", " ", page.text)
    assert "Published1 of 3" in head.replace("Published 1", "Published1")
    for text in (
        "Not published1",
        "Skipped rows1",
        "$0.01",
        "12 min 34 s",
        "1,234",
        "Service in trouble",
        "503 three times",
    ):
        assert text in head
    assert [button["data-find"] for button in page.all("button") if "data-find" in button] == ["KR-3", "KR-4"]


def test_filters_offer_the_states_of_the_page(tmp_path: Path) -> None:
    """One button for all and one for each state that is there, as real buttons that say whether they are pressed."""
    (page,) = draw(tmp_path, [image(2), image(3), image(4, State.REFUSED)])

    filters = [button for button in page.all("button") if "data-filter" in button]
    assert [(each["data-filter"], each["aria-pressed"]) for each in filters] == [
        *(("", "true"), ("refused", "false"), ("published", "false")),
    ]


HOSTILE = """"><script>alert('x')</script><img src=x onerror=alert(1)>'`{{ 7*7 }}"""


def test_values_from_outside_stay_text(tmp_path: Path) -> None:
    """Markup in a key, prompt, error, URL, row, name or problem appears as text and adds no tag."""
    row = {HOSTILE: HOSTILE}
    hostile = image(
        2,
        State.FAILED,
        key=HOSTILE,
        prompt=HOSTILE,
        model=HOSTILE,
        template=HOSTILE,
        error_class=HOSTILE,
        error_step=HOSTILE,
        error_message=HOSTILE,
        public_url="https://example.com/" + HOSTILE,
        output_key=HOSTILE,
        cms_receipt=HOSTILE,
        row=row,
        thumbnail=thumbnail(),
    )
    group = FailureGroup(State.FAILED, HOSTILE, HOSTILE, HOSTILE, 1, (HOSTILE,))

    (page,) = draw(tmp_path, [hostile], [skipped(3, HOSTILE, **row)], failures=(group,), name=HOSTILE)

    assert len(page.all("script")) == 1
    assert len(page.all("img")) == 1
    assert not [values for _tag, values in page.tags if any(name.startswith("on") for name in values)]
    assert page.text.count("<script>alert('x')</script>") >= 15
    assert "{{ 7*7 }}" in page.text
    assert page.cards[1].links[0] == "https://example.com/" + HOSTILE


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "JaVaScRiPt:alert(1)", "/relative", "http://[bad"]
)
def test_only_web_and_file_addresses_become_links(tmp_path: Path, url: str) -> None:
    """Anything else is shown as text."""
    (page,) = draw(tmp_path, [image(2, public_url=url, thumbnail=thumbnail())])
    assert page.cards[0].links == []
    assert url in page.cards[0].text


@pytest.mark.parametrize("url", ["http://a/b.png", "https://a/b.png", "file:///tmp/b.png"])
def test_web_and_file_addresses_are_links(tmp_path: Path, url: str) -> None:
    """A local output folder is linked just as a bucket is."""
    (page,) = draw(tmp_path, [image(2, public_url=url)])
    assert page.cards[0].links == [url]


def test_a_page_loads_nothing(tmp_path: Path) -> None:
    """No attribute makes a browser fetch, and the policy allows only our own script by its hash."""
    (page,) = draw(tmp_path, [image(2, thumbnail=thumbnail())])

    loaded = [values["src"] for _tag, values in page.tags if "src" in values]
    assert all(source.startswith("data:") for source in loaded)
    assert page.all("link") == []
    assert "url(" not in page.source
    assert "@import" not in page.source
    script = page.source.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(values["content"] for values in page.all("meta") if "http-equiv" in values)
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_a_large_batch_is_paged(tmp_path: Path) -> None:
    """Every entry is on exactly one page, pages link to each other, and each has at most page_size entries."""
    pages = draw(tmp_path, (image(line) for line in range(2, 27)), [skipped(1)], page_size=3)

    assert len(pages) == 9
    assert [len(page.cards) for page in pages] == [3] * 8 + [2]
    assert [card.key for page in pages for card in page.cards][1:] == [f"kr-{line}" for line in range(2, 27)]
    links = {values["href"] for values in pages[4].all("a") if values["href"].startswith("index")}
    assert links == {"index.html", "index-3.html", "index-4.html", "index-6.html", "index-7.html", "index-9.html"}
    assert pages[4].text.count("…") == 4


def test_reasons_of_failure_stand_on_the_first_page_only(tmp_path: Path) -> None:
    """The next pages begin with their pictures."""
    group = FailureGroup(State.FAILED, "overloaded", "generate", "503 three times", 1, ("KR-2",))
    first, second = draw(tmp_path, [image(2, State.FAILED), image(3)], failures=(group,), page_size=1)
    assert "503 three times" in first.text
    assert "503 three times" not in second.text


def test_pages_of_a_longer_sheet_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """A retry that leaves fewer pages leaves no stale one behind; other files are not ours."""
    draw(tmp_path, (image(line) for line in range(2, 8)), page_size=2)
    for name in ("index-old.html", "other-9.html"):
        (tmp_path / name).touch()

    draw(tmp_path, [image(2), image(3), image(4)], page_size=2)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("index-2.html", "index-old.html", "index.html", "other-9.html"),
    ]


def test_a_sheet_that_cannot_be_drawn_leaves_the_last_one(tmp_path: Path) -> None:
    """When the images cannot be read, the old page stays whole and no half page is left."""
    draw(tmp_path, [image(2)])
    before = (tmp_path / "index.html").read_bytes()

    def broken() -> Iterator[ImageView]:
        yield image(2)
        raise OSError("the ledger went away")

    with pytest.raises(OSError, match="went away"):
        write_contact_sheet(
            tmp_path / "index.html", summary([image(2)]), broken(), [], language="en", timezone="Asia/Seoul"
        )

    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_bytes() == before


class Watched(dict[str, str]):
    """A row whose life can be watched; a view and its thumbnail live as long as it does."""

    __hash__ = object.__hash__


def test_memory_holds_one_page_of_thumbnails(tmp_path: Path) -> None:
    """However long the batch, no more thumbnails are alive than a page has (and the one being read)."""
    alive: weakref.WeakSet[Watched] = weakref.WeakSet()
    most = 0

    def stream() -> Iterator[ImageView]:
        nonlocal most
        for line in range(2, 102):
            row = Watched({"sku": str(line)})
            alive.add(row)
            gc.collect(0)
            most = max(most, len(alive))
            yield image(line, row=row, thumbnail=thumbnail())
            del row

    totals = summary([image(line) for line in range(2, 102)])
    write_contact_sheet(tmp_path / "i.html", totals, stream(), [], language="ko", timezone="UTC", page_size=10)

    assert most <= 11


def test_korean_is_the_language_of_a_korean_sheet(tmp_path: Path) -> None:
    """Labels, the page's language and its fonts are Korean."""
    (page,) = draw(tmp_path, [image(2)], language="ko")
    assert page.all("html")[0]["lang"] == "ko"
    assert "게시됨" in page.text
    assert "Apple SD Gothic Neo" in page.source
    assert "Malgun Gothic" in page.source


def test_an_empty_batch_says_so(tmp_path: Path) -> None:
    """No images is a sentence, not a blank page."""
    (page,) = draw(tmp_path, [])
    assert "This batch has no images." in page.text


def test_an_unknown_time_zone_is_a_configuration_error(tmp_path: Path) -> None:
    """The message says how to write one; nothing is written."""
    with pytest.raises(ConfigurationError, match="Asia/Seoul"):
        draw(tmp_path, [image(2)], timezone="Seoul/Asia")
    assert list(tmp_path.iterdir()) == []


def test_odd_bytes_of_a_tool_do_not_cost_the_report(tmp_path: Path) -> None:
    """A lone surrogate in an error message (undecodable output of a program) is replaced."""
    (page,) = draw(tmp_path, [image(2, State.FAILED, error_message="bad \udcff byte")])
    assert "bad ? byte" in page.text


def test_the_second_variant_and_a_reused_picture_are_marked(tmp_path: Path) -> None:
    """Variants are told apart, and what was not bought again shows no price."""
    (page,) = draw(tmp_path, [image(2, variant=2, reused=True, cost_usd_micros=0)])
    assert "#2" in page.cards[0].text
    assert "reused" in page.cards[0].text
    assert "$" not in page.cards[0].text
