from __future__ import annotations

import pytest

from tasks.core.errors import ErrorClass
from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.report import wording
from tasks.report.manifest import SKIPPED, SKIPPED_CLASS
from tasks.report.wording import Language


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_state_and_class_has_a_label_and_every_class_a_mend(language: Language) -> None:
    """A new state, error class or reason of holds cannot reach a reader as a bare identifier."""
    assert set(wording.state_labels(language)) == {*(state.value for state in State), SKIPPED}
    reasons = {each.value for words in (ErrorClass, Reason) for each in words}
    assert set(wording.class_labels(language)) == {*reasons, SKIPPED_CLASS}
    assert set(wording.mends(language)) == set(wording.class_labels(language))


@pytest.mark.parametrize(
    ("seconds", "korean", "english"),
    [
        (0.2, "0초", "0 s"),
        (59.6, "1분", "1 min"),
        (754, "12분 34초", "12 min 34 s"),
        (3725, "1시간 2분", "1 h 2 min"),
        (-1, "0초", "0 s"),
    ],
)
def test_a_duration_reads_as_people_say_it(seconds: float, korean: str, english: str) -> None:
    """Two units at most, the largest first."""
    assert (wording.duration(seconds, "ko"), wording.duration(seconds, "en")) == (korean, english)
