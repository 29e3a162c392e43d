"""The ledger in Django's admin, as a database of another project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.ledger.scene import MODEL, Scene, planned
from tests.stand_ins.django_host import set_up

set_up()

from django.conf import settings  # noqa: E402 – Django's modules want settings first
from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, connections, router  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import include, path  # noqa: E402

from tasks.ledger.engine import parse_database_url  # noqa: E402
from tasks.sources.text import as_text  # noqa: E402
from tasks.web.django.action import GenerateImagesMixin  # noqa: E402
from tasks.web.django.database import ALIAS, connection_settings  # noqa: E402
from tasks.web.django.models import Batch, Image  # noqa: E402

BATCHES, IMAGES = "/admin/imagechord/batch/", "/admin/imagechord/image/"
MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)


class Shop:
    """Its addresses."""

    urlpatterns = (path("admin/", admin.site.urls), path("imagechord/", include("tasks.web.django.urls")))


def read_through_django(url: str) -> None:
    """Let the alias be this ledger."""
    connections[ALIAS].close()
    del connections[ALIAS]
    connections.databases[ALIAS] = connection_settings(parse_database_url(url))


@pytest.fixture(scope="module", autouse=True)
def shop() -> Iterator[None]:
    """A shop with an admin, and users in a database of its own."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    with override_settings(ROOT_URLCONF=Shop, MIDDLEWARE=MIDDLEWARE):
        yield


@pytest.fixture(autouse=True)
def of_this_ledger(url: str) -> Iterator[None]:
    """Each database in turn."""
    before = connections.databases[ALIAS]
    read_through_django(url)
    yield
    connections[ALIAS].close()
    del connections[ALIAS]
    connections.databases[ALIAS] = before


def staff(*permissions: str, superuser: bool = False) -> Client:
    """Somebody who is logged in."""
    user = User.objects.create(username=str(uuid4()), is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss() -> Client:
    """A superuser, who may do everything that can be done."""
    return staff(superuser=True)


def shown(client: Client, address: str) -> str:
    """A page that has to be there."""
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content, "utf-8")


def test_batches_are_shown(scene: Scene, boss: Client) -> None:
    """The list and a batch's page tell what the ledger knows, and lead to the batch's own page and its images."""
    batch_id = scene.submit(3, name="spring", budget_usd_micros=2_500_000)
    scene.release(batch_id)

    listed, page = shown(boss, BATCHES), shown(boss, f"{BATCHES}{batch_id}/change/")

    for words in ("spring", batch_id, "started", "$2.50"):
        assert words in listed, words
        assert words in page, words
    assert f'href="/imagechord/batches/{batch_id}"' in page
    assert f'href="{IMAGES}?batch={batch_id}&amp;state__exact=queued">3 queued</a>' in page


def test_an_image_is_shown(scene: Scene, boss: Client) -> None:
    """Its page has prompt, source row and state; hostile text of a row is text."""
    bad = planned(0)
    bad.row["name"] = "<script>alert(1)</script>"  # type: ignore[index]
    batch_id = scene.submit([bad])
    [image] = Image.objects.filter(batch=batch_id)

    page = shown(boss, f"{IMAGES}{image.pk}/change/")

    for words in ("SKU-00000", "빨간 컵 0", MODEL, "&lt;script&gt;alert(1)", f"/imagechord/batches/{batch_id}/images/"):
        assert words in page, words
    assert "<script>alert" not in page


def test_images_are_filtered_and_found(scene: Scene, boss: Client) -> None:
    """By state, by model, by batch and by key."""
    one, other = scene.submit(2), scene.submit([planned(7)])
    scene.release(other)
    keys = {"SKU-00000", "SKU-00001", "SKU-00007"}
    for query, expected in {
        "": keys,
        "?state__exact=queued": keys,
        "?state__exact=failed": set(),
        f"?model={MODEL}": keys,
        "?model=preview": set(),
        f"?batch={one}": {"SKU-00000", "SKU-00001"},
        f"?batch={other}&state__exact=queued": {"SKU-00007"},
        "?q=sku-00001": {"SKU-00001"},
    }.items():
        listed = shown(boss, IMAGES + query)
        assert {key for key in keys if f">{key}</a>" in listed} == expected, query


def test_as_many_questions_for_many_as_for_few(scene: Scene, boss: Client) -> None:
    """A page of the list asks for a count, the ids of its rows and the rows, however many and of whichever page."""
    scene.submit([planned(number) for number in range(120)])
    for address, first in ((IMAGES, "SKU-00119"), (f"{IMAGES}?p=3", "SKU-00019")):
        with CaptureQueriesContext(connections[ALIAS]) as asked:
            listed = shown(boss, address)
        assert f">{first}</a>" in listed
        assert len(asked) == 3, [query["sql"] for query in asked]
    with CaptureQueriesContext(connections[ALIAS]) as asked:
        shown(boss, BATCHES)
    assert len(asked) <= 3


