"""Which model an image goes on with when its own gives it up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.core.catalogue import ModelSpec
from tasks.core.errors import ErrorClass
from tasks.core.fingerprint import fingerprint
from tasks.core.pictures import Size
from tasks.core.retry import Decision
from tasks.core.sizes import native
from tasks.core.states import State

_NOT_THE_IMAGE = frozenset({ErrorClass.OVERLOADED, ErrorClass.NO_IMAGE, ErrorClass.BAD_BYTES, ErrorClass.NOT_SENT})
"""Another model need not fail so. A refused or wrong prompt would; an unknown outcome may be a paid picture."""


@dataclass(frozen=True, slots=True)
class Order:
    """What of an image stays the same, whichever model draws it.

    ``key`` is ``None`` where rows share their pictures; ``native_size`` is what its model until now was asked for;
    ``references`` are the SHA-256 digests of the pictures it starts from; ``fresh`` as in :func:`fingerprint`.
    """

    key: str | None
    variant: int
    prompt: str
    size: Size
    native_size: Size
    references: tuple[str, ...] = ()
    fresh: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What of an image changes with its model, which is named by its alias."""

    model: str
    native_size: Size
    parameters: Mapping[str, str]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Onward:
    """How it goes on when a model has given an image up.

    ``drawn``: the image goes on like that; ``None``: it ends or waits, as was decided. ``others``: if the model is held
    from now on, its other images go on with their fallbacks too.
    """

    drawn: Drawn | None = None
    others: bool = False


STAYS = Onward()
"""There is no other model."""


def given_up(error_class: ErrorClass, decision: Decision) -> bool:
    """Whether it is the model that gives up: it is held, or the image has used up its tries for nothing of its own.

    What holds a model counts whatever its class: ten calls in a row that fail alike are not about a prompt.
    """
    if decision.end not in {State.FAILED, State.HELD}:
        return False
    return decision.holds_others or error_class in _NOT_THE_IMAGE


def after(models: Mapping[str, ModelSpec], asked: str, current: str) -> tuple[str, ...]:
    """What is left of the asked model's chain behind the current one; models unknown here are left out."""
    chain = (asked, *(models[asked].fallback if asked in models else ()))
    rest = chain[chain.index(current) + 1 :] if current in chain else ()
    return tuple(alias for alias in rest if alias in models)


def leads_on(models: Mapping[str, ModelSpec], alias: str) -> bool:
    """Whether any image of this model could go on with another one."""
    return any(after(models, asked, alias) for asked in models)


def with_fallbacks(models: Mapping[str, ModelSpec], aliases: Iterable[str]) -> tuple[str, ...]:
    """The models together with all that their images may come to, each once."""
    return tuple(dict.fromkeys(each for alias in aliases for each in (alias, *models[alias].fallback)))


def drawn_by(order: Order, model: ModelSpec) -> Drawn | None:
    """The image as this model would be asked for it.

    ``None`` when it cannot be: the prompt is too long, there are too many pictures to start from, or it would have
    to be enlarged, which it was not so far.
    """
    drawn = native(model.sizes, order.size)
    smaller = order.native_size.covers(order.size) and not drawn.size.covers(order.size)
    if smaller or len(order.prompt) > model.max_prompt_chars or len(order.references) > model.references:
        return None
    parameters = {**model.parameters, **drawn.parameters}
    name = fingerprint(
        key=order.key,
        provider=model.provider,
        model=model.model,
        prompt=order.prompt,
        size=order.size,
        parameters=parameters,
        references=order.references,
        variant=order.variant,
        fresh=order.fresh,
    )
    return Drawn(model.alias, drawn.size, parameters, name)
