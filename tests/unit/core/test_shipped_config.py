"""The shipped configuration, planned with: what a newcomer tries first must work."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.core.binding import template_fields
from tasks.core.catalogue import Catalogue
from tasks.core.catalogue_parse import parse_catalogue
from tasks.core.pictures import Size
from tasks.core.plan import PlannedImage, PlanOptions, Row, RowProblem
from tasks.core.planning import Planner
from tasks.sources import open_rows

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Models and templates as they are shipped."""
    models, prompts = ((CONFIG / name).read_text(encoding="utf-8") for name in ("models.toml", "prompts.toml"))
    return parse_catalogue(tomllib.loads(models), tomllib.loads(prompts))


def plan(planner: Planner, rows: Iterable[Row | RowProblem]) -> list[PlannedImage]:
    """The images of rows that are all good."""
    plans = [planner.plan_row(row) for row in rows]
    assert [str(problem) for each in plans for problem in each.problems] == []
    return [image for each in plans for image in each.images]


@pytest.mark.parametrize("template", ["product_hero", "product", "lifestyle", "product_hero_en", "product_en"])
def test_the_articles_csv_works_unchanged(catalogue: Catalogue, template: str) -> None:
    """`sku,name,color` is enough, and both values stand in the prompt."""
    row = Row(2, {"sku": "SKU-001", "name": "무선 이어폰", "color": "미드나잇 블랙"})
    [image] = plan(Planner(catalogue, PlanOptions(template), ("sku", "name", "color")), [row])
    assert (image.key, image.model, image.size) == ("SKU-001", "nano-banana-2", Size(1024, 1024))
    assert "무선 이어폰" in image.prompt
    assert "미드나잇 블랙" in image.prompt
    assert image.parameters == {"aspect_ratio": "1:1", "resolution": "1k"}


def test_every_template_works_with_every_model(catalogue: Catalogue) -> None:
    """A file whose columns are called like the fields is planned, in the size of the article."""
    for template in catalogue.templates.values():
        columns = ("sku", *(field for field in template_fields(template) if field != "dimensions"))
        row = Row(2, dict.fromkeys(columns, "값"))
        for model in catalogue.models:
            [image] = plan(Planner(catalogue, PlanOptions(template.name, model=model), columns), [row])
            assert str(image.size) == (template.size if template.size[0] != "{" else "1080x1080")
            # Some draw 1K and no more: 1080 pixels are made of 1024 then, and the plan says so.
            assert image.native_size.width * 1.06 >= image.size.width
            assert image.native_size.height * 1.06 >= image.size.height


def test_the_sample_catalogue_is_good(catalogue: Catalogue) -> None:
    """24 rows, in Korean and in English, each with the template of its language."""
    source = open_rows(CONFIG / "samples" / "catalogue.csv")
    images = plan(Planner(catalogue, PlanOptions("product_hero"), source.columns), source)
    assert len(images) == 24
    for image in images:
        assert (image.template == "product_hero") is image.key.startswith("KR-")
    assert len({image.prompt for image in images}) == 24
