"""The words about the variables: of all of them, and of no other."""

from __future__ import annotations

from tasks.cli.variables import GROUPS, WORDS
from tasks.settings import SECRETS, VARIABLES


def test_every_variable_is_explained_once() -> None:
    """What tasks/settings.py reads is what init writes and --help may name."""
    named = [variable.name for group in GROUPS for variable in group.variables]
    assert sorted(named) == sorted(VARIABLES)
    assert [name for name, words in WORDS.items() if not words.endswith(".")] == []


def test_secrets_have_no_example() -> None:
    """Nobody copies a made-up key; a URL that may carry a password shows its form."""
    shown = {v.name for group in GROUPS for v in group.variables if v.example and "://" not in v.example}
    assert shown & SECRETS == set()
