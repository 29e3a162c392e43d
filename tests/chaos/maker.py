"""The image maker: charges on its own side, whatever the caller comes to know of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.chaos.mishaps import UNCLEAR, Mishap, latency_seconds, mishap
from tests.stand_ins.anycap_api import paint
from tests.stand_ins.http_server import Reply, Request, StandIn

PRICE_USD = "0.03"
PRICE_USD_MICROS = 30_000
SIDE_PIXELS = 64
_SILENCE_SECONDS = 60.0

_UNCHARGED = {
    Mishap.OVERLOADED: Reply(500),
    Mishap.RATE_LIMITED: Reply(429, headers={"Retry-After": "1"}),
    Mishap.REFUSED: Reply(400),
    Mishap.DROPPED: Reply(disconnect=True),
}


@dataclass(frozen=True, slots=True)
class Charge:
    """One call that cost money. ``request_id`` is the caller's own name for the attempt."""

    prompt: str
    request_id: str


class ImageMaker(StandIn):
    """``POST`` a prompt, get its picture. ``charges`` and ``unclear`` calls are its books."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.charges: list[Charge] = []
        self.mishaps: Counter[Mishap] = Counter()
        self._calls: Counter[str] = Counter()

    @property
    def unclear(self) -> int:
        """How many calls have ended so that the caller cannot know whether it has paid."""
        return sum(self.mishaps[each] for each in UNCLEAR)

    def answer(self, request: Request) -> Reply:
        """Charge, unless it goes wrong before that, and hand the picture over, unless it goes wrong after that."""
        asked = request.json()
        prompt = asked["prompt"]
        self._calls[prompt] += 1
        met = mishap(self.seed, prompt, self._calls[prompt])
        if met is not None:
            self.mishaps[met] += 1
        if met in _UNCHARGED:
            return _UNCHARGED[met]
        self.charges.append(Charge(prompt, asked["request_id"]))
        return self._picture(prompt, met, latency_seconds(self.seed, prompt, self._calls[prompt]))

    def _picture(self, prompt: str, met: Mishap | None, seconds: float) -> Reply:
        picture = paint(prompt, SIDE_PIXELS, SIDE_PIXELS)
        match met:
            case Mishap.PAID_AND_DROPPED:
                return Reply(delay_seconds=seconds, disconnect=True)
            case Mishap.PAID_AND_SILENT:
                return Reply(delay_seconds=_SILENCE_SECONDS, disconnect=True)
            case Mishap.TRUNCATED:
                return Reply(body=picture[: len(picture) // 2], delay_seconds=seconds)
            case Mishap.NO_IMAGE:
                return Reply(body=b"", delay_seconds=seconds)
        return Reply(body=picture, delay_seconds=seconds)
