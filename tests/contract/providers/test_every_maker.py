"""What every maker that answers at once promises, whatever goes wrong at its side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.errors import StepError
from tasks.pictures.inspect import inspect
from tests.contract.providers import example
from tests.contract.providers.conftest import MakeRequest
from tests.contract.providers.makers import MAKERS, Maker
from tests.stand_ins.maker_api import EXPECTED, MakerFault

SECRETS = ("sk-of-openai", "ark-key", "AIza-very-secret", "of-the-example")


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Each in turn."""
    with MAKERS[request.param]() as made:
        yield made


@pytest.mark.parametrize("fault", MakerFault, ids=lambda fault: fault.name)
def test_every_fault_has_its_class_and_is_paid_once(maker: Maker, make_request: MakeRequest, fault: MakerFault) -> None:
    """Whatever goes wrong is what the design calls it, in time, and the maker has seen one paid request."""
    maker.api.fault, expected, began = fault, EXPECTED[fault], time.monotonic()
    asked = make_request(deadline_seconds=1.0 if fault is MakerFault.SLOW_BODY else 20.0)
    raised: StepError | None = None
    try:
        inspect(maker.generate(asked).data)
    except StepError as error:
        raised = error
    assert (type(raised) if raised else None) is expected
    assert len(maker.api.paid) == 1
    assert time.monotonic() - began < asked.deadline_seconds + 10
    assert not [secret for secret in SECRETS if secret in str(raised)]
    asked_for = 7.0 if fault is MakerFault.RATE_LIMITED_WITH_RETRY_AFTER else None
    assert getattr(raised, "retry_after_seconds", None) == asked_for


def test_a_provider_takes_less_than_a_hundred_lines() -> None:
    """The one to begin with, its maker's stand-in included."""
    assert len(Path(example.__file__).read_text("utf-8").splitlines()) < 100
