"""Contract tests: one suite over every implementation of an interface."""
