"""The one place that chooses implementations from settings. One :class:`Services` per process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.core.callbacks import callback_url, sign
from tasks.core.catalogue import Limits
from tasks.core.day_budget import DayBudget, day_budget
from tasks.core.errors import ConfigurationError
from tasks.core.keys import cache_control
from tasks.core.limits import CMS, Limited
from tasks.core.money import usd_micros
from tasks.core.published import PublishedPicture
from tasks.core.redaction import conceal
from tasks.core.retry import BreakerRules, RetryRules
from tasks.delivery.base import Cms, Notifier
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import require_current
from tasks.providers.base import Provider, QueueProvider
from tasks.providers.registry import build
from tasks.settings import Settings, load_settings, shipped_config
from tasks.storage.base import PublicStore, Staging
from tasks.storage.folder import FolderPublic
from tasks.storage.locations import staging_from_url
from tasks.storage.s3_client import S3ClientFactory, S3Connection

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
        return self._once("redis", self._connect_redis)

    @property
    def limits(self) -> Limiter:
        """The cluster-wide limits. Commands raise redis.RedisError when Redis does not answer."""
        return self._once("limits", self._open_limits)

    @property
    def breaker(self) -> Breaker:
        """Whether deliveries are held, over the cluster. Commands raise redis.RedisError."""
        return self._once("breaker", self._open_breaker)

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
        return self._once("public", self._open_public)

    @property
    def cms(self) -> Cms:
        """CMS_URL's, CMS_HOOK's, or the one that only records. Raises ConfigurationError for a bad one."""
        return self._once("cms", self._open_cms)

    @property
    def notifier(self) -> Notifier:
        """SLACK_BOT_TOKEN's, else SLACK_WEBHOOK_URL's, or none: the summary is in the log and the terminal anyway.

        Raises ConfigurationError for a token without a channel.
        """
        return self._once("notifier", self._open_notifier)

    @property
    def webhooks(self) -> Webhooks:
        """Whoever tells batches' webhooks. Raises ConfigurationError without a usable WEBHOOK_SECRET."""
        return self._once("webhooks", self._open_webhooks)

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
        return self._once(f"provider {name}", lambda: build(name, **self._provider_options(name)))

    def _provider_options(self, name: str) -> dict[str, Any]:
        """What each provider's constructor takes from the settings."""
        get, preferences = self.settings.get, self.settings.preferences
        private = {"allow_private_urls": preferences.allow_private_provider_urls}
        credit = preferences.usd_per_credit
        font = {"font_file": shipped_config() / "fonts" / "ImagechordSans.otf"}
        options: dict[str, dict[str, Any]] = {
            "preview": font,
            "preview_async": font,
            "anycap": {
                "api_key": get("ANYCAP_API_KEY"),
                "endpoint": get("ANYCAP_API_ENDPOINT"),
                "config_dir": self.settings.home / "anycap",
                "usd_micros_per_credit": None if credit is None else usd_micros(credit),
                **private,
            },
            "openai_compatible": {"keys": self._endpoint_keys(), "base_url": get("OPENAI_BASE_URL"), **private},
            "gemini": {"api_key": get("GEMINI_API_KEY")},
            "fal": {"api_key": get("FAL_KEY"), **private},
            "replicate": {
                "api_token": get("REPLICATE_API_TOKEN"),
                "webhook_secret": get("REPLICATE_WEBHOOK_SECRET"),
                **private,
            },
        }
        return options.get(name, {})

    def _endpoint_keys(self) -> dict[str, str | None]:
        """The keys of the models' endpoints by their variables; the empty one, of servers without keys, has none.

        Variables of the user's own are in no list of secrets, so their values are concealed here.
        """
        endpoints = [spec.endpoint for spec in self.settings.catalogue.models.values()]
        names = {"OPENAI_API_KEY", *(endpoint.key_variable for endpoint in endpoints if endpoint)}
        keys = {name: self.settings.get(name) if name else "" for name in names}
        conceal(filter(None, keys.values()))
        return keys

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

    def _connect_redis(self) -> Redis:
        url = self.settings.redis_url
        if url is None:
            raise ConfigurationError("no broker: set IMAGECHORD_REDIS_URL or REDIS_URL")
        from redis import Redis  # as below: what a command does not use, it need not wait for

        return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=25)

    def _open_limits(self) -> Limiter:
        from tasks.limits.limiter import Limiter

        return Limiter(self.redis, self.limited)

    def _open_breaker(self) -> Breaker:
        from tasks.limits.breaker import Breaker, OutageRules

        preferences = self.settings.preferences
        rules = OutageRules(
            failures_in_a_row=preferences.delivery_failures_in_a_row,
            pause_seconds=preferences.delivery_pause_seconds,
            longest_pause_seconds=preferences.delivery_longest_pause_seconds,
        )
        return Breaker(self.redis, rules)

    def _open_meter(self) -> Meter:
        from tasks.meter import Meter

        return Meter(self.redis)

    @property
    def _s3(self) -> S3ClientFactory:
        return self._once("s3", self._s3_factory)

    def _s3_factory(self) -> S3ClientFactory:
        get = self.settings.get
        connection = S3Connection(
            region=get("AWS_REGION") or get("AWS_DEFAULT_REGION"),
            profile=get("AWS_PROFILE"),
            access_key_id=get("AWS_ACCESS_KEY_ID"),
            secret_access_key=get("AWS_SECRET_ACCESS_KEY"),
            session_token=get("AWS_SESSION_TOKEN"),
            endpoint_url=get("AWS_ENDPOINT_URL_S3"),
            max_connections=self.settings.preferences.worker_concurrency,
        )
        return S3ClientFactory(connection)

    def _open_public(self) -> PublicStore:
        base_url = self.settings.get("PUBLIC_BASE_URL")
        bucket = self.settings.get("S3_BUCKET")
        if bucket is None:
            return FolderPublic(self.settings.output, base_url)
        from tasks.storage.s3 import S3Public

        preferences = self.settings.preferences
        return S3Public(
            self._s3,
            bucket,
            base_url=base_url,
            endpoint_url=self.settings.get("AWS_ENDPOINT_URL_S3"),
            cache_control=cache_control(preferences.key_pattern, preferences.cache_control),
        )

    def _open_cms(self) -> Cms:
        from tasks.delivery.cms import RecordedCms
        from tasks.delivery.readable_cms import http_cms

        url, hook = self.settings.get("CMS_URL"), self.settings.get("CMS_HOOK")
        if url and hook:
            raise ConfigurationError("CMS_URL and CMS_HOOK are both set: a picture is published in one way; unset one")
        if hook:
            return self._hook(hook)
        if url is None:
            return RecordedCms()
        return http_cms(url, self.settings.get("CMS_TOKEN"), self.settings.cms_preset)

    def _hook(self, path: str) -> Cms:
        from tasks.delivery.hook import HookCms
        from tasks.ledger.describing import describe

        def describe_one(image_id: int, urls: Sequence[str]) -> PublishedPicture:
            return describe(self.ledger, image_id, urls)

        return HookCms(path, describe_one, django_settings=self.settings.get("DJANGO_SETTINGS_MODULE"))

    def _open_notifier(self) -> Notifier:
        from tasks.delivery.slack import NullNotifier, SlackWebhook
        from tasks.delivery.slack_bot import API_URL, SlackBot

        token, channel = self.settings.get("SLACK_BOT_TOKEN"), self.settings.get("SLACK_CHANNEL")
        if token and not channel:
            raise ConfigurationError("SLACK_BOT_TOKEN is set and SLACK_CHANNEL is not: set it to the channel's id (C…)")
        if token and channel:
            return SlackBot(token, channel, api_url=self.settings.get("SLACK_API_URL") or API_URL)
        url = self.settings.get("SLACK_WEBHOOK_URL")
        return NullNotifier() if url is None else SlackWebhook(url)

    def _open_webhooks(self) -> Webhooks:
        from tasks.delivery.webhooks import Webhooks

        secret = self.settings.get("WEBHOOK_SECRET")
        if secret is None:
            raise ConfigurationError(
                "WEBHOOK_SECRET is not set: what webhooks are told could not be signed; set it to what it is where "
                "batches are submitted"
            )
        allow_private = self.settings.preferences.allow_private_webhook_urls
        return Webhooks(secret, self.ledger.identity(), allow_private=allow_private)


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
