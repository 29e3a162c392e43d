"""The provider that buys nothing: a drawn card, so that a whole campaign can be looked at before it is paid for."""

from __future__ import annotations

import io
from pathlib import Path

from tasks.core.errors import Account
from tasks.core.health import Health
from tasks.pictures.card.draw import draw_card
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest


class PreviewProvider:
    """Offline, free, and deterministic: the same model, prompt and size always give the same bytes (JPEG).

    ``font_file`` is the font that the words are set in; one that covers Hangul ships in ``config/fonts``.
    """

    name = "preview"
    capabilities = Capabilities(sizes=("any",), formats=("jpeg",))

    def __init__(self, *, font_file: Path) -> None:
        self._font_file = font_file

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Draw the prompt's card in exactly the asked size. Raises Account when the font cannot be read."""
        caption = f"{request.model}  ·  {request.size.width} × {request.size.height}"
        try:
            image = draw_card(request.prompt, request.size, caption, self._font_file)
        except OSError as error:
            raise Account(f"the font {self._font_file} cannot be read: {error}; install imagechord again") from error
        buffer = io.BytesIO()
        image.save(buffer, "jpeg", quality=90, subsampling=0)
        return GeneratedPicture(buffer.getvalue(), cost_usd_micros=0)

    def check(self) -> Health:
        """Ready when the font is there."""
        if self._font_file.is_file():
            return Health(self.name, "ok", "offline; draws cards, costs nothing")
        return Health(self.name, "bad", f"{self._font_file} is missing", "install imagechord again")
