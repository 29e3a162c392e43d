"""A model that gives up hands its images on to the next one of its chain, through the whole pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tasks import submission
from tasks.core.errors import (
    Account,
    Ambiguous,
    NoRoom,
    NotSent,
    Overloaded,
    Refused,
    StagingFailed,
    StepError,
)
from tasks.core.fallbacks import Drawn
from tasks.core.holds import Reason
from tasks.core.pictures import Size
from tasks.core.request import Request
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.core.summary import Fallback
from tasks.ledger import falling_back, holding, leases, reading, schema
from tasks.ledger.rows import Claim
from tasks.services import Services
from tasks.settings import load_settings
from tasks.steps.falling_back import Fallbacks, onward
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, PROMPTS, Stack, _model, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.slack import SlackStandIn

CENTS_3 = 30_000
HELD = Decision(end=State.HELD, holds_others=True)
FAILED = Decision(end=State.FAILED)


def test_an_empty_account_sends_the_model_s_images_on(make_stack: MakeStack, api: AnycapApi) -> None:
    """After the first 402 all images of the model are made by its fallback, in one round, and people are told."""
    api.faults_of = {"frail-1": Fault.NO_CREDIT}
    names = [f"cup-{n}" for n in range(40)]
    with SlackStandIn() as slack:
        stack = make_stack(NERVOUS, **slack.environment)
        stack.start_worker()
        batch_id = stack.run(rows(names), model="frail")
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        counts = stack.counts(batch_id)
        assert counts.fallbacks == (Fallback("frail", "other", 40, 40),)
        assert (counts.round, counts.spent_usd_micros) == (1, 40 * CENTS_3)
        asked = sum(call.model == "frail-1" for call in api.calls)
        assert asked <= 10, "no more than were in flight, or on their way, when the first answer came"
        (hold,) = holding.holds(stack.services.ledger, batch_id)
        assert (hold.model, hold.reason, hold.falls_back) == ("frail", Reason.ACCOUNT, True)
        end = slack.messages[-1]
        assert end["text"].startswith("✅")
        assert "40 by `other` instead of `frail`" in str(end)


def test_an_image_that_is_tried_out_goes_on_alone(make_stack: MakeStack, api: AnycapApi) -> None:
    """Three answers without a picture are enough; unknown, refused and wrong ones end, and the others stay."""
    faults = {
        prompt_of("empty"): lambda number: Fault.NO_OUTPUTS if number <= 3 else None,
        prompt_of("lost"): lambda _number: Fault.DROP_AFTER_CHARGE,
        prompt_of("bad"): lambda _number: Fault.CONTENT_REJECTED,
        prompt_of("wrong"): lambda _number: Fault.INVALID_PARAM,
    }
    api.fault_for = lambda prompt, number: faults[prompt](number) if prompt in faults else None
    stack = make_stack(NERVOUS)
    stack.start_worker()
    batch_id = stack.run(rows(["empty", "lost", "bad", "wrong", "fine"]), model="frail")
    ends = {key: (view.state, view.model) for key, view in stack.images(batch_id).items()}
    assert ends == {
        "empty": (State.PUBLISHED, "other"),
        "lost": (State.FAILED, "frail"),
        "bad": (State.REFUSED, "frail"),
        "wrong": (State.FAILED, "frail"),
        "fine": (State.PUBLISHED, "frail"),
    }
    calls = [(call.number, call.model) for call in reading.attempts(stack.services.ledger, batch_id, "empty")]
    assert calls == [(1, "frail"), (2, "frail"), (3, "frail"), (1, "other")]
    (was,) = reading.revisions(stack.services.ledger, batch_id, "empty")
    assert (was.model, was.error_class, was.fell_back_to) == ("frail", "no_image", "other")


def test_a_model_that_is_gone_sends_its_images_on(make_stack: MakeStack, api: AnycapApi) -> None:
    """One wrong request may be its prompt's fault; so many in a row are the model's, and the rest goes on elsewhere."""
    api.faults_of = {"frail-1": Fault.UNKNOWN_MODEL}
    stack = make_stack(f"{NERVOUS}hold_after_failures = 4\n")
    stack.start_worker()
    batch_id = stack.run(rows([f"cup-{n}" for n in range(40)]), model="frail")
    counts = stack.counts(batch_id)
    assert 3 <= counts.failed < 3 + 8  # those that were settled at the same moment
    assert counts.published == 40 - counts.failed
    assert counts.fallbacks == (Fallback("frail", "other", counts.published, counts.published),)


def test_the_sweep_moves_what_the_holder_has_left(make_stack: MakeStack, api: AnycapApi) -> None:
    """Whoever held the model died before its images were moved: they go on all the same."""
    stack = make_stack(NERVOUS)
    batch_id = stack.submit(rows(["a", "b", "c"]), model="frail")
    with stack.services.ledger.write() as connection:
        holding.put_on_hold(connection, batch_id, "frail", Reason.FAILURES, "503", falls_back=True)
    stack.start_worker()
    stack.start(batch_id)
    stack.wait(batch_id)
    assert {view.model for view in stack.images(batch_id).values()} == {"other"}
    assert stack.counts(batch_id).fallbacks == (Fallback("frail", "other", 3, 3),)
    assert {call.model for call in api.calls} == {"other-1"}


def test_without_a_worker_for_the_fallback_the_images_wait(stack: Stack, api: AnycapApi) -> None:
    """They are held as they would be without one."""
    api.faults_of = {"frail-1": Fault.NO_CREDIT}
    stack.start_worker("one", "-Q", "imagechord.frail,imagechord.deliver,imagechord.control")
    batch_id = stack.run(rows(["a", "b", "c"]), model="frail")
    assert {(view.state, view.model) for view in stack.images(batch_id).values()} == {(State.HELD, "frail")}


CHAIN = "".join(
    _model(alias, more)
    for alias, more in {
        "first": 'fallback = ["short", "retired", "unserved", "unusable", "held", "good", "spare"]\n',
        "short": "max_prompt_chars = 10\n",
        "retired": "retires = 2026-10-29\n",
        "unserved": "",
        "unusable": "",
        "held": "",
        "good": 'parameters = { mood = "bright" }\n',
        "spare": "",
    }.items()
).replace('[models.unusable]\nprovider = "anycap"', '[models.unusable]\nprovider = "no.such.module:Provider"')
CHAIN = CHAIN.replace('provider = "anycap"', 'provider = "tests.integration.test_fallbacks:Healthy"')


class Healthy:
    """A provider that could be used."""

    def check(self) -> Any:
        """It says so."""
        from tasks.core.health import Health

        return Health("healthy", "ok", "")


Choose = Callable[..., Drawn | None]
Prepare = Callable[..., tuple[Services, str, int]]


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """Gives an image of the first model, with changes to what is known of it; no process runs."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "models.toml").write_text(CHAIN)
    (config / "prompts.toml").write_text(PROMPTS)
    services = Services(load_settings({"IMAGECHORD_CONFIG": str(config)}, tmp_path))
    with ExitStack() as opened:
        opened.callback(services.ledger.close)

        def make(fresh: bool = False, **changes: Any) -> tuple[Services, str, int]:
            ledger = services.ledger
            served = [alias for alias in services.settings.catalogue.models if alias != "unserved"]
            leases.register_worker(ledger, "here", [f"imagechord.{alias}" for alias in served])
            request = Request(rows(["cup"]), "tiny", model="first", fresh=fresh)
            batch_id = submission.submit(services, request).batch_id
            with ledger.write() as connection:
                holding.put_on_hold(connection, batch_id, "held", Reason.ACCOUNT, "402")
                connection.execute(
                    schema.image.update().where(schema.image.c.batch_id == batch_id).values(**{"unknowns": 0} | changes)
                )
                image_id = connection.scalar(schema.image.select().where(schema.image.c.batch_id == batch_id))
            return services, batch_id, int(image_id or 0)

        yield make


