"""A small catalogue to plan with, built the way the real one is: from tables as TOML gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.core.catalogue import Catalogue
from tasks.core.catalogue_parse import parse_catalogue
from tasks.core.plan import PlannedImage, PlanOptions, Row, RowProblem
from tasks.core.planning import DEFAULT_KEY_PATTERN, Planner
from tasks.core.references import Find, find_none

ASPECTS = {"mode": "aspect_ratio", "aspect_ratios": ["1:1", "16:9", "9:16"], "resolutions": {"1k": 1024, "2k": 2048}}


def model_tables() -> dict[str, Any]:
    """Three models: one cheap for bulk, one for heroes with a short prompt limit, one for edits without a price."""
    priced = {"price_date": "2026-05-01", "price_source": "a test"}
    return {
        "default_model": "nano-banana-2",
        "models": {
            "nano-banana-2": {
                "provider": "anycap",
                "model": "nano-banana-2",
                "uses": ["bulk", "prototype"],
                "price_usd": "0.005",
                "limits": {"per_minute": 60, "in_flight": 8},
                "typical_seconds": 4,
                "parameters": {"format": "png"},
                "sizes": ASPECTS,
                **priced,
            },
            "seedream-5": {
                "provider": "anycap",
                "model": "seedream-5",
                "uses": ["hero", "bulk"],
                "price_usd": "0.015",
                "max_prompt_chars": 60,
                **priced,
            },
            "touch-up": {"provider": "anycap", "model": "pro", "uses": ["edit"], "references": 2},
        },
    }


def prompt_tables() -> dict[str, Any]:
    """Templates for a fixed size, a size from the row, a shared picture, and a field called like an override."""
    return {
        "columns": {
            "sku": ["sku", "상품코드"],
            "product_name": ["product_name", "name", "상품명"],
            "color": ["color", "색상"],
        },
        "templates": {
            "product_hero": {"prompt": "{product_name} in {color}", "size": "1024x1024"},
            "social_post": {
                "prompt": "{subject}, {vibe}",
                "size": "{dimensions}",
                "defaults": {"vibe": "fresh", "dimensions": "1080x1080"},
            },
            "swatch": {"prompt": "a swatch of {color}", "size": "64x64", "share": True},
            "car": {"prompt": "a {model} on a road", "size": "1024x1024"},
            "banner": {"prompt": "{product_name} at {place}", "size": "1200x630", "columns": {"place": ["장소"]}},
        },
    }


def catalogue(**models: Mapping[str, Any]) -> Catalogue:
    """The catalogue of both tables; keyword arguments replace settings of ``nano-banana-2``."""
    tables = model_tables()
    tables["models"]["nano-banana-2"].update(models)
    return parse_catalogue(tables, prompt_tables())


def planner(
    columns: tuple[str, ...] = ("sku", "name", "color"),
    *,
    template: str = "product_hero",
    pattern: str = DEFAULT_KEY_PATTERN,
    find: Find = find_none,
    **options: Any,
) -> Planner:
    """A planner with the catalogue above; further arguments are PlanOptions'."""
    return Planner(catalogue(), PlanOptions(template=template, **options), columns, pattern, find)


def row(line: int = 2, **values: str) -> Row:
    """A row that is good for ``product_hero``, with the given values put in."""
    return Row(line, {"sku": f"A-{line}", "name": "Lamp", "color": "red"} | values)


def images(plan_of: Planner, *rows: Row) -> list[PlannedImage]:
    """Plan rows that are all good."""
    plans = [plan_of.plan_row(each) for each in rows]
    assert [str(problem) for plan in plans for problem in plan.problems] == []
    return [image for plan in plans for image in plan.images]


def problems(plan_of: Planner, *rows: Row) -> list[RowProblem]:
    """Plan rows and return what is wrong with the last one, which must have no image."""
    *_, last = [plan_of.plan_row(each) for each in rows]
    assert last.problems
    assert last.images == ()
    return list(last.problems)
