"""Run a batch under fire and say whether every gate holds: ``./scripts/chaos --images 2000 --kills 20 --seed 1``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.chaos.run import Plan, Result, run
from tests.stand_ins.postgres import postgres


def main() -> int:
    """0 when every gate holds, 1 when one does not."""
    chosen = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    with _database(chosen.database) as url:
        plan = Plan(chosen.seed, chosen.images, chosen.kills, chosen.workers, url, budget_share=chosen.budget_share)
        _say(f"seed {plan.seed}: {plan.images} images, {plan.workers} workers, {plan.kills} kills; the schedule:")
        for event in plan.events:
            _say(f"  {event}")
        _say("what happens:")
        result = run(plan, folder, lambda words: _say(f"  {words}"))
    print(json.dumps(figures(result)) if chosen.json else _report(result))
    if not result.findings and not chosen.keep:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    for finding in result.findings:
        _say(f"FAILED {finding}")
    _say(f"again: ./scripts/chaos --images {plan.images} --kills {plan.kills} --seed {plan.seed}; logs: {folder}")
    return 1 if result.findings else 0


def figures(result: Result) -> dict[str, Any]:
    """What a run has come to, in numbers."""
    books = result.books
    return {
        "seed": result.plan.seed,
        "images": result.plan.images,
        "seconds": round(result.seconds, 1),
        "kills": result.plan.kills,
        "events": len(result.plan.events) - books.missed_events,
        "copied_messages": result.copies,
        "workers_that_ended_by_themselves": result.own_deaths,
        "states": dict(Counter(str(image.state) for image in books.images)),
        "fingerprints": len({image.fingerprint for image in books.images}),
        "charges": len(books.charges),
        "unknowns": sum(image.unknowns for image in books.images),
        "unclear_calls": books.unclear_calls,
        "spent_usd_micros": books.spent_usd_micros,
        "rounds": books.round,
        "looks": len(books.samples),
        "failed_gates": [str(finding) for finding in result.findings],
    }


def _report(result: Result) -> str:
    lines = [f"{name:<34}{value}" for name, value in figures(result).items() if name != "failed_gates"]
    lines.append("every gate holds" if not result.findings else f"{len(result.findings)} gates do not hold")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/chaos", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs; all the rest is in proportion")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--budget-share", type=float, help="there is money for this part of the pictures (0.6)")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--keep", action="store_true", help="keep ledger and logs of a run that holds, too")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout; the course goes to stderr")
    return parser.parse_args()


def _database(name: str) -> Any:
    return _postgres_url() if name == "postgres" else nullcontext(None)


@contextmanager
def _postgres_url() -> Iterator[str]:
    with postgres() as server:
        yield server.create_database()


def _say(*words: str) -> None:
    print(*words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
