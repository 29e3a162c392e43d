"""Measure this project, beside a plain thread-pool script and a stock Celery canvas, with real processes.

Prints Markdown tables and writes JSON. A row is chosen by its name, one of its sizes as NAME:SIZE.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.contestants import CONTESTANTS
from tests.bench.machine import is_busy, load, machine, sentence
from tests.bench.rows import ROWS
from tests.bench.suite import Order, Row
from tests.bench.table import US, headlines, ratio, tables

NAMES = [kind.name for kind in CONTESTANTS]


def chosen(words: list[str], *, quick: bool) -> Iterator[tuple[Row, int]]:
    """What ``submit`` or ``submit:1000`` asks for; everything when nothing is asked for. Raises SystemExit."""
    for word in words or ROWS:
        name, _, size = word.partition(":")
        if name not in ROWS or not (size.isdecimal() or not size):
            raise SystemExit(f"{word!r} is not a row; there are {', '.join(ROWS)}, each with :SIZE if you like")
        row = ROWS[name]
        for each in (int(size),) if size else row.quick_sizes if quick else row.sizes:
            yield row, each


def measure(row: Row, order: Order) -> Iterator[dict[str, Any]]:
    """Each contestant's figures as the JSON has them, as soon as they are there."""
    ours: dict[str, Any] = {}
    load_before, begin = load(), time.monotonic()
    for measured in row.measure(order):
        if measured.who == US:
            ours[measured.case] = measured.figures
        beside = ours.get(measured.case, {}) if measured.who != US else {}
        ratios = {key: ratio(measured.figures.get(key), beside.get(key)) for key in row.compared}
        yield {
            "row": row.name,
            "size": order.size,
            "who": measured.who,
            "case": measured.case,
            "figures": measured.figures,
            "ratios": {key: value for key, value in ratios.items() if value is not None},
            "load_before": load_before,
            "took_seconds": round(time.monotonic() - begin, 1),
        }
        load_before, begin = load(), time.monotonic()


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for; what is there is kept when it is interrupted."""
    found: dict[str, Any] = {"machine": machine(), "began_at": datetime.now(UTC).isoformat(), "quick": arguments.quick}
    found["measured"] = []
    if is_busy():
        print(f"the machine is busy (load {load()}): absolute figures will be too bad", file=sys.stderr)
    try:
        for row, size in list(chosen(arguments.rows, quick=arguments.quick)):
            order = Order(size, arguments.quick, frozenset(arguments.who or NAMES))
            for each in measure(row, order):
                found["measured"].append(each)
                label = ", ".join(filter(None, (f"{row.name}:{size}", each["who"], each["case"])))
                figures = "  ".join(f"{key}={value}" for key, value in each["figures"].items())
                print(f"{label} ({each['took_seconds']} s): {figures}", file=sys.stderr, flush=True)
    finally:
        arguments.json.write_text(json.dumps(found, indent=2))
    return found


def show(found: dict[str, Any], *, readme: bool) -> None:
    """Print the tables."""
    print(sentence(found["machine"]) + "\n")
    for line in (headlines if readme else tables)(ROWS, found["measured"]):
        print(line)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    minutes = sum(row.minutes for row in ROWS.values())
    lines = [f"  {row.name:12} {row.minutes:4g} min  {row.title.format(size='N')}" for row in ROWS.values()]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog=f"rows (all: about {minutes:.0f} minutes):\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW[:SIZE]", help="default: all, in all their sizes")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast")
    parser.add_argument("--who", action="append", choices=NAMES, help="only this contestant; may be repeated")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go (bench.json)")
    parser.add_argument("--readme", action="store_true", help="print one table of the headline figures instead")
    parser.add_argument("--show", type=Path, metavar="JSON", help="measure nothing, print the tables of an earlier run")
    return parser.parse_args(words)


def main() -> None:
    """Measure, or show what was measured."""
    arguments = parse()
    found = json.loads(arguments.show.read_text()) if arguments.show else run(arguments)
    show(found, readme=arguments.readme)


if __name__ == "__main__":
    main()