def test_nothing_can_be_changed(scene: Scene, boss: Client) -> None:
    """A superuser finds no way to add, change or delete, and what writes past the admin is refused by the database."""
    batch_id = scene.submit(1)
    image = Image.objects.get()
    for address in (f"{BATCHES}add/", f"{BATCHES}{batch_id}/delete/", f"{IMAGES}add/", f"{IMAGES}{image.pk}/delete/"):
        assert boss.get(address).status_code == 403, address
    assert boss.post(f"{BATCHES}{batch_id}/change/", {"name": "mine"}).status_code == 403
    assert "delete_selected" not in shown(boss, IMAGES)
    for write in (lambda: Image.objects.update(state="published"), image.delete):
        with pytest.raises(DatabaseError, match=r"readonly|read-only"):
            write()
    assert Image.objects.get().state == "planned"


@pytest.mark.parametrize(
    ("permissions", "batches", "images"),
    [((), 403, 403), (("view_batch",), 200, 403), (("change_batch",), 200, 403), (("view_image",), 403, 200)],
)
def test_only_who_is_allowed_looks(permissions: tuple[str, ...], batches: int, images: int) -> None:
    """The permissions are made in the host's own database, and each opens its list."""
    client = staff(*permissions)
    assert (client.get(BATCHES).status_code, client.get(IMAGES).status_code) == (batches, images)


def test_batch_pages_are_for_staff_with_permission(scene: Scene) -> None:
    """A stranger is sent to log in, a program is refused; looking and acting are two permissions."""
    page = "/imagechord/batches"
    stranger = Client()
    assert stranger.get(page, headers={"accept": "text/html"})["Location"].startswith("/admin/login/?next=")
    assert stranger.get(page, headers={"accept": "application/json"}).status_code == 403
    assert stranger.post(page).status_code == 403

    for client, method, allowed in (
        (staff(), "get", False),
        (staff("view_image"), "get", False),
        (staff("view_batch"), "get", True),
        (staff("view_batch"), "post", False),
        (staff("change_batch"), "post", True),
    ):
        assert (getattr(client, method)(f"{page}/none/no-such-page").status_code != 403) is allowed, method
    gone = staff("view_batch", "change_batch")
    User.objects.update(is_staff=False)
    assert gone.get(page).status_code == gone.post(page).status_code == 403


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_a_forged_request_is_refused(kind: str) -> None:
    """Who is logged in needs the token of Django's protection too, whether or not the project has its middleware."""
    known = staff("view_batch", "change_batch").session
    client = Client(enforce_csrf_checks=True)
    client.cookies[settings.SESSION_COOKIE_NAME] = known.session_key
    page = "/imagechord/batches/none/no-such-page"
    assert client.get(page).status_code == 404
    token = client.cookies["csrftoken"].value

    assert client.post(page, b"--x--", content_type=kind).status_code == 403
    assert client.post(page, b"--x--", content_type=kind, headers={"X-CSRFToken": token}).status_code in {404, 405}


def test_a_record_becomes_a_row_by_itself() -> None:
    """Every field under its name, in values that a row can have; what is no single value is written as text."""
    user = User(id=7, username="kim", is_staff=True)
    user.first_name = ["김"]  # no field of Django's own is a list, but other packages' are
    row = GenerateImagesMixin(User, admin.site).imagechord_row(user)
    assert {name: as_text(row[name]) for name in ("id", "username", "is_staff", "first_name", "last_login")} == {
        "id": "7",
        "username": "kim",
        "is_staff": "true",
        "first_name": "['김']",
        "last_login": "",
    }


def test_django_makes_nothing_in_the_ledger() -> None:
    """Neither ``migrate`` nor ``makemigrations`` touches it, and a test runner makes no database for it."""
    before = connections[ALIAS].introspection.table_names()
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    call_command("migrate", database=ALIAS, run_syncdb=True, verbosity=0)
    assert connections[ALIAS].introspection.table_names() == before
    assert connections[ALIAS].settings_dict["TEST"]["MIRROR"] == "default"


def test_no_relation_leads_into_the_ledger() -> None:
    """A host's row cannot point to one of ours; ours point to each other."""
    assert router.allow_relation(User(), Batch()) is False
    assert router.allow_relation(Image(), Batch()) is True
    assert router.allow_relation(User(), Permission()) is True  # by Django's own rule


def test_without_a_ledger_the_reason_is_said(boss: Client, tmp_path: Path) -> None:
    """No file is made for looking, and the admin stays usable."""
    file = tmp_path / "none" / "ledger.sqlite3"
    read_through_django(f"sqlite:///{file}")
    answer = boss.get(BATCHES, follow=True)
    assert answer.redirect_chain == [("/admin/", 302)]
    assert "The ledger cannot be read" in str(answer.content, "utf-8")
    assert not file.parent.exists()


def test_the_admin_speaks_korean(scene: Scene, boss: Client) -> None:
    """With a language that the host has chosen, the words are in that language."""
    scene.submit(1)
    with override_settings(LANGUAGE_CODE="ko"):
        assert "사용액" in shown(boss, BATCHES)
