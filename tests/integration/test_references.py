"""Pictures to start from: found at planning, kept in staging, brought to the provider by real workers."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select, update

from tasks import retrying
from tasks.core.errors import InputError, Invalid
from tasks.core.references import Reference
from tasks.core.request import Request
from tasks.core.selection import Edit, Selection
from tasks.core.states import State
from tasks.ledger import reading, schema
from tasks.services import Services
from tasks.settings import load_settings
from tasks.steps.buying import request_of
from tasks.steps.pruning import Pruner
from tasks.submission import plan, submit
from tests.contract.ledger.scene import Scene, planned
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault, depicts, paint
from tests.stand_ins.pictures import PictureServer

FRONT, BACK = paint("front", 32, 32), paint("back", 32, 32)


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """An installation without workers, which may fetch pictures from this machine."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "imagechord.toml").write_text("allow_private_provider_urls = true\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "front.png").write_bytes(FRONT)
    (tmp_path / "shop" / "again.png").write_bytes(FRONT)
    return Services(load_settings({}, tmp_path))


def sheet(services: Services, *references: str) -> Request:
    """A CSV in the folder ``shop``, one row for each cell."""
    path = services.settings.directory / "shop" / "products.csv"
    lines = [f'A-{number},cup,red,"{cell}"' for number, cell in enumerate(references)]
    path.write_text("\n".join(["sku,name,color,reference", *lines]))
    return Request(path, "product", use="edit")


def staged(services: Services) -> list[Path]:
    """The pictures to start from that are in staging."""
    return sorted((services.settings.home / "staging" / "references").glob("*"))


def problem(services: Services, cell: str) -> str:
    """What is wrong with a row that starts from this."""
    planned = plan(services, sheet(services, cell))
    (found,) = planned.problems
    assert (found.line, found.column, found.value) == (2, "reference", cell)
    return f"{found.message}. {found.mend}"


def test_a_plan_looks_and_leaves_no_trace(services: Services) -> None:
    """Names begin in the CSV's folder; the bytes are in the fingerprint, and nothing is written."""
    planned = plan(services, sheet(services, "front.png"))
    (image,) = planned.summary.first_images
    assert [(each.name, each.staging_key) for each in image.references] == [("front.png", "")]
    assert len(planned.summary.references) == 1
    assert not services.settings.home.exists()


def test_equal_bytes_are_staged_once(services: Services) -> None:
    """However many rows and names and batches they have; both names give one fingerprint's digest."""
    request = sheet(services, "front.png", "again.png", "front.png;again.png")
    for _ in range(2):
        batch_id = submit(services, request).batch_id
        (file,) = staged(services)
        assert file.read_bytes() == FRONT
        assert [image.references for image in reading.images(services.ledger, batch_id)] == [
            ("front.png",),
            ("again.png",),
            ("front.png", "again.png"),
        ]


def test_a_url_is_fetched_once(services: Services) -> None:
    """For all rows of a batch; one that fails for a moment is asked again."""
    with PictureServer({"/front.png": FRONT}, {"/front.png": 1}) as server:
        planned = plan(services, sheet(services, *[f"{server.url}/front.png"] * 3))
        assert (planned.summary.images, planned.problems) == (3, [])
        assert server.asked("/front.png") == 2


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("missing.png", "there is no file "),
        ("../elsewhere.png", "is outside of the folder "),
        ("products.csv", "this is text, not a picture: sku,name,color,reference"),
        ("sku:B-1", "no picture of 'B-1' has been published yet. Correct the key, or run its row first"),
        ("s3://", "names no object"),
        ("ftp://127.0.0.1/a.png", "may not be fetched: its URL begins with 'ftp', not https"),
    ],
)
def test_what_cannot_be_had_is_said(services: Services, cell: str, says: str) -> None:
    """By line, column and value, and with what mends it."""
    assert says in problem(services, cell)


def test_a_url_without_a_picture_is_said(services: Services) -> None:
    """In words for somebody who has paid for nothing yet."""
    with PictureServer({"/page": b"<html>not here</html>"}) as server:
        assert "this is an HTML or XML page" in problem(services, f"{server.url}/page")
        said = problem(services, f"{server.url}/missing.png")
        assert "could not be fetched from 127.0.0.1: it answered 404" in said
        assert "was made" not in said


