"""The makers that answer while the caller waits, each with its stand-in: a line in ``MAKERS`` brings the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from tasks.core.catalogue import Endpoint
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest, Provider
from tasks.providers.gemini import GeminiProvider
from tasks.providers.openai_compatible import OpenAICompatibleProvider
from tests.contract.providers.example import ExampleApi, ExampleImages
from tests.stand_ins.gemini_api import KEY, GeminiApi
from tests.stand_ins.maker_api import MakerApi
from tests.stand_ins.openai_api import OpenAIApi


@dataclass(frozen=True)
class Maker:
    """A provider and who it buys from. What the suite asks is asked at ``endpoint``, with these ``parameters`` too."""

    provider: Provider
    api: MakerApi
    endpoint: Endpoint | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The provider's."""
        return self.provider.name

    @property
    def capabilities(self) -> Capabilities:
        """The provider's."""
        return self.provider.capabilities

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """One picture."""
        parameters = {**self.parameters, **request.parameters}
        return self.provider.generate(replace(request, endpoint=self.endpoint, parameters=parameters))

    def check(self) -> Health:
        """The provider's."""
        return self.provider.check()


@contextmanager
def openai() -> Iterator[Maker]:
    """OpenAI."""
    with OpenAIApi() as api:
        yield Maker(OpenAICompatibleProvider(keys={"OPENAI_API_KEY": "sk-of-openai"}, base_url=api.openai_url), api)


@contextmanager
def ark() -> Iterator[Maker]:
    """BytePlus Ark, which has OpenAI's API, nearly."""
    with OpenAIApi() as api:
        endpoint = Endpoint(base_url=api.ark_url, key_variable="ARK_API_KEY", edits="json")
        provider = OpenAICompatibleProvider(keys={"ARK_API_KEY": "ark-key"}, allow_private_urls=True)
        yield Maker(provider, api, endpoint, {"size": "2048x2048", "watermark": "false", "seed": "7"})


@contextmanager
def gemini() -> Iterator[Maker]:
    """Google."""
    with GeminiApi() as api:
        yield Maker(GeminiProvider(api_key=KEY, base_url=api.url), api)


@contextmanager
def example() -> Iterator[Maker]:
    """The one that contributors begin with."""
    with ExampleApi() as api:
        yield Maker(ExampleImages("of-the-example", api.url), api)


MAKERS: dict[str, Callable[[], AbstractContextManager[Maker]]] = {
    "openai": openai,
    "ark": ark,
    "gemini": gemini,
    "example": example,
}
