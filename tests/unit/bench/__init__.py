"""The benchmark's own arithmetic, and its servers."""
