"""The offline provider: cards that can be relied on."""

from __future__ import annotations

import dataclasses
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tasks.core.errors import Account
from tasks.core.pictures import Size
from tasks.pictures.inspect import inspect
from tasks.providers.preview import PreviewProvider
from tests.contract.providers.conftest import FONT, MakeRequest

PROMPT = "Product photo of a 도자기 머그컵 in sage, soft studio light, white background, ₩12,900"


@pytest.fixture
def preview() -> PreviewProvider:
    """The provider with the font that ships."""
    return PreviewProvider(font_file=FONT)


@pytest.mark.parametrize(
    "size",
    [Size(16, 16), Size(16, 8192), Size(64, 64), Size(159, 161), Size(1024, 1024), Size(1200, 630), Size(1080, 1920)],
    ids=str,
)
def test_the_size_is_exactly_the_asked_one(preview: PreviewProvider, make_request: MakeRequest, size: Size) -> None:
    """From the smallest to the oddest, nothing needs to be cropped."""
    assert inspect(preview.generate(make_request(PROMPT, size)).data).size == size


def test_the_same_request_gives_the_same_bytes(preview: PreviewProvider, make_request: MakeRequest) -> None:
    """Whoever draws it, and whenever: also two threads at once and another instance."""
    other = PreviewProvider(font_file=FONT)
    with ThreadPoolExecutor(4) as pool:
        cards = list(pool.map(lambda one: one.generate(make_request(PROMPT)).data, [preview, other] * 4))
    assert len(set(cards)) == 1


def test_prompt_and_size_change_the_picture(preview: PreviewProvider, make_request: MakeRequest) -> None:
    """Different requests have different pictures."""
    sizes = Size(256, 256), Size(256, 257)
    requests = [make_request(f"{PROMPT}{end}", size) for end in ("", "!") for size in sizes]
    assert len({preview.generate(request).data for request in requests}) == 4


def test_the_named_colour_is_seen(preview: PreviewProvider, make_request: MakeRequest) -> None:
    """A red mug is red where the mug is, and a navy one is navy."""
    seen = []
    for name in ("red", "navy"):
        data = preview.generate(make_request(f"a {name} mug, white background", Size(512, 512))).data
        with Image.open(io.BytesIO(data)) as image:
            pixel = image.convert("RGB").getpixel((230, 350))
        assert isinstance(pixel, tuple)
        seen.append(pixel)
    (red, _, less_blue), (less_red, _, blue) = seen
    assert red > 1.5 * less_blue
    assert blue > 1.3 * less_red


def test_a_card_is_fast(preview: PreviewProvider, make_request: MakeRequest) -> None:
    """A campaign is rehearsed in minutes: the best of five 1024x1024 cards takes under 60 ms of processor time."""
    spent = []
    for number in range(5):
        begun = time.thread_time()
        preview.generate(make_request(f"{PROMPT} {number}", Size(1024, 1024)))
        spent.append(time.thread_time() - begun)
    assert min(spent) < 0.060


def test_a_missing_font_is_said(make_request: MakeRequest, tmp_path: Path) -> None:
    """Without its font the provider is not ready, and no image is to blame."""
    broken = PreviewProvider(font_file=tmp_path / "none.otf")
    assert broken.check().status == "bad"
    with pytest.raises(Account, match=r"none\.otf"):
        broken.generate(dataclasses.replace(make_request(PROMPT), size=Size(512, 512)))
