"""A provider, and an upload, that some pictures kill their worker with."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path

from PIL import Image

from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest

MODEL = """
[models.deadly]
provider = "tests.faults.deadly:DeadlyProvider"
model = "deadly-1"
price_usd = 0.03
price_date = 2026-11-01
price_source = "a test"
deadline_seconds = 20
typical_seconds = 0.1
sizes = { mode = "list", sizes = ["64x64"] }
"""

CALLS_FILE = "DEADLY_CALLS_FILE"
_CALL_SECONDS = 0.3


class DeadlyProvider:
    """Writes every paid call down, and kills the process that calls for a deadly cup."""

    name = "deadly"
    capabilities = Capabilities()

    def __init__(self) -> None:
        self._calls = Path(os.environ[CALLS_FILE])

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """One paid call, long enough for others to be in flight with it."""
        with self._calls.open("a") as calls:
            calls.write(f"{request.prompt}\n")
        time.sleep(_CALL_SECONDS)
        if "deadly" in request.prompt:
            os.kill(os.getpid(), signal.SIGKILL)
        png = io.BytesIO()
        Image.new("RGB", (64, 64), f"#{abs(hash(request.prompt)) % 0xFFFFFF:06x}").save(png, "PNG")
        return GeneratedPicture(png.getvalue())

    def check(self) -> Health:
        """Always there."""
        return Health("deadly", "ok", "for a while")
