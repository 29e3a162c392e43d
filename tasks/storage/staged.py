"""Reading a staged picture back, and not trusting the disk or the network in between."""

from __future__ import annotations

import hashlib

from tasks.core.errors import BadBytes
from tasks.core.pictures import StagedPicture
from tasks.storage.base import Staging


def read_staged(staging: Staging, staged: StagedPicture) -> bytes:
    """The picture's bytes, exactly those that were staged.

    Raises BadBytes when they are others, else what ``Staging.get`` raises.
    """
    data = staging.get(staged.key)
    if hashlib.sha256(data).hexdigest() != staged.sha256:
        raise BadBytes(
            f"the staged picture {staged.key!r} is damaged: {len(data)} bytes, "
            f"expected {staged.size_bytes} with SHA-256 {staged.sha256[:12]}…"
        )
    return data
