"""Where rows come from: CSV, TSV, JSONL, xlsx, or any Python iterable of mappings."""

from tasks.sources.opening import open_rows
from tasks.sources.rows import RowSource

__all__ = ["RowSource", "open_rows"]
