"""The figures as Markdown tables: a line for each figure, a column for each contestant, ratios beside the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.bench.growth import growth
from tests.bench.suite import Figure, Row

US = "imagechord"


def ratio(theirs: Figure, ours: Figure) -> float | None:
    """How many times ours theirs is; ``None`` where there is nothing to compare."""
    if isinstance(theirs, bool) or not isinstance(theirs, int | float) or not isinstance(ours, int | float) or not ours:
        return None
    return round(theirs / ours, 2)


def tables(rows: Mapping[str, Row], measured: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each row's whole table with its goal and its growth, line by line. ``measured`` as in the JSON."""
    for name, found in _grouped(measured, "row").items():
        row = rows[name]
        for (size, case), group in _cases(found).items():
            yield f"\n**{_title(row, size, case)}**\n"
            yield from _table(row, group, _keys(group))
        yield from _growth_lines(row, found)
        if row.goal:
            yield f"\nGoal: {row.goal}"


def headlines(rows: Mapping[str, Row], measured: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One table of what the rows are about, for the README."""
    who = list(dict.fromkeys(each["who"] for each in measured))
    lines = []
    for name, found in _grouped(measured, "row").items():
        row, largest = rows[name], max(each["size"] for each in found)
        for (size, case), group in _cases(found).items():
            if not row.grows or size == largest:
                title = _title(row, size, case)
                lines += [_headline(title, row, group, keys, who) for keys in row.headline]
    yield from _markdown(["", *who], lines)


def _headline(
    title: str, row: Row, group: Sequence[Mapping[str, Any]], keys: Sequence[str], who: Sequence[str]
) -> list[str]:
    measured = {each["who"] for each in group}
    columns = zip(*(_cells(row, group, key, who) for key in keys), strict=True)
    cells = [" / ".join(column) if name in measured else "–" for name, column in zip(who, columns, strict=True)]
    return [f"{title}: {' / '.join(map(_words, keys))}", *cells]


def _title(row: Row, size: int, case: str) -> str:
    return row.title.format(size=f"{size:,}") + (f", {case}" if case else "")


def _grouped(measured: Iterable[Mapping[str, Any]], *keys: str) -> dict[Any, list[Mapping[str, Any]]]:
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for each in measured:
        group = each[keys[0]] if len(keys) == 1 else tuple(each[key] for key in keys)
        groups.setdefault(group, []).append(each)
    return groups


def _cases(measured: Iterable[Mapping[str, Any]]) -> dict[Any, list[Mapping[str, Any]]]:
    return _grouped(measured, "size", "case")


def _keys(group: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for each in group for key in each["figures"]))


def _table(row: Row, group: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Iterator[str]:
    who = [each["who"] for each in group]
    yield from _markdown(["", *who], [[_words(key), *_cells(row, group, key, who)] for key in keys])


def _cells(row: Row, group: Iterable[Mapping[str, Any]], key: str, who: Sequence[str]) -> list[str]:
    figures = {each["who"]: each["figures"].get(key) for each in group}
    cells = []
    for name in who:
        times = ratio(figures.get(name), figures.get(US)) if key in row.compared and name != US else None
        cells.append(_shown(figures.get(name)) + ("" if times is None else f" ({times:g}×)"))
    return cells


def _growth_lines(row: Row, found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for (who, case), group in _grouped(found, "who", "case").items():
        for key in row.grows:
            known = {each["size"]: each["figures"].get(key) for each in group}
            grown = growth({size: value for size, value in known.items() if isinstance(value, int | float)})
            if grown is not None:
                yield (
                    f"\nGrowth of {_words(key)} ({', '.join(filter(None, (who, case)))}): {grown.kind}, "
                    f"{_shown(grown.fixed)} + {_shown(grown.per_thousand)} per 1,000 images"
                )


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    widths = [max(width, 3) for width in widths]
    yield _line(head, widths)
    yield "|" + "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"
                         for column, width in enumerate(widths)) + "|"  # fmt: skip
    for line in lines:
        yield _line(line, widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return "| " + " | ".join(padded) + " |"


def _words(key: str) -> str:
    return key.replace("_", " ")


def _shown(figure: Figure) -> str:
    if figure is None:
        return "–"
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, float):
        return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"
    return f"{figure:,}" if isinstance(figure, int) else figure
