"""Unit tests of tasks.delivery."""
