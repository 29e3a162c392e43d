"""The ledger's batches and images as the admin shows them: unmanaged, read-only, and no column that it does not show.

Nothing is written, so nothing is said of what may be null. What the columns mean is said in :mod:`tasks.ledger.schema`.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from tasks.core.states import State
from tasks.web.django.words import say_later

_PHASES = ("planning", "refused", "started", "cancelled")


class StoredJson(models.TextField):
    """A JSON column; PostgreSQL's driver has read it before Django sees it, SQLite's has not."""

    def from_db_value(self, value: Any, _expression: object, _connection: object) -> Any:
        """What was stored."""
        return json.loads(value) if isinstance(value, str) else value


class Batch(models.Model):
    """A batch. Who may change it may start, stop and pay for pictures; in the admin it is only read."""

    id = models.CharField(primary_key=True, max_length=32)
    name = models.CharField(say_later("name"), max_length=200)
    source = models.TextField()
    template = models.CharField(say_later("template"), max_length=100)
    phase = models.CharField(say_later("phase"), max_length=12, choices=[(phase, phase) for phase in _PHASES])
    priority = models.CharField(max_length=8)
    total = models.IntegerField(say_later("total"))
    skipped = models.IntegerField()
    round = models.IntegerField()
    problems = StoredJson(say_later("problems"))
    budget_usd_micros = models.BigIntegerField()
    spent_usd_micros = models.BigIntegerField()
    created_at = models.DateTimeField(say_later("created_at"))
    started_at = models.DateTimeField()

    class Meta:
        """Django makes no table of it."""

        managed = False
        db_table = "imagechord_batch"
        default_permissions = ("view", "change")
        verbose_name = say_later("batch")
        verbose_name_plural = say_later("batches")

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class Image(models.Model):
    """One picture of a batch."""

    id = models.BigIntegerField(primary_key=True)
    batch = models.ForeignKey(Batch, models.DO_NOTHING, db_constraint=False, verbose_name=say_later("batch"))
    line = models.IntegerField()
    key = models.CharField("sku", max_length=400)
    variant = models.IntegerField()
    template = models.CharField(say_later("template"), max_length=100)
    model = models.CharField(say_later("model"), max_length=100)
    asked_model = models.CharField(max_length=100)
    prompt = models.TextField()
    row = StoredJson(say_later("source_row"))
    state = models.CharField(say_later("state"), max_length=12, choices=[(str(state), str(state)) for state in State])
    attempts = models.IntegerField()
    cost_usd_micros = models.BigIntegerField()
    reused = models.BooleanField()
    error_class = models.CharField(max_length=20)
    error_step = models.CharField(max_length=20)
    error_message = models.TextField()
    public_url = models.TextField()
    cms_receipt = models.TextField()
    created_at = models.DateTimeField(say_later("created_at"))
    moved_at = models.DateTimeField(say_later("moved_at"))
    published_at = models.DateTimeField()

    class Meta:
        """Django makes no table of it."""

        managed = False
        db_table = "imagechord_image"
        default_permissions = ("view",)
        verbose_name = say_later("image")
        verbose_name_plural = say_later("images")

    def __str__(self) -> str:
        return f"{self.key} {self.variant}"
