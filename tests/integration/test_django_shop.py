"""A Django shop: its staff make pictures in the admin, and a hook of its own shows them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests

from tests.integration.programs import ROOT, WORKER, Stack, private_stack
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.waiting import wait_until

PROJECT = Path(__file__).parent / "projects" / "django_shop"
PASSWORD = "only-for-the-tests"
PRODUCTS = "/admin/shop/product/"


class Fields(HTMLParser):
    """What the form of a page would send; ``fields`` has no buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a field down."""
        of = dict(attrs)
        if tag == "input" and of.get("type") not in {"submit", "checkbox"} and of.get("name"):
            self.fields.setdefault(str(of["name"]), []).append(of.get("value") or "")


@dataclass
class Shop:
    """A running shop. ``environment`` is what everything of it is started with."""

    url: str
    stack: Stack
    environment: dict[str, str]

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python manage.py …``."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@dataclass
class Person:
    """Somebody with a browser."""

    shop: Shop
    name: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        if self.name:
            self.send("/admin/login/", username=self.name, password=PASSWORD)

    def get(self, path: str, **options: bool) -> requests.Response:
        """Look at a page."""
        headers = {"Accept": "text/html"}
        return self.session.get(f"{self.shop.url}{path}", headers=headers, timeout=30, **options)

    def send(self, path: str, **values: str | list[str]) -> requests.Response:
        """Send a page's form with these values in it, as if that page was just looked at."""
        fields = Fields(self.get(path).text).fields
        return self.session.post(f"{self.shop.url}{path}", data={**fields, **values}, timeout=30)

    def press(self, page: requests.Response, button: str, **values: str | list[str]) -> requests.Response:
        """Send the form of the page in between that is on the screen, by one of its buttons."""
        fields = Fields(page.text).fields
        data = {**fields, "template": "product_hero", "model": "preview", button: "pressed", **values}
        return self.session.post(page.url, data=data, timeout=30)

    def generate(self, *skus: str, path: str = PRODUCTS) -> requests.Response:
        """Tick products in the list and choose the action."""
        page = self.get(path).text
        boxes = dict(re.findall(r'value="(\d+)"[^>]*class="action-select".*?/change/[^>]*>(P-\d)<', page, re.DOTALL))
        chosen = [number for number, sku in boxes.items() if sku in skus]
        return self.send(path, action="generate_images", _selected_action=chosen)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The project's server, and a worker of ours started in the project's folder."""
    folder = tmp_path_factory.mktemp("django-shop")
    [port] = free_ports(1)
    with private_stack(folder) as stack:
        environment = {
            **stack.environment,
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SHOP_DATABASE": str(folder / "shop.sqlite3"),
            "CMS_HOOK": "shop.catalogue:picture_published",
        }
        fill = "import django; django.setup(); from shop.filling import fill; fill()"
        subprocess.run([sys.executable, "-c", fill], cwd=PROJECT, env=environment, check=True, timeout=60)
        commands = {
            "web": [sys.executable, "manage.py", "runserver", "--noreload", str(port)],
            "worker": WORKER,
        }
        with stack.running(commands, PROJECT, **environment):
            wait_until_up(f"http://127.0.0.1:{port}/admin/login/", folder / "web.log")
            wait_until(lambda: "ready." in stack.log("worker"), what="the worker")
            yield Shop(f"http://127.0.0.1:{port}", stack, environment)


@pytest.fixture(scope="module")
def boss(shop: Shop) -> Person:
    """Who may do everything."""
    return Person(shop, "boss")


def text_of(page: requests.Response) -> str:
    """A page without its tags."""
    assert page.status_code == 200, page.text[:500]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def test_products_get_pictures_from_the_admin(shop: Shop, boss: Person) -> None:
    """Chosen in the list, planned, started: the hook writes the URLs into the shop's own table, or says why not."""
    asked = boss.generate("P-1", "P-2", "P-5")
    assert "Pictures of 3 chosen records." in text_of(asked)
    refused = text_of(boss.press(asked, "plan"))
    assert "CMS_HOOK would receive them" in refused  # preview draws cards that no shop wants
    planned = boss.press(asked, "plan", rehearse_delivery="on", budget_usd="5")
    assert "preview × 3 Cost free" in text_of(planned)
    assert "머그컵 1" in text_of(planned)

    started = boss.press(planned, "start", rehearse_delivery="on", budget_usd="5", name="spring")

    assert "Something was changed" in text_of(started)  # the name: what is started is what was shown
    started = boss.press(started, "start", rehearse_delivery="on", budget_usd="5", name="spring")
    found = re.search(r'href="/imagechord/batches/(b-[^"]+)"', started.text)
    assert found, text_of(started)

    def image_url(sku: str) -> str:
        return str(boss.get(f"/products/{sku}").json()["image_url"])

    wait_until(lambda: image_url("P-1") and image_url("P-2"), what="the products' pictures")
    assert Path(unquote(urlsplit(image_url("P-1")).path)).stat().st_size > 1000
    images = f"/admin/imagechord/image/?batch={found[1]}"
    wait_until(lambda: "P-5 1 failed" in text_of(boss.get(f"{images}&state__exact=failed")), what="the failure")
    page = re.search(r'href="(/admin/imagechord/image/\d+/change/)[^"]*">P-5<', boss.get(images).text)
    assert page
    assert "shop.catalogue:picture_published: LookupError: product P-5 is not on sale" in text_of(boss.get(page[1]))
    assert image_url("P-3") == image_url("P-5") == ""


