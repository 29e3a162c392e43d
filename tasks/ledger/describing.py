"""What a completion hook is told of an image."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from tasks.core.pictures import Size
from tasks.core.published import PublishedPicture
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image

_OF_IMAGE = ("key", "batch_id", "variant", "template", "model", "prompt", "width", "height", "row")
_ONE = (
    select(*(image.c[name] for name in _OF_IMAGE), batch.c.name.label("batch_name"))
    .join(batch, batch.c.id == image.c.batch_id)
    .where(image.c.id == bindparam("the_image"))
)


def describe(ledger: Ledger, image_id: int, urls: Sequence[str]) -> PublishedPicture:
    """The image of this id, of whose row these ``urls`` are public. Raises LedgerUnavailable."""
    with ledger.read() as connection:
        found = dict(connection.execute(_ONE, {"the_image": image_id}).mappings().one())
    size = Size(found.pop("width"), found.pop("height"))
    return PublishedPicture(**found, size=size, urls=tuple(urls))
