"""The rows of the benchmark, by name."""

from __future__ import annotations

from tests.bench.rows import batches, in_flight, limits, optional, starting, throughput
from tests.bench.suite import Row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *starting.ROWS,
        *optional.ROWS,
        *throughput.ROWS,
        *limits.ROWS,
        *in_flight.ROWS,
        *batches.ROWS,
    )
}
