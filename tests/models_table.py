"""The README's table of models, from the shipped catalogue: ``scripts/models-table`` renews it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.cli.models import abilities, limits, price
from tasks.core.catalogue import Catalogue
from tasks.settings import load_settings

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- models: renewed by scripts/models-table -->"
END = "<!-- /models -->"


def table(catalogue: Catalogue) -> str:
    """The table in Markdown, a line for each model, with an empty line on either side."""
    return "\n".join(["", *_lines(catalogue), "", ""])


def _lines(catalogue: Catalogue) -> Iterator[str]:
    yield "| model | for | provider, its name there | can do | list price (date, source) | limits | retires |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for alias, spec in catalogue.models.items():
        cells = (
            f"`{alias}`",
            ", ".join(spec.uses) or "–",
            f"{spec.provider}, `{spec.model}`",
            ", ".join(abilities(spec)) or "–",
            price(spec),
            limits(spec.limits),
            str(spec.retires or "–"),
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def shown(readme: str) -> str:
    """What stands between the marks. Raises ValueError where they are missing."""
    return readme[_place(readme)]


def renewed(readme: str, new: str) -> str:
    """The text with another table between the marks."""
    place = _place(readme)
    return readme[: place.start] + new + readme[place.stop :]


def _place(readme: str) -> slice:
    return slice(readme.index(BEGIN) + len(BEGIN) + 1, readme.index(END))


def shipped() -> Catalogue:
    """The catalogue as it is shipped, whatever the environment says."""
    return load_settings({}, README.parent / "tests").catalogue


if __name__ == "__main__":
    README.write_text(renewed(README.read_text("utf-8"), table(shipped())), "utf-8")
