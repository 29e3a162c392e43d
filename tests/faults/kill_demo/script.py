"""The plain script, of the article's shape: four threads, three tries with growing waits, a message at both ends."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

from tests.faults.kill_demo import steps


def one(row: dict[str, str]) -> bool:
    """Carry one row through; ``False`` when the tries are used up."""
    for attempt in range(steps.TRIES):
        try:
            steps.patch_cms(row["sku"], steps.upload(steps.generate(row)))
        except (RuntimeError, OSError):
            time.sleep(2**attempt + random.random())
        else:
            return True
    return False


if __name__ == "__main__":
    todo = steps.rows()
    steps.tell_slack(f"🚀 {len(todo)}")
    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(one, todo))
    steps.tell_slack(f"✅ {done}/{len(todo)}")