def test_all_that_a_filter_finds_can_be_chosen(boss: Person) -> None:
    """Beyond the list's page too: the records are asked for again when the batch is started."""
    path = f"{PRODUCTS}?on_sale__exact=1"
    asked = boss.send(path, action="generate_images", select_across="1", _selected_action="1")
    assert "Pictures of 4 chosen records." in text_of(asked)
    assert "preview × 4" in text_of(boss.press(asked, "plan", rehearse_delivery="on"))


def test_two_clicks_are_one_batch(shop: Shop, boss: Person) -> None:
    """The same plan started twice is the batch that it was."""
    planned = boss.press(boss.generate("P-3"), "plan", rehearse_delivery="on", name="twice")
    clicks = [boss.press(planned, "start", rehearse_delivery="on", name="twice") for _click in range(2)]
    first, second = (re.findall(r"/imagechord/batches/(b-[^\"]+)\"", click.text) for click in clicks)
    assert first == second != []


def test_bad_rows_are_told_before_anything_is_started(boss: Person) -> None:
    """A template that asks for what the rows have not, and a form that nobody can mean."""
    asked = boss.generate("P-4")
    assert "needs" in text_of(boss.press(asked, "plan", template="blog_hero", rehearse_delivery="on"))
    assert "is not one of the available choices" in text_of(boss.press(asked, "plan", model="no-such"))


def test_only_who_may_spend_gets_the_action(shop: Shop) -> None:
    """Who may change products sees the shop's own action alone, and sending ours all the same starts nothing."""
    clerk = Person(shop, "clerk")
    listed = clerk.get(PRODUCTS).text
    assert "Withdraw" in listed
    assert "generate_images" not in listed
    answer = clerk.send(PRODUCTS, action="generate_images", _selected_action="1", start="", seen="", template="product")
    assert "No action selected." in text_of(answer)
    for path in ("/admin/imagechord/batch/", "/imagechord/batches"):
        assert clerk.get(path).status_code == 403, path


def test_strangers_are_sent_to_log_in(shop: Shop) -> None:
    """To the admin and to the batch pages; a form without the token of Django's session is refused."""
    stranger = Person(shop)
    for path in (PRODUCTS, "/admin/imagechord/image/", "/imagechord/batches"):
        answer = stranger.get(path, allow_redirects=False)
        assert answer.status_code == 302, path
        assert answer.headers["Location"].startswith("/admin/login/?next="), path
    assert requests.post(f"{shop.url}/imagechord/batches/b/cancel", timeout=30).status_code == 403


def test_a_file_is_sent_to_the_api(shop: Shop, boss: Person) -> None:
    """By staff with the permission, with Django's own token in a header; without either nothing is taken."""

    def order(person: Person, token: str | None) -> requests.Response:
        files = {"source": ("spring.csv", "sku,name,color\nS-1,머그컵,파랑\n".encode())}
        what = {"template": "product_hero", "model": "preview", "rehearse_delivery": "true", "name": "by http"}
        headers = {"X-CSRFToken": token} if token else {}
        address = f"{shop.url}/imagechord/api/batches"
        return person.session.post(address, files=files, data=what, headers=headers, timeout=30)

    answer = order(boss, boss.session.cookies["csrftoken"])
    assert answer.status_code == 202, answer.text
    told = boss.get(answer.headers["Location"]).json()
    assert (told["name"], told["source"]) == ("by http", "spring.csv")
    assert order(boss, None).status_code == 403
    clerk = Person(shop, "clerk")
    assert order(clerk, clerk.session.cookies["csrftoken"]).status_code == 403


def test_manage_py_has_the_commands(shop: Shop) -> None:
    """``manage.py imagechord`` is the console script, with its options and its exit codes; code may call it too."""
    mistaken = shop.manage("imagechord", "status", "--no-such-option")
    assert "Usage: manage.py imagechord status" in mistaken.stderr
    assert mistaken.returncode == 2

    called = shop.manage(
        "shell", "-c", "from django.core.management import call_command as c; c('imagechord', 'doctor')"
    )
    assert "cms: shop.catalogue:picture_published is called with each picture" in called.stdout, called.stderr
