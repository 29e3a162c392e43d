"""What a completion hook is told of a picture that everybody can see now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.pictures import Size


@dataclass(frozen=True, slots=True)
class PublishedPicture:
    """One picture of a row, and by ``urls`` all of the row that are public by now, in the order of their variants.

    ``row`` is the source row, column → text; ``key`` is what it is called by, its ``sku``. ``variant`` counts from 1.
    ``size`` is that of the picture, in pixels.
    """

    key: str
    urls: tuple[str, ...]
    batch_id: str
    batch_name: str
    variant: int
    template: str
    model: str
    prompt: str
    size: Size
    row: Mapping[str, str]

    @property
    def url(self) -> str:
        """The first of the row's pictures: what a record with room for one shows."""
        return self.urls[0]
