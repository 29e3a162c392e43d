"""What ``doctor`` and ``/health`` say of one component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Health:
    """``off``: not configured, and the pipeline does without. ``warn``: it works, and will not for ever.

    ``mend`` is a command or variable to set.
    """

    component: str
    status: Literal["ok", "off", "warn", "bad"]
    detail: str
    mend: str = ""
