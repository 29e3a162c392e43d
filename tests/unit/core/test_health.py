from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tasks.core.health import Health


def test_a_finding_needs_no_mend_and_cannot_change() -> None:
    """A healthy component has nothing to mend; what was found stays as it was found."""
    health = Health("broker", "ok", "answered in 2 ms")
    assert health.mend == ""
    with pytest.raises(FrozenInstanceError):
        health.status = "bad"  # type: ignore[misc]
