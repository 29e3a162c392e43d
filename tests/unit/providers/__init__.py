"""Unit tests of tasks.providers."""
