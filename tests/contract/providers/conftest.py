"""Every provider of the project, each with all it needs to be called."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.core.pictures import Size
from tasks.providers.anycap import AnycapProvider
from tasks.providers.base import GenerationRequest, Provider
from tasks.providers.gemini import GeminiProvider
from tasks.providers.openai_compatible import OpenAICompatibleProvider
from tasks.providers.preview import PreviewProvider
from tests.contract.providers import queues
from tests.real_anycap import real_anycap
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.gemini_api import KEY, GeminiApi
from tests.stand_ins.openai_api import OpenAIApi

FONT = Path(__file__).parents[3] / "config/fonts/ImagechordSans.otf"
FAKE = Path(__file__).with_name("fake_anycap.py")

SMALL = Size(64, 64)

MakeRequest = queues.MakeRequest


@pytest.fixture
def make_request(tmp_path: Path) -> MakeRequest:
    """Make requests, each with a scratch folder of its own; safe to call from many threads."""
    numbers = itertools.count()

    def make(
        prompt: str = "a mug",
        size: Size = SMALL,
        deadline_seconds: float = 20.0,
        parameters: Mapping[str, str] | None = None,
        references: tuple[Path, ...] = (),
    ) -> GenerationRequest:
        number = next(numbers)
        scratch = tmp_path / f"scratch-{number}"
        scratch.mkdir()
        return GenerationRequest(
            f"request-{number}", "m", prompt, size, parameters or {}, deadline_seconds, scratch, references
        )

    return make


@dataclass(frozen=True)
class FakeAnycap:
    """The provider with the fake program; ``play`` sets the scene, ``calls`` are the program's own notes."""

    provider: AnycapProvider
    config_dir: Path

    def play(self, scene: str) -> None:
        (self.config_dir / "scene").write_text(scene)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.config_dir / "calls.jsonl").read_text().splitlines()]


@pytest.fixture
def fake(tmp_path: Path) -> FakeAnycap:
    """The fake program, made executable, playing a success."""
    program = tmp_path / "bin" / "anycap"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -IS\n{FAKE.read_text()}")
    program.chmod(0o755)
    config_dir = tmp_path / "anycap"
    config_dir.mkdir()
    provider = AnycapProvider(
        config_dir,
        binary=str(program),
        api_key="ak_very_secret",
        usd_micros_per_credit=2_000,
        endpoint="http://127.0.0.1:9",
    )
    made = FakeAnycap(provider, config_dir)
    made.play("success")
    return made


@pytest.fixture
def api() -> Iterator[AnycapApi]:
    """A stand-in for AnyCap's server."""
    with AnycapApi() as server:
        yield server


@pytest.fixture
def real(tmp_path: Path, api: AnycapApi) -> AnycapProvider:
    """The provider with the real program, talking to the stand-in."""
    return AnycapProvider(
        tmp_path / "anycap",
        binary=str(real_anycap()),
        api_key="ak_test",
        endpoint=api.endpoint,
        usd_micros_per_credit=2_000,
        allow_private_urls=True,
    )


@pytest.fixture
def openai_api() -> Iterator[OpenAIApi]:
    """A stand-in for OpenAI and Ark."""
    with OpenAIApi() as server:
        yield server


@pytest.fixture
def openai(openai_api: OpenAIApi) -> OpenAICompatibleProvider:
    """The provider of OpenAI's API and its likes, with OpenAI at the stand-in and two keys."""
    keys = {"OPENAI_API_KEY": "sk-of-openai", "ARK_API_KEY": "ark-key", "": ""}
    return OpenAICompatibleProvider(keys=keys, base_url=openai_api.openai_url, allow_private_urls=True)


@pytest.fixture
def gemini_api() -> Iterator[GeminiApi]:
    """A stand-in for Google's Gemini API."""
    with GeminiApi() as server:
        yield server


@pytest.fixture
def gemini(gemini_api: GeminiApi) -> GeminiProvider:
    """The provider of Google's models, with Google at the stand-in."""
    return GeminiProvider(api_key=KEY, base_url=gemini_api.url)


@pytest.fixture
def fal(make_request: MakeRequest) -> Iterator[queues.Waited]:
    """The queue of fal, waited for."""
    with queues.fal(make_request) as queue:
        yield queues.Waited(queue)


@pytest.fixture
def replicate(make_request: MakeRequest) -> Iterator[queues.Waited]:
    """The queue of Replicate, waited for."""
    with queues.replicate(make_request) as queue:
        yield queues.Waited(queue)


@pytest.fixture(params=["preview", "anycap-fake", "anycap-real", "openai", "gemini", "fal", "replicate"])
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each provider in turn, ready to be called."""
    if request.param == "preview":
        return PreviewProvider(font_file=FONT)
    if request.param == "anycap-fake":
        fake: FakeAnycap = request.getfixturevalue("fake")
        return fake.provider
    made: Provider = request.getfixturevalue("real" if request.param == "anycap-real" else request.param)
    return made
