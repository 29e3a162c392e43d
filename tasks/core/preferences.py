"""``imagechord.toml``: everything that is neither a model, a template nor a secret. Defaults are the shipped file's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from tasks.core.catalogue import Strict, known_timezone
from tasks.core.errors import ConfigurationError
from tasks.core.explain import explain
from tasks.core.keys import check_pattern

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Dollars = Annotated[Decimal, Field(ge=0)]


class ManualDesign(Strict):
    """What people charge for the same work, to stand beside the cost of a batch."""

    usd_per_image_low: Dollars = Decimal(5)
    usd_per_image_high: Dollars = Decimal(10)
    open_ended_from_images: Count = 10_000
    """From here on only the low price is sure: "$50,000 and more"."""
    impossible_from_images: Count = 100_000
    """From here on nobody can do it by hand."""


class Preferences(Strict):
    """Every setting, with its unit in its name; ``imagechord.toml`` explains each."""

    language: Literal["ko", "en"] = "ko"
    timezone: Annotated[str, AfterValidator(known_timezone)] = "Asia/Seoul"

    max_attempts: Count = 3
    max_delivery_attempts: Count = 10
    on_unknown: Literal["retry_once", "hold"] = "retry_once"
    hold_after_failures: Count = 10
    overloaded_hold_minutes: Annotated[float, Field(gt=0)] = 30.0
    retry_margin_percent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(3)

    delivery_failures_in_a_row: Count = 5
    delivery_pause_seconds: Seconds = 5.0
    delivery_longest_pause_seconds: Seconds = 60.0
    deliver_for_hours: Annotated[float, Field(gt=0)] = 12.0

    worker_concurrency: Count = 16
    wave_seconds: Seconds = 5.0
    wave_min_images: Count = 10
    wave_max_images: Count = 500

    heartbeat_every_seconds: Seconds = 5.0
    heartbeat_expires_seconds: Seconds = 15.0
    sweep_every_seconds: Seconds = 5.0
    unclaimed_after_seconds: Seconds = 60.0
    webhook_overdue_seconds: Seconds = 60.0
    stop_within_seconds: Annotated[float, Field(ge=0)] = 0.0

    report_base_url: str = ""
    web_base_url: str = ""
    key_pattern: str = "{prefix}/{sku}-{fingerprint8}.{ext}"
    cache_control: str = "public, max-age=31536000, immutable"
    staging_keep_hours: Annotated[float, Field(ge=0)] = 72.0
    min_free_disk_megabytes: Annotated[int, Field(ge=0)] = 100

    max_upload_megabytes: Count = 64

    webhook_give_up_hours: Annotated[float, Field(gt=0)] = 24.0
    allow_private_webhook_urls: bool = False

    allow_private_provider_urls: bool = False
    reference_folders: tuple[str, ...] = ()

    krw_per_usd: Annotated[Decimal, Field(gt=0)] = Decimal(1400)
    usd_per_credit: Dollars | None = None
    manual_design: ManualDesign = ManualDesign()

    @field_validator("key_pattern")
    @classmethod
    def _pattern(cls, pattern: str) -> str:
        try:
            check_pattern(pattern)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return pattern

    @property
    def lease(self) -> timedelta:
        """How long a worker's claims are its own without a heartbeat."""
        return timedelta(seconds=self.heartbeat_expires_seconds)

    @model_validator(mode="after")
    def _fits_together(self) -> Preferences:
        if self.wave_min_images > self.wave_max_images:
            raise ValueError("wave_min_images is more than wave_max_images")
        if self.heartbeat_expires_seconds < 2 * self.heartbeat_every_seconds:
            raise ValueError("heartbeat_expires_seconds must be at least twice heartbeat_every_seconds")
        if self.delivery_longest_pause_seconds < self.delivery_pause_seconds:
            raise ValueError("delivery_longest_pause_seconds is less than delivery_pause_seconds")
        return self


def parse_preferences(table: Mapping[str, Any]) -> Preferences:
    """Validate ``imagechord.toml``, already read. Raises ConfigurationError with one line for each finding."""
    try:
        return Preferences.model_validate(table)
    except ValidationError as error:
        raise ConfigurationError("\n".join(explain(error, "imagechord.toml", Preferences.model_fields))) from error