@pytest.fixture
def choose(prepare: Prepare) -> Choose:
    """Choose for such an image."""

    def make(**changes: Any) -> Drawn | None:
        services, batch_id, image_id = prepare(**changes)
        return Fallbacks(services, batch_id).choose(falling_back.stuck(services.ledger, image_id))

    return make


def test_a_fallback_that_cannot_be_used_is_passed_over(choose: Choose) -> None:
    """Too short a prompt, retired, without worker or provider, held itself: the next one takes it."""
    drawn = choose()
    assert drawn is not None
    assert (drawn.model, drawn.parameters) == ("good", {"mood": "bright", "size": "64x64"})


def test_the_chain_of_the_asked_model_is_gone_on_with(choose: Choose) -> None:
    """From the fallback that has it now; at its end there is nothing."""
    drawn = choose(model="good", asked_model="first")
    assert drawn is not None
    assert drawn.model == "spare"
    assert choose(model="spare", asked_model="first") is None


def test_what_may_be_paid_for_is_not_bought_elsewhere(choose: Choose) -> None:
    """One call whose outcome nobody knows is enough."""
    assert choose(unknowns=1) is None


@pytest.mark.parametrize(
    ("error", "unknowns", "decision", "expected"),
    [
        (Account("402"), 0, HELD, ("good", True)),
        (Overloaded("503"), 0, FAILED, ("good", False)),
        (Overloaded("503"), 1, FAILED, (None, False)),
        (Account("403 for the picture of a job", cost_usd_micros=CENTS_3), 0, HELD, (None, True)),
        (Ambiguous("no answer"), 0, HELD, (None, True)),
        (Refused("policy"), 0, Decision(end=State.REFUSED), (None, False)),
        (NoRoom(NotSent("the disk is full")), 0, HELD, (None, False)),
        (StagingFailed(Overloaded("503"), CENTS_3), 0, HELD, (None, False)),
        (Overloaded("503"), 0, Decision(wait_seconds=2.0), (None, False)),
    ],
)
def test_who_goes_on(
    prepare: Prepare, error: StepError, unknowns: int, decision: Decision, expected: tuple[str | None, bool]
) -> None:
    """The image unless it may be paid for; the model's others when it is held; nobody for trouble of our own."""
    services, batch_id, image_id = prepare()
    with services.ledger.read() as connection:
        frozen = connection.scalar(schema.batch.select().with_only_columns(schema.batch.c.catalogue))
    spec = frozen["models"]["first"]
    size = Size(64, 64)
    claim = Claim(image_id, batch_id, 1, 1, 1, unknowns, "cup", "a cup", size, size, {}, "f" * 64, CENTS_3, spec)
    found = onward(services, claim, error, decision)
    assert (found.drawn and found.drawn.model, found.others) == expected


def test_who_buys_everything_anew_does_so_with_a_fallback(choose: Choose) -> None:
    """A picture that an earlier batch has bought of the fallback is not taken for it."""
    drawn, anew = choose(), choose(fresh=True)
    assert drawn is not None
    assert anew is not None
    assert drawn.fingerprint != anew.fingerprint
