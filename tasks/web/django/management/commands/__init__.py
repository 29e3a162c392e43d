"""One command: ours."""
