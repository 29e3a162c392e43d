"""Several pictures of one row: the CMS gets all of them, or the first, whatever becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Superseded
from tasks.core.states import State
from tasks.core.views import ImageView
from tasks.ledger import reading
from tasks.steps.patch_cms import patch
from tests.contract.ledger.scene import Scene, planned
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.stand_ins.http_server import Reply, Request

LIST = {"CMS_PRESET": "generic_list"}


def variants(stack: Stack, batch_id: str) -> list[ImageView]:
    """All pictures of a batch, in order."""
    return sorted(reading.images(stack.services.ledger, batch_id), key=lambda image: (image.key, image.variant))


def published(stack: Stack, batch_id: str) -> list[str]:
    """The URLs of those that made it."""
    return [str(image.public_url) for image in variants(stack, batch_id) if image.state is State.PUBLISHED]


@pytest.mark.parametrize("preset", ["generic", "generic_list"])
def test_a_refused_variant_keeps_no_other_back(make_stack: MakeStack, api: AnycapApi, preset: str) -> None:
    """Of four pictures one is refused: three are published, and the CMS has them, or the first of them."""
    api.fault_for = lambda _prompt, number: Fault.CONTENT_REJECTED if number == 2 else None
    with CmsStandIn(any_product=True) as cms:
        stack = make_stack(**cms.environment, CMS_PRESET=preset)
        stack.start_worker()
        batch_id = stack.run(rows(["cup"]), variants=4)
    urls = published(stack, batch_id)
    assert (len(urls), len(set(urls)), len(api.charges)) == (3, 3, 3)
    assert [image.state for image in variants(stack, batch_id)].count(State.REFUSED) == 1
    assert cms.products == {"cup": urls[0]}
    assert cms.galleries == ({"cup": urls} if preset == "generic_list" else {})


def test_a_failed_write_is_made_up_for(make_stack: MakeStack) -> None:
    """The CMS is away for the first writes; in the end it has every picture of both rows, in their order."""
    with CmsStandIn(any_product=True) as cms:
        cms.script("cup", CmsFault(503), CmsFault(503))
        stack = make_stack(**cms.environment, **LIST)
        stack.start_worker()
        batch_id = stack.run(
            [{"sku": "cup", "name": "cup", "variants": "3"}, {"sku": "mug", "name": "mug", "variants": ""}], variants=2
        )
    images = variants(stack, batch_id)
    assert [(image.key, image.variant) for image in images] == [
        ("cup", 1),
        ("cup", 2),
        ("cup", 3),
        ("mug", 1),
        ("mug", 2),
    ]
    for key in ("cup", "mug"):
        urls = [image.public_url for image in images if image.key == key]
        assert (cms.products[key], cms.galleries[key]) == (urls[0], urls)


class SlowCms(CmsStandIn):
    """Keeps the first write to itself until ``meanwhile`` has happened: it is the last to land."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(any_product=True)
        self._meanwhile = meanwhile
        self._first = threading.Lock()

    def reply_to(self, request: Request) -> Reply:
        """As any other, later."""
        if request.method == "PATCH" and self._first.acquire(blocking=False):
            self._meanwhile()
        return super().reply_to(request)


@pytest.mark.parametrize("preset", ["generic", "generic_list"])
def test_a_late_write_is_put_right(make_stack: MakeStack, preset: str) -> None:
    """The second variant's write lands after the first one has come, been written and been settled."""

    def first_comes() -> None:
        scene.upload(first)
        patch(stack.services, scene.delivery(first, StepName.PATCH))

    with SlowCms(first_comes) as cms:
        stack = make_stack(**cms.environment, CMS_PRESET=preset)
        scene = Scene(stack.services.ledger)
        first, second = uploadable(scene, 2)
        scene.upload(second)
        patch(stack.services, scene.delivery(second, StepName.PATCH))
    urls = [scene.image(ticket.image_id).public_url for ticket in (first, second)]
    assert cms.products == {"SKU-00001": urls[0]}
    assert cms.galleries == ({"SKU-00001": urls} if preset == "generic_list" else {})
    assert cms.writes("SKU-00001") == 3


def test_one_that_the_cms_has_no_room_for_is_not_written(make_stack: MakeStack) -> None:
    """Once the first variant is in the CMS, the others cost no call."""
    with CmsStandIn(any_product=True) as cms:
        stack = make_stack(**cms.environment)
        scene = Scene(stack.services.ledger)
        first, second = uploadable(scene, 2)
        for ticket in (first, second):
            scene.upload(ticket)
            patch(stack.services, scene.delivery(ticket, StepName.PATCH))
    assert cms.writes("SKU-00001") == 1
    assert scene.image(second.image_id).cms_receipt == "the CMS has the row's first picture"


def test_a_cancelled_variant_is_written_no_more(make_stack: MakeStack) -> None:
    """Between the step's beginning and its write the row's pictures were cancelled."""
    with CmsStandIn(any_product=True) as cms:
        stack = make_stack(**cms.environment)
        scene = Scene(stack.services.ledger)
        first, second = uploadable(scene, 2)
        scene.upload(first)
        delivery = scene.delivery(first, StepName.PATCH)
        for ticket in (first, second):
            scene.set_image(ticket.image_id, state=State.CANCELLED)
        with pytest.raises(Superseded, match="is cancelled"):
            patch(stack.services, delivery)
    assert cms.products == {}


def uploadable(scene: Scene, count: int) -> list[Ticket]:
    """Bought variants of one row, each with a public URL of its own to come."""
    images = [planned(1, fingerprint=f"{number:064x}", variant=number) for number in range(1, count + 1)]
    tickets = scene.tickets(images)  # type: ignore[arg-type]
    for ticket in tickets:
        scene.generate(ticket)
    return tickets
