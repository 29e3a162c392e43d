from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks.core.catalogue import AspectSizes
from tasks.core.catalogue_parse import parse_catalogue
from tasks.core.errors import ConfigurationError
from tests.unit.core.factories import model_tables, prompt_tables

CONFIG = Path(__file__).parents[3] / "config"


def load(name: str) -> dict[str, Any]:
    """Read a shipped file."""
    return tomllib.loads((CONFIG / name).read_text(encoding="utf-8"))


def refusal(models: Mapping[str, Any], prompts: Mapping[str, Any]) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(ConfigurationError) as refused:
        parse_catalogue(models, prompts)
    return str(refused.value).splitlines()


def changed_model(**settings: Any) -> dict[str, Any]:
    """Good tables with one model changed."""
    tables = copy.deepcopy(model_tables())
    tables["models"]["seedream-5"].update(settings)
    return tables


def changed_template(**settings: Any) -> dict[str, Any]:
    """Good tables with one template changed."""
    tables = copy.deepcopy(prompt_tables())
    tables["templates"]["social_post"].update(settings)
    return tables


def test_the_shipped_catalogue_is_valid() -> None:
    """The article's models, uses and prices come first, so that a use picks them; nothing contradicts itself."""
    catalogue = parse_catalogue(load("models.toml"), load("prompts.toml"))
    assert catalogue.default_model == "nano-banana-2"
    uses = {alias: model.uses for alias, model in catalogue.models.items()}
    assert dict(list(uses.items())[:5]) == {
        "preview": (),
        "preview-async": (),
        "nano-banana-2": ("bulk", "prototype"),
        "seedream-5": ("hero",),
        "nano-banana-pro": ("edit",),
    }
    assert catalogue.models["nano-banana-2"].price_usd == Decimal("0.005")
    assert catalogue.models["seedream-5"].price_usd == Decimal("0.015")
    assert catalogue.models["preview"].price_usd_micros == 0
    assert all(model.why and model.price_source and model.price_date for model in catalogue.models.values())


def test_googles_prices_are_those_of_their_tokens() -> None:
    """A picture of 1,120 tokens, or 1,680, costs what the list says; thoughts run 15 % above that."""
    models = parse_catalogue(load("models.toml"), load("prompts.toml")).models
    google = {alias: model for alias, model in models.items() if model.provider == "gemini"}
    assert len(google) == 5
    for alias, model in google.items():
        assert model.token_prices_usd
        assert model.price_usd
        tokens = 1680 if alias.endswith("-2k") else 1120
        assert model.token_prices_usd.output_image * tokens / 1_000_000 == pytest.approx(
            model.price_usd, rel=Decimal("0.01")
        )
        assert (model.surcharge_percent, model.references, model.limits.day_timezone) == (15, 14, "America/Los_Angeles")
    assert models["nano-banana-2-google"].retires == date(2026, 10, 29)


def test_the_shipped_templates_are_the_articles_with_twins() -> None:
    """Fields and sizes are the article's, in Korean and in English."""
    templates = parse_catalogue(load("models.toml"), load("prompts.toml")).templates
    sizes = {
        "product_hero": "1024x1024",
        "blog_hero": "1200x630",
        "social_post": "{dimensions}",
        "product": "1024x1024",
        "lifestyle": "1024x1024",
    }
    assert set(templates) == set(sizes) | {f"{name}_en" for name in sizes}
    for name, size in sizes.items():
        korean, english = templates[name], templates[f"{name}_en"]
        assert (korean.language, english.language) == ("ko", "en")
        assert korean.size == english.size == size
        assert korean.use == english.use
        assert set(korean.defaults) == set(english.defaults)


