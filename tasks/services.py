"""What a process works with, made once: one :class:`Services` per process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks import choosing
from tasks.core.callbacks import callback_url, sign
from tasks.core.catalogue import Limits
from tasks.core.day_budget import DayBudget, day_budget
from tasks.core.limits import CMS, Limited
from tasks.core.redaction import conceal
from tasks.core.retry import BreakerRules, RetryRules
from tasks.delivery.base import Cms, Notifier
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import require_current
from tasks.providers.base import Provider, QueueProvider
from tasks.settings import Settings, load_settings
from tasks.storage.base import PublicStore, Staging
from tasks.storage.locations import staging_from_url
from tasks.storage.s3_client import S3ClientFactory

if TYPE_CHECKING:
    from redis import Redis

    from tasks.delivery.webhooks import Webhooks
    from tasks.limits.breaker import Breaker
    from tasks.limits.limiter import Limiter
    from tasks.meter import Meter

_CMS_LONGEST_SECONDS = 300.0
AFTER_CALL_SECONDS = 60.0
"""For what comes after a call's deadline: decoding, staging and the ledger."""

_T = TypeVar("_T")


class Services:
    """Everything a step or a command needs, made at first use and shared by the process's threads.

    ``worker_id`` is set by a worker's lease, before the first task runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker_id = ""
        self.pid = os.getpid()
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()

    @property
    def ledger(self) -> Ledger:
        """The ledger, its schema checked. Raises ConfigurationError when it is not usable."""
        return self._once("ledger", self._open_ledger)

    def ledger_exists(self) -> bool:
        """Whether there is a ledger to read, without creating one."""
        url = parse_database_url(self.settings.database_url)
        return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()

    @property
    def redis(self) -> Redis:
        """Limits, pauses and small marks. Commands raise redis.RedisError when it does not answer."""
        return self._once("redis", lambda: choosing.redis_client(self.settings))

    @property
    def limits(self) -> Limiter:
        """The cluster-wide limits. Commands raise redis.RedisError when Redis does not answer."""
        return self._once("limits", self._open_limits)

    @property
    def breaker(self) -> Breaker:
        """Whether deliveries are held, over the cluster. Commands raise redis.RedisError."""
        return self._once("breaker", lambda: choosing.breaker(self.settings, self.redis))

    @property
    def meter(self) -> Meter:
        """What this process observes, added up over the cluster. Reading it raises redis.RedisError."""
        return self._once("meter", self._open_meter)

    @property
    def limited(self) -> list[Limited]:
        """What is limited: every model of the catalogue, and the CMS when one is called."""
        settings = self.settings
        models = [
            Limited(spec.alias, spec.limits, spec.deadline_seconds + AFTER_CALL_SECONDS)
            for spec in settings.catalogue.models.values()
        ]
        if settings.get("CMS_URL") is None:
            return models
        preset = settings.cms_preset
        limits = Limits(per_minute=preset.per_minute, in_flight=preset.in_flight)
        return [*models, Limited(CMS, limits, _CMS_LONGEST_SECONDS)]

    @property
    def staging(self) -> Staging:
        """Where paid pictures wait."""
        return self._once("staging", lambda: staging_from_url(self.settings.staging_url, self._s3))

    @property
    def public(self) -> PublicStore:
        """Where the world sees them: S3_BUCKET, or the local output folder."""
        return self._once("public", lambda: choosing.public_store(self.settings, self._s3))

    @property
    def cms(self) -> Cms:
        """CMS_URL's, CMS_HOOK's, or the one that only records. Raises ConfigurationError for a bad one."""
        return self._once("cms", lambda: choosing.cms(self.settings, lambda: self.ledger))

    @property
    def notifier(self) -> Notifier:
        """SLACK_BOT_TOKEN's, else SLACK_WEBHOOK_URL's, or none: the summary is in the log and the terminal anyway.

        Raises ConfigurationError for a token without a channel.
        """
        return self._once("notifier", lambda: choosing.notifier(self.settings))

    @property
    def webhooks(self) -> Webhooks:
        """Whoever tells batches' webhooks. Raises ConfigurationError without a usable WEBHOOK_SECRET."""
        return self._once("webhooks", lambda: choosing.webhooks(self.settings, self.ledger.identity()))

    def source_object(self, url: str) -> Iterator[bytes]:
        """The bytes of ``s3://bucket/key``, a source of rows. Raises StepError of the fitting class."""
        from tasks.storage.s3_source import read_object

        return read_object(self._s3, url)

    @property
    def webhook_base(self) -> str | None:
        """Where providers find our endpoint for webhooks; ``None``: they are asked instead."""
        return self.settings.webhook_base_url

    def webhook_url(self, provider: str, image_id: int, fence: int, expires_at: datetime) -> str | None:
        """Where a provider is to call about one job, until then; ``None`` when it is asked instead."""
        base = self.webhook_base
        if base is None:
            return None
        token = sign(self.settings.get("WEBHOOK_SECRET") or "", provider, image_id, fence, expires_at)
        return callback_url(base, provider, token)

    def provider(self, name: str) -> Provider | QueueProvider:
        """A provider by the catalogue's name. Raises ConfigurationError for an unknown one."""
        return self._once(f"provider {name}", lambda: choosing.provider(self.settings, name))

    def day_budget(self, model: str) -> DayBudget | None:
        """What a model of the catalogue may cost today, if that is limited."""
        return day_budget(self.settings.catalogue.models[model], datetime.now(UTC))

    @property
    def retry_rules(self) -> RetryRules:
        """What the retry table goes by."""
        preferences = self.settings.preferences
        return RetryRules(
            max_attempts=preferences.max_attempts,
            max_delivery_attempts=preferences.max_delivery_attempts,
            on_unknown=preferences.on_unknown,
        )

    @property
    def breaker_rules(self) -> BreakerRules:
        """When calls that fail alike hold their model."""
        preferences = self.settings.preferences
        return BreakerRules(preferences.hold_after_failures, preferences.overloaded_hold_minutes * 60)

    def report_url(self, batch_id: str) -> str | None:
        """Where people find the batch's contact sheet; ``None`` when no report base URL is configured."""
        base = self.settings.preferences.report_base_url
        return f"{base.rstrip('/')}/{batch_id}/index.html" if base else None

    def page_url(self, batch_id: str) -> str | None:
        """Where people find the batch's page; ``None`` when nobody has said where ``imagechord web`` is found."""
        base = self.settings.preferences.web_base_url
        return f"{base.rstrip('/')}/batches/{batch_id}" if base else None

    def _once(self, name: str, make: Callable[[], _T]) -> _T:
        if name not in self._made:
            with self._lock:
                if name not in self._made:
                    self._made[name] = make()
        made: _T = self._made[name]
        return made

    def _open_ledger(self) -> Ledger:
        ledger = Ledger(parse_database_url(self.settings.database_url))
        require_current(ledger)
        return ledger

    def _open_limits(self) -> Limiter:
        from tasks.limits.limiter import Limiter

        return Limiter(self.redis, self.limited)

    def _open_meter(self) -> Meter:
        from tasks.meter import Meter

        return Meter(self.redis)

    @property
    def _s3(self) -> S3ClientFactory:
        return self._once("s3", lambda: choosing.s3_clients(self.settings))


_current: Services | None = None
_current_lock = threading.Lock()


def current_services() -> Services:
    """The process's services, from its environment; made anew after a fork, with the parent's lease."""
    global _current  # noqa: PLW0603 – the process's one container
    if _current is None or _current.pid != os.getpid():
        with _current_lock:
            if _current is None or _current.pid != os.getpid():
                fresh = Services(load_settings())
                conceal(fresh.settings.secrets)
                fresh.worker_id = _current.worker_id if _current else ""
                _current = fresh
    return _current
