"""Where rows come from: CSV, JSONL, xlsx, or any iterable of mappings."""
