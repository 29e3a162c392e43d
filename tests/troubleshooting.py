"""The page about trouble, from the error classes and the table of retries: ``scripts/troubleshooting`` renews it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from tasks.cli.manual import EXIT_CODES
from tasks.core import errors
from tasks.core.dispatch import StepName
from tasks.core.errors import ErrorClass, ImagechordError, StepError
from tasks.core.going_on import command
from tasks.core.holds import MEANS, Reason
from tasks.core.preferences import Preferences
from tasks.core.retry import BreakerRules, Decision, Failure, RetryRules, after_delivery, after_generate
from tasks.core.states import State
from tasks.core.summary import FailureGroup

PAGE = Path(__file__).parents[1] / ".github" / "TROUBLESHOOTING.md"

Decide = Callable[[Failure, RetryRules], Decision]

_MANY = 50
"""A class that is tried again so often is tried again for ever."""

_BUYING_ALONE = {ErrorClass.NO_IMAGE, ErrorClass.REFUSED}
_DELIVERING_ALONE = {ErrorClass.POISON}

_STEPS: tuple[tuple[Decide, StepName], ...] = ((after_generate, StepName.GENERATE), (after_delivery, StepName.PATCH))

_OPENING = """\
# When something goes wrong

`imagechord status` names what failed or waits, for which reason, and the command that goes on with it; `imagechord show
SKU` tells one picture's calls, and what each has cost; `imagechord doctor` asks every component. The reason in brackets
is one of the words below. With `--json` all of it is data.

This page is made from the program's own error classes and its table of retries: `./scripts/troubleshooting` renews it.
Times and counts are those of the shipped `config/imagechord.toml`.
"""
_BOUGHT = """\
A paid call is made at most {max_attempts} times for a picture (`max_attempts`); an upload or a CMS write, which costs
nothing, {max_delivery_attempts} times (`max_delivery_attempts`). What ends as `failed` or `refused` never stops the
other pictures. Between two tries lie the times below, or longer where the other side asks for it. When {calls} calls of
a model in a row have failed alike (`hold_after_failures`), its pictures are `held` instead of given up, or go on with
its `fallback`.
"""
_OUTAGE = """\
After {delivery_failures_in_a_row} different pictures in a row that fail (`delivery_failures_in_a_row`), nothing is sent
there but one picture at a time, which looks whether it is back. Paid pictures wait and use up no tries; when they have
waited for {deliver_for_hours:g} hours (`deliver_for_hours`) the batch is held, and `imagechord resume` goes on.
"""


def page() -> str:
    """The page in Markdown."""
    return "\n".join((_OPENING, *_classes(), *_reasons(), *_everybody(), *_codes(), *_others()))


def _classes() -> Iterator[str]:
    yield "## Errors of a picture\n"
    yield _BOUGHT.format(**asdict(RetryRules()), **asdict(BreakerRules()))
    for kind in kinds():
        yield from _kind(kind)


def kinds() -> list[type[StepError]]:
    """The class of errors behind each word of ErrorClass, in that order."""
    found = {kind.error_class: kind for kind in _all(StepError) if {"error_class", "trouble"} <= set(vars(kind))}
    return [found[word] for word in ErrorClass]


def _all(kind: type[ImagechordError]) -> Iterator[type[ImagechordError]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from _all(each)


def _kind(kind: type[StepError]) -> Iterator[str]:
    word = kind.error_class
    yield f"### `{word}`\n"
    yield f"{_said(kind)}\n"
    yield f"* **Spent:** {kind.trouble.spent}"
    if word not in _DELIVERING_ALONE:
        yield f"* **A paid call:** {_course(after_generate, word)}"
    if word not in _BUYING_ALONE:
        yield f"* **An upload or a CMS write:** {_course(after_delivery, word)}"
    yield f"* **You:** {kind.trouble.mend}{_then(word)}\n"


def _course(decide: Decide, word: ErrorClass) -> str:
    """What becomes of a picture that fails with this class every time, as the table of retries has it."""
    waits: list[float] = []
    for n in range(1, _MANY):
        decision = decide(Failure(word, attempts=n, unknowns=n, unsent=n), RetryRules())
        if decision.end is not None:
            others = ", and with it everything that would fail the same way" if decision.holds_others else ""
            return f"{_tried(waits)}{decision.end}`{others}."
        waits.append(decision.wait_seconds or 0.0)
    return f"tried again until it works, after {_times(waits)}; it uses up no tries."


def _tried(waits: list[float]) -> str:
    if not waits:
        return "at once `"
    often = "once" if len(waits) == 1 else f"{len(waits)} times"
    return f"tried again {often}, after {_times(waits)}; then `"


def _times(waits: list[float]) -> str:
    growing = [f"{wait:g}" for wait, after in zip(waits, [*waits[1:], 0.0], strict=True) if wait != after]
    if len(growing) > 4:
        growing = [*growing[:3], "…", growing[-1]]
    return f"{', '.join(growing)} s".replace(", …,", " …")


def _then(word: ErrorClass) -> str:
    told = dict.fromkeys(filter(None, (_goes_on(decide, step, word) for decide, step in _STEPS)))
    return f" Then: {' or '.join(f'`{each}`' for each in told)}." if told else ""


def _goes_on(decide: Decide, step: StepName, word: ErrorClass) -> str | None:
    """The command for a picture that has failed with this class for good, if it can meet it in that step."""
    if word in (_DELIVERING_ALONE if decide is after_generate else _BUYING_ALONE):
        return None
    end = decide(Failure(word, attempts=_MANY, unknowns=_MANY, unsent=_MANY), RetryRules()).end
    return None if end is None else _command(end, word, step)


def _command(state: State, word: str, step: str = "") -> str | None:
    told = command(FailureGroup(state, word, step, "", 1, ()), "BATCH")
    return None if told is None else told.replace(" BATCH", "")


def _reasons() -> Iterator[str]:
    yield "## Why pictures are `held`\n"
    yield "The batch rests, and exits with 3. A picture that is held for its own error has that error's word.\n"
    yield "| reason | what it means | how it goes on |"
    yield "| --- | --- | --- |"
    for reason in Reason:
        goes_on = _command(State.HELD, reason)
        if reason is Reason.CANCELLED:
            goes_on = _command(State.CANCELLED, reason)
        yield f"| `{reason}` | {MEANS[reason]} | {f'`{goes_on}`' if goes_on else 'by itself'} |"
    yield ""


def _everybody() -> Iterator[str]:
    yield "## When the CMS or the bucket takes nothing\n"
    yield _OUTAGE.format(**Preferences().model_dump())


def _codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | what it means |"
    yield "| ---: | --- |"
    yield from (f"| {code} | {words} |" for code, words in EXIT_CODES.items())
    yield ""


def _others() -> Iterator[str]:
    yield "## Other names in logs, in Flower and in `--json`\n"
    yield "| name | what it means |"
    yield "| --- | --- |"
    known = {*kinds(), StepError}
    yield from _rows(kind for kind in _all(ImagechordError) if kind not in known)
    yield ""


def _rows(found: Iterable[type[ImagechordError]]) -> Iterator[str]:
    for kind in dict.fromkeys(found):
        yield f"| `{kind.__name__}` | {_said(kind)} |"


def _said(kind: type) -> str:
    """The first paragraph of a class's docstring, with the code in it as Markdown writes it."""
    paragraph = (inspect.getdoc(kind) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
