"""What the ledger tells a completion hook."""

from __future__ import annotations

from tasks.core.pictures import Size
from tasks.core.published import PublishedPicture
from tasks.ledger.describing import describe
from tests.contract.ledger.scene import MODEL, Scene


def test_an_image_is_described(scene: Scene) -> None:
    """Its batch, its source row and what it was made by, beside the URLs that are public."""
    batch_id = scene.submit(2, name="spring")
    second = scene.release(batch_id)[1].ticket.image_id

    told = describe(scene.ledger, second, ["https://cdn.example.com/1.png"])

    assert told == PublishedPicture(
        key="SKU-00001",
        urls=("https://cdn.example.com/1.png",),
        batch_id=batch_id,
        batch_name="spring",
        variant=1,
        template="product",
        model=MODEL,
        prompt="빨간 컵 1",
        size=Size(1024, 1024),
        row={"sku": "SKU-00001", "name": "컵", "color": "빨강"},
    )
