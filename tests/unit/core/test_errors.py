from __future__ import annotations

import pytest

from tasks.core.errors import ErrorClass, InputError, StagingFailed, StepError


def step_errors() -> dict[ErrorClass, type[StepError]]:
    """The exception of each class; one that takes its cause's class over is none of these."""
    return {kind.error_class: kind for kind in StepError.__subclasses__() if "error_class" in vars(kind)}


def test_every_error_class_has_its_exception() -> None:
    """What the ledger stores and what the code raises correspond one to one."""
    assert set(step_errors()) == set(ErrorClass)
    assert set(StepError.__subclasses__()) - set(step_errors().values()) == {StagingFailed}


@pytest.mark.parametrize("kind", step_errors().values())
def test_step_errors_carry_what_the_other_side_said(kind: type[StepError]) -> None:
    """Wait, cost and trace travel with the error; without them they are unknown."""
    told = kind("busy", retry_after_seconds=2.5, cost_usd_micros=5_000, trace_id="trc_1")
    assert (str(told), told.retry_after_seconds, told.cost_usd_micros, told.trace_id) == ("busy", 2.5, 5_000, "trc_1")
    untold = kind("busy")
    assert (untold.retry_after_seconds, untold.cost_usd_micros, untold.trace_id) == (None, None, None)


def test_input_errors_hold_one_line_for_each_problem() -> None:
    """The problems are kept beside the message."""
    assert InputError("2 rows are bad", ("line 2: x", "line 3: y")).problems == ("line 2: x", "line 3: y")
    assert InputError("no file").problems == ()