def test_a_folder_may_be_allowed(services: Services, tmp_path: Path) -> None:
    """`reference_folders` names others besides the CSV's own."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "back.png").write_bytes(BACK)
    assert "add its folder to reference_folders" in problem(services, str(photos / "back.png"))
    (tmp_path / "config" / "imagechord.toml").write_text(f"reference_folders = ['{photos}']\n")
    allowed = Services(load_settings({}, tmp_path))
    assert plan(allowed, sheet(allowed, str(photos / "back.png"))).problems == []


def test_a_link_does_not_lead_out(services: Services, tmp_path: Path) -> None:
    """A file is judged by where it really is."""
    (tmp_path / "secret.png").write_bytes(BACK)
    (tmp_path / "shop" / "link.png").symlink_to(tmp_path / "secret.png")
    assert "is outside of the folder" in problem(services, "link.png")


def test_a_long_file_is_refused(services: Services, tmp_path: Path) -> None:
    """More than providers take."""
    with (tmp_path / "shop" / "long.png").open("wb") as file:
        file.write(FRONT)
        file.truncate(20_000_001)
    assert "at most 20,000,000 are taken" in problem(services, "long.png")


def test_they_leave_staging_when_nobody_needs_them(services: Services) -> None:
    """Long after every picture that starts from them was published; a row that failed keeps its own."""
    (services.settings.directory / "shop" / "back.png").write_bytes(BACK)
    submit(services, sheet(services, "front.png", "back.png"))
    long_ago = datetime.now(UTC) - timedelta(days=30)
    with services.ledger.write() as connection:
        ends = {"A-0": State.PUBLISHED, "A-1": State.FAILED}
        for key, state in ends.items():
            mine = update(schema.image).where(schema.image.c.key == key)
            connection.execute(mine.values(state=state, published_at=long_ago))
        connection.execute(update(schema.reference).values(staged_at=long_ago))
    assert len(staged(services)) == 2
    Pruner().prune(services)
    (kept,) = staged(services)
    assert kept.read_bytes() == BACK
    with services.ledger.read() as connection:
        assert len(connection.execute(select(schema.reference)).all()) == 1


def test_every_kind_reaches_the_provider(make_stack: MakeStack, api: AnycapApi) -> None:
    """A file, a URL and the newest published picture of a key, through the real program, in their order."""
    stack = make_stack()
    stack.start_worker()
    stack.run(rows(["cup"]))
    source = stack.folder / "edits.csv"
    (stack.folder / "front.png").write_bytes(FRONT)
    with PictureServer({"/back.png": BACK}) as server:
        source.write_text(f"sku,name,reference\ncup,blue cup,front.png;{server.url}/back.png;sku:cup\n")
        batch_id = stack.run(source, model="editor")
    assert stack.states(batch_id) == {"cup": State.PUBLISHED}
    call = api.charges[-1]
    front, back, cup = (api.uploads[url] for url in call.parameters["images"])
    assert (call.parameters["mode"], front, back) == ("image-to-image", FRONT, BACK)
    assert depicts(cup, "A small picture of cup.")
    shown = stack.python("import sys; sys.argv = ['', 'show', 'cup']; from tasks.cli.main import main; main()")
    assert f"front.png, {server.url}/back.png, sku:cup" in " ".join(shown.split())


def test_a_worker_elsewhere_has_the_files(make_stack: MakeStack, api: AnycapApi) -> None:
    """What another program submits is captured at once: its folder may be gone when a worker plans the rows."""
    stack = make_stack()
    folder = stack.folder / "upload"
    folder.mkdir()
    (folder / "front.png").write_bytes(FRONT)
    (folder / "good.csv").write_text("sku,name,reference\ncup,cup,front.png\n")
    (folder / "bad.csv").write_text("sku,name,reference\ncup,cup,front.png\nmug,mug,missing.png\n")
    (folder / "good.jsonl").write_text('{"sku": "pot", "name": "pot", "reference": "front.png"}\n')
    submitted = stack.python(
        "from tasks import batches\n"
        "for name in ('good.csv', 'bad.csv', 'good.jsonl'):\n"
        "    print(batches.submit(f'upload/{name}', template='tiny', model='editor'))\n"
    )
    good, bad, lines = submitted.split()
    for file in folder.iterdir():
        file.unlink()
    stack.start_worker()
    for batch_id in (good, lines):
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert [api.uploads[url] for call in api.charges for url in call.parameters["images"]] == [FRONT, FRONT]
    with pytest.raises(InputError, match="1 of 2 rows cannot be used") as caught:
        reading.raise_if_refused(stack.services.ledger, bad)
    assert "line 3, column 'reference', value 'missing.png': there is no file" in str(caught.value.problems)
    with stack.services.ledger.read() as connection:
        request = connection.scalar(select(schema.batch.c.request).where(schema.batch.c.id == good))
    assert request is not None
    assert request["source"]["references"] == {}


def test_a_retry_keeps_them(stack: Stack, api: AnycapApi) -> None:
    """Also one with another template, when the files are gone; a model that takes none is refused."""
    api.fault_for = lambda _prompt, number: Fault.INVALID_PARAM if number == 1 else None
    prompts = stack.folder / "config" / "prompts.toml"
    prompts.write_text(prompts.read_text() + '[templates.large]\nsize = "64x64"\nprompt = "A large {name}."\n')
    services = Services(load_settings(stack.environment, stack.folder))
    (stack.folder / "edits.csv").write_text("sku,name,reference\ncup,cup,front.png\n")
    (stack.folder / "front.png").write_bytes(FRONT)
    stack.start_worker()
    batch_id = stack.run(stack.folder / "edits.csv", model="editor")
    assert stack.states(batch_id) == {"cup": State.FAILED}
    (stack.folder / "front.png").unlink()
    with pytest.raises(InputError, match="1 rows cannot be planned like that"):
        retrying.retry(services, batch_id, Selection(), Edit(model="quick"))
    api.fault_for = lambda _prompt, _number: None
    assert retrying.retry(services, batch_id, Selection(), Edit(template="large")).images == 1
    stack.start(batch_id)
    stack.wait(batch_id)
    (call,) = api.charges
    assert call.prompt == "A large cup."
    assert [api.uploads[url] for url in call.parameters["images"]] == [FRONT]


def test_one_that_is_gone_from_staging_costs_nothing(stack: Stack, api: AnycapApi) -> None:
    """The image fails with what to do, before anything is paid."""
    (stack.folder / "front.png").write_bytes(FRONT)
    (stack.folder / "edits.csv").write_text("sku,name,reference\ncup,cup,front.png\n")
    batch_id = stack.submit(stack.folder / "edits.csv", model="editor")
    (file,) = staged(stack.services)
    file.unlink()
    stack.start_worker()
    stack.start(batch_id)
    stack.wait(batch_id)
    image = stack.images(batch_id)["cup"]
    assert (image.state, image.cost_usd_micros, api.calls) == (State.FAILED, 0, [])
    assert "front.png is not in staging" in str(image.error_message)
    assert "run its row again" in str(image.error_message)


def test_who_asks_about_a_job_needs_them_no_more(services: Services) -> None:
    """The provider has had them: a picture that is paid for does not depend on what is still in staging."""
    gone = Reference("front.png", "f" * 64, "references/gone.png")
    scene = Scene(services.ledger)
    (ticket,) = scene.tickets([replace(planned(1), references=(gone,))])  # type: ignore[arg-type]
    claim = scene.claim(ticket)
    spec = services.settings.catalogue.models["nano-banana-pro"]
    with request_of(services, claim, spec, 1.0, asks=True) as request:
        assert request.references == ()
    with pytest.raises(Invalid, match=r"front\.png is not in staging"), request_of(services, claim, spec, 1.0):
        pass


def test_pictures_are_looked_at_in_any_format(services: Services, tmp_path: Path) -> None:
    """The bytes decide; the staged copy is named by what they are."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "jpeg")
    (tmp_path / "shop" / "front.png").write_bytes(buffer.getvalue())
    submit(services, sheet(services, "front.png"))
    (file,) = staged(services)
    assert file.suffix == ".jpg"
