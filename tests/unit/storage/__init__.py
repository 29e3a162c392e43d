"""Unit tests of tasks.storage."""
