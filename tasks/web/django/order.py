"""Records that somebody wants pictures of: what they will cost, and then the batch."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import redis
from django import forms
from django.db.models import Model, QuerySet

from tasks import health, submission
from tasks.core.catalogue import Catalogue, ModelSpec
from tasks.core.errors import ImagechordError
from tasks.core.money import format_usd
from tasks.core.plan_summary import PlanSummary
from tasks.core.request import Request
from tasks.refusals import refuse_rehearsal
from tasks.services import Services
from tasks.submission import Planned
from tasks.web.django.words import say, say_later

PLANNED_ROWS = 2000
"""A web request plans so many and reckons from them what all will cost; a worker plans them all."""

_SHOWN_PROBLEMS = 20


class GenerateForm(forms.Form):
    """What is asked for; the choices are the catalogue's."""

    template = forms.ChoiceField(label=say_later("template"))
    model = forms.ChoiceField(label=say_later("model"), required=False)
    budget_usd = forms.DecimalField(
        label=say_later("budget_usd"), help_text=say_later("budget_help"), required=False, min_value=0
    )
    name = forms.CharField(label=say_later("batch_name"), required=False, max_length=200)
    rehearse_delivery = forms.BooleanField(
        label=say_later("rehearse"), help_text=say_later("rehearse_help"), required=False
    )

    def __init__(self, catalogue: Catalogue, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["template"].choices = [(name, name) for name in catalogue.templates]
        models = ((alias, _priced(spec)) for alias, spec in catalogue.models.items())
        self.fields["model"].choices = [("", say("default_model")), *models]


class Order:
    """Records, as rows, and a form that says what becomes of them. ``count`` is how many records there are.

    ``plan`` is there once it was asked for, ``batch_id`` once it was started.
    """

    def __init__(
        self, services: Services, queryset: QuerySet, row_of: Callable[[Model], Mapping[str, Any]], form: GenerateForm
    ) -> None:
        self.form = form
        self.count: int = queryset.count()
        self.plan: Planned | None = None
        self.batch_id = ""
        self._services = services
        self._queryset = queryset
        self._row_of = row_of

    def is_started(self, *, seen: str | None, key: str | None) -> bool:
        """Start what was asked for if its plan was ``seen``, else make the plan; what is wrong is said by the form.

        ``seen`` is the :attr:`seal` of the plan that is to be started, ``None`` to see one. ``key`` makes two clicks on
        one plan one batch.
        """
        if not (self.form.is_bound and self.form.is_valid()):
            return False
        try:
            if seen == self.seal:
                self._start(key)
            else:
                self._make_plan(was_seen=seen is not None)
        except (ImagechordError, redis.RedisError) as error:
            for problem in (error, *getattr(error, "problems", ())[:_SHOWN_PROBLEMS]):
                self.form.add_error(None, str(problem))
        return bool(self.batch_id)

    @property
    def seal(self) -> str:
        """What tells one order from another: the choices, and of how many records."""
        told = repr((sorted(self._options().items()), self.count))
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def key(self) -> str:
        """Another one each time that a plan is shown."""
        return secrets.token_hex(16)

    @property
    def may_start(self) -> bool:
        """Whether the plan is one that can be started."""
        plan = self.plan
        return plan is not None and bool(plan.summary.images) and not plan.problems and not plan.refusal

    def unserved_queues(self) -> list[str]:
        """Queues that the batch needs and nobody serves, as far as the form tells."""
        return health.unserved_queues(self._services, filter(None, [self._options()["model"]]))

    def facts(self) -> Iterator[tuple[str, str]]:
        """What the plan comes to, as captions and values."""
        if self.plan is None:
            return
        summary = self.plan.summary
        share = self.count / summary.rows if summary.rows else 1.0
        yield say("rows"), f"{self.count:,}"
        if summary.bad_rows:
            yield say("bad_rows"), f"{summary.bad_rows:,}"
        by_model = (f"{model} × {round(count * share):,}" for model, count in summary.by_model.most_common())
        yield say("total"), ", ".join(by_model) or "–"
        if summary.reused:
            yield say("paid_already"), f"{round(summary.reused * share):,}"
        yield say("cost"), _cost(summary, share)
        yield say("time"), say("minutes", minutes=f"{max(round(summary.seconds * share / 60), 1):,}")

    def remarks(self) -> Iterator[str]:
        """What else is to be said of the plan."""
        if self.plan is None:
            return
        if self.count > self.plan.summary.rows:
            yield say("of_the_first", count=f"{self.plan.summary.rows:,}")
        if self.plan.refusal:
            yield f"{self.plan.refusal.message} ({self.plan.refusal.mend})"
        yield from self.plan.notes

    def problems(self) -> list[str]:
        """Rows that cannot be used, the first of them."""
        return [str(problem) for problem in self.plan.problems[:_SHOWN_PROBLEMS]] if self.plan else []

    def prompts(self) -> list[tuple[str, str]]:
        """The first pictures' keys and prompts."""
        return [(image.key, image.prompt) for image in self.plan.summary.first_images] if self.plan else []

    def _options(self) -> dict[str, Any]:
        chosen = self.form.cleaned_data
        return {**chosen, "model": chosen["model"] or None, "name": chosen["name"] or None}

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        return map(self._row_of, self._queryset.iterator(chunk_size=1000))

    def _make_plan(self, *, was_seen: bool) -> None:
        if was_seen:
            self.form.add_error(None, say("changed"))
        rows = list(islice(self._rows(), PLANNED_ROWS))
        options = self._options()
        self.plan = submission.plan(self._services, Request(rows, **options))
        catalogue, models = self._services.settings.catalogue, self.plan.summary.by_model
        refuse_rehearsal(self._services, catalogue, models, allowed=options["rehearse_delivery"])

    def _start(self, key: str | None) -> None:
        from tasks.batches import submit  # Celery is loaded by the first batch, not by the host's import of its admin

        self.batch_id = submit(self._rows(), idempotency_key=key, **self._options())


def _priced(spec: ModelSpec) -> str:
    price = spec.price_usd_micros
    return spec.alias if not price else f"{spec.alias} · {format_usd(price)}"


def _cost(summary: PlanSummary, share: float) -> str:
    cost = summary.cost
    if not cost.high:
        return say("free")
    low, expected, high = (format_usd(round(micros * share)) for micros in (cost.low, cost.expected, cost.high))
    return say("cost_of_plan", low=low, expected=expected, high=high)