def test_entries_become_specs_with_their_names() -> None:
    """The key of a table is the alias or the name of what it holds."""
    catalogue = parse_catalogue(model_tables(), prompt_tables())
    assert catalogue.models["seedream-5"].alias == "seedream-5"
    assert isinstance(catalogue.models["nano-banana-2"].sizes, AspectSizes)
    assert catalogue.templates["banner"].name == "banner"
    assert catalogue.columns["color"] == ("color", "색상")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"price_usdd": 1}, "models.toml: [models.seedream-5]: price_usdd is not a setting; did you mean price_usd?"),
        ({"zzz": 1}, "models.toml: [models.seedream-5]: zzz is not a setting; remove it"),
        ({"provider": 5}, "models.toml: [models.seedream-5]: provider = 5: input should be a valid string"),
        ({"limits": {"in_flight": 0}}, "limits.in_flight = 0: input should be greater than 0"),
        ({"uses": ["heros"]}, "uses.0 = 'heros': input should be 'hero', 'bulk', 'edit' or 'prototype'"),
        ({"sizes": {"mode": "exact"}}, "models.toml: [models.seedream-5]: sizes.max_pixels is missing; add it"),
        (
            {"fallback": ["seedream"]},
            "fallback = 'seedream' is not another model of this file – did you",
        ),
        ({"fallback": ["touch-up", "seedream-5"]}, "fallback = 'seedream-5' is not another model of this file"),
        ({"sizes": "any"}, "models.toml: [models.seedream-5]: sizes = 'any': input should be"),
        (
            {"sizes": {"mode": "round"}},
            "models.toml: [models.seedream-5]: sizes = {'mode': 'round'}: input tag 'round'",
        ),
        ({"price_usd": "-1"}, "price_usd = -1: a price is not negative"),
        ({"price_date": None}, "price_usd needs price_date and price_source"),
        ({"sizes": {"mode": "aspect_ratio", "aspect_ratios": [], "resolutions": {}}}, "sizes needs at least one"),
        (
            {"sizes": {"mode": "aspect_ratio", "aspect_ratios": ["16x9"], "resolutions": {"1k": 1024}}},
            "sizes.aspect_ratios: '16x9' cannot be read; write it like 16:9",
        ),
        ({"sizes": {"mode": "list", "sizes": []}}, "sizes.sizes is empty; list at least one"),
        ({"sizes": {"mode": "list", "sizes": ["big"]}}, "sizes.sizes: 'big' cannot be read; write it like 1024x1024"),
        ({"sizes": {"mode": "exact", "min_pixels": 2, "max_pixels": 1}}, "sizes.min_pixels = 2 is more than"),
    ],
)
def test_a_wrong_model_says_where_and_what_to_do(settings: dict[str, Any], says: str) -> None:
    """File, table, key and value stand in one line, without pydantic's words."""
    assert any(says in line for line in refusal(changed_model(**settings), prompt_tables()))


@pytest.mark.parametrize(
    "sizes", [{"mode": "list", "sizes": ["512x512"]}, {"mode": "exact", "max_pixels": 1_000_000}, {"mode": "any"}]
)
def test_every_kind_of_size_rule_can_be_written(sizes: dict[str, Any]) -> None:
    """The other rules than aspect ratios are accepted as well."""
    parsed = parse_catalogue(changed_model(sizes=sizes), prompt_tables())
    assert parsed.models["seedream-5"].sizes.mode == sizes["mode"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"prompt": "{subject.name}"}, "[templates.social_post]: template 'social_post': '{subject.name}' is not"),
        ({"prompt": "{"}, "template 'social_post': a single '{' at character 1"),
        ({"size": "big"}, "size 'big' is not WIDTHxHEIGHT"),
        ({"size": "{w}x{h}"}, "size '{w}x{h}' is neither WIDTHxHEIGHT nor one {field}"),
        ({"size": "4x4"}, "size '4x4' is out of range"),
        ({"defaults": {"vibes": "x"}}, "defaults.vibes: the prompt has no {vibes} – did you mean 'vibe'?"),
        ({"columns": {"zzz": ["x"]}}, "columns.zzz: the prompt has no {zzz}"),
        ({"use": "fun"}, "use = 'fun': input should be"),
    ],
)
def test_a_wrong_template_says_where_and_what_to_do(settings: dict[str, Any], says: str) -> None:
    """Syntax, size and stray settings of a template are found when the file is read."""
    assert any(says in line for line in refusal(model_tables(), changed_template(**settings)))


@pytest.mark.parametrize("alias", ["cms", "control", "deliver"])
def test_a_model_has_a_name_of_its_own(alias: str) -> None:
    """Its queue and its limit are called after it."""
    tables = model_tables()
    tables["models"][alias] = tables["models"]["seedream-5"]
    says = f"models.toml: [models.{alias}]: the name {alias!r} is taken by something else; choose another"
    assert says in refusal(tables, prompt_tables())


def test_everything_wrong_comes_together() -> None:
    """One line for each finding in both files."""
    models = model_tables() | {"defaultmodel": "x"}
    models["models"] = models["models"] | {"Upper Case": {}, "text": "not a table"}
    prompts: dict[str, Any] = {"columns": {"sku": "sku"}, "templates": {}}
    assert refusal(models, prompts) == [
        "models.toml: defaultmodel is not a setting – did you mean 'default_model'?; there are default_model, models",
        "models.toml: [models.Upper Case]: 'Upper Case' is not a name; use lower-case letters, digits and . _ -",
        "models.toml: [models.text] = 'not a table': this must be a table",
        "prompts.toml: there is no table [templates.NAME]; add one",
        "prompts.toml: [columns]: sku = 'sku': input should be a valid tuple",
    ]


def test_the_default_model_must_exist() -> None:
    """A default that is no model is found before the first row."""
    [line] = refusal(model_tables() | {"default_model": "seedream"}, prompt_tables())
    assert line == "models.toml: default_model = 'seedream' is not a model of this file – did you mean 'seedream-5'?"
