"""The catalogue: what ``models.toml`` says, as frozen, validated values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.core.money import usd_micros

Use = Literal["hero", "bulk", "edit", "prototype"]


def known_timezone(name: str) -> str:
    """The name of a time zone, unchanged. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ValueError(f"there is no time zone {name!r}; write it like Asia/Seoul") from error
    return name


class Strict(BaseModel):
    """Base of everything people write in TOML: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Strict):
    """What the provider allows for one model, over the whole cluster. ``None`` means no limit.

    ``per_day`` begins anew at midnight in ``day_timezone``.
    """

    per_minute: Annotated[float, Field(gt=0)] | None = None
    in_flight: Annotated[int, Field(gt=0)] | None = None
    per_day: Annotated[int, Field(gt=0)] | None = None
    day_timezone: Annotated[str, AfterValidator(known_timezone)] = "UTC"


class AnySize(Strict):
    """The model draws exactly the asked size (``preview``)."""

    mode: Literal["any"] = "any"


class AspectSizes(Strict):
    """The model takes an aspect ratio and a resolution class, as Nano Banana does.

    ``resolutions`` maps the value of ``parameter`` to the pixels of the picture's longer side at 1:1.
    """

    mode: Literal["aspect_ratio"] = "aspect_ratio"
    aspect_ratios: tuple[str, ...]
    resolutions: Mapping[str, int]
    parameter: str = "resolution"


class ExactSizes(Strict):
    """The model takes WIDTHxHEIGHT inside bounds: multiples, a range of total pixels and of ratios."""

    mode: Literal["exact"] = "exact"
    multiple_of: int = 1
    min_pixels: int = 1
    max_pixels: int
    max_ratio: float = 3.0
    parameter: str = "size"


class ListedSizes(Strict):
    """The model takes one of a few named sizes."""

    mode: Literal["list"] = "list"
    sizes: tuple[str, ...]
    parameter: str = "size"


SizeRule = Annotated[AnySize | AspectSizes | ExactSizes | ListedSizes, Field(discriminator="mode")]


class Endpoint(Strict):
    """Where a model answers, for a provider that many makers and servers share.

    ``key_variable`` names the environment variable that holds the key; empty for a server that wants none.
    ``edits``: how it takes reference pictures, as a form's files or inside the JSON of the same call.
    """

    base_url: str
    key_variable: str = ""
    edits: Literal["none", "form", "json"] = "none"


class TokenPrices(Strict):
    """What a million tokens cost in US dollars, where a bill goes by them: the actual cost comes from the answer."""

    input_text: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    input_image: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    output_text: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    output_image: Annotated[Decimal, Field(ge=0)] = Decimal(0)


class ModelSpec(Strict):
    """One model of the catalogue. ``price_usd`` is the list price of one image in US dollars.

    ``surcharge_percent`` is what bills run above that, for instance for tokens that a model thinks in.
    ``references`` is how many pictures the model takes to start from.

    ``budget_usd_per_day`` holds over all batches, and its day begins with that of ``limits``.
    ``typical_seconds`` is how long a call usually takes: for the time that a plan shows, and for when a provider that
    answers later is asked.
    """

    alias: str
    provider: str
    model: str
    uses: tuple[Use, ...] = ()
    why: str = ""
    price_usd: Decimal | None = None
    price_date: date | None = None
    price_source: str = ""
    surcharge_percent: Annotated[float, Field(ge=0)] = 0.0
    token_prices_usd: TokenPrices | None = None
    endpoint: Endpoint | None = None
    references: Annotated[int, Field(ge=0)] = 0
    limits: Limits = Limits()
    budget_usd_per_day: Annotated[Decimal, Field(ge=0)] | None = None
    deadline_seconds: Annotated[float, Field(gt=0)] = 300.0
    typical_seconds: Annotated[float, Field(gt=0)] = 15.0
    max_prompt_chars: Annotated[int, Field(gt=0)] = 4000
    sizes: SizeRule = AnySize()
    parameters: Mapping[str, str] = {}
    fallback: tuple[str, ...] = ()
    retires: date | None = None

    @property
    def list_price_usd_micros(self) -> int | None:
        """List price of one image in micro-dollars; ``None`` where the catalogue knows no price."""
        return None if self.price_usd is None else usd_micros(self.price_usd)

    @property
    def price_usd_micros(self) -> int | None:
        """What one image is likely to be billed at, in micro-dollars: the list price with its surcharge.

        Plans and budgets go by it. ``None`` where the catalogue knows no price.
        """
        if self.price_usd is None:
            return None
        return usd_micros(self.price_usd * (1 + Decimal(str(self.surcharge_percent)) / 100))


class TemplateSpec(Strict):
    """One prompt template. ``size`` is WIDTHxHEIGHT, or ``{field}`` to read it from the row."""

    name: str
    prompt: str
    size: str
    language: Literal["ko", "en"] = "en"
    use: Use = "bulk"
    share: bool = False
    description: str = ""
    columns: Mapping[str, tuple[str, ...]] = {}
    defaults: Mapping[str, str] = {}


class Catalogue(Strict):
    """Models by alias and templates by name, with the aliases that all templates share."""

    models: Mapping[str, ModelSpec]
    templates: Mapping[str, TemplateSpec]
    columns: Mapping[str, tuple[str, ...]]
    default_model: str = "nano-banana-2"

    @property
    def longest_deadline_seconds(self) -> float:
        """After so long no call of any model is under way."""
        return max(spec.deadline_seconds for spec in self.models.values())
