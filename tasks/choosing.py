"""Which implementations the settings ask for: providers, stores, the CMS, Slack, webhooks. Nothing is kept here.

What a command does not use it need not wait for, so most of it is imported where it is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.core.errors import ConfigurationError
from tasks.core.keys import cache_control
from tasks.core.money import usd_micros
from tasks.core.published import PublishedPicture
from tasks.core.redaction import conceal
from tasks.delivery.base import Cms, Notifier
from tasks.ledger.engine import Ledger
from tasks.providers.base import Provider, QueueProvider
from tasks.providers.registry import build
from tasks.settings import Settings, shipped_config
from tasks.storage.base import PublicStore
from tasks.storage.folder import FolderPublic
from tasks.storage.s3_client import S3ClientFactory, S3Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from tasks.delivery.webhooks import Webhooks
    from tasks.limits.breaker import Breaker


def provider(settings: Settings, name: str) -> Provider | QueueProvider:
    """By the catalogue's name. Raises ConfigurationError for an unknown one."""
    return build(name, **_provider_options(settings, name))


def _provider_options(settings: Settings, name: str) -> dict[str, Any]:
    """What each provider's constructor takes from the settings."""
    get, preferences = settings.get, settings.preferences
    private = {"allow_private_urls": preferences.allow_private_provider_urls}
    credit = preferences.usd_per_credit
    font = {"font_file": shipped_config() / "fonts" / "ImagechordSans.otf"}
    options: dict[str, dict[str, Any]] = {
        "preview": font,
        "preview_async": font,
        "anycap": {
            "api_key": get("ANYCAP_API_KEY"),
            "endpoint": get("ANYCAP_API_ENDPOINT"),
            "config_dir": settings.home / "anycap",
            "usd_micros_per_credit": None if credit is None else usd_micros(credit),
            **private,
        },
        "openai_compatible": {"keys": _endpoint_keys(settings), "base_url": get("OPENAI_BASE_URL"), **private},
        "gemini": {"api_key": get("GEMINI_API_KEY")},
        "fal": {"api_key": get("FAL_KEY"), **private},
        "replicate": {
            "api_token": get("REPLICATE_API_TOKEN"),
            "webhook_secret": get("REPLICATE_WEBHOOK_SECRET"),
            **private,
        },
    }
    return options.get(name, {})


def _endpoint_keys(settings: Settings) -> dict[str, str | None]:
    """The keys of the models' endpoints by their variables; the empty one, of servers without keys, has none.

    Variables of the user's own are in no list of secrets, so their values are concealed here.
    """
    endpoints = [spec.endpoint for spec in settings.catalogue.models.values()]
    names = {"OPENAI_API_KEY", *(endpoint.key_variable for endpoint in endpoints if endpoint)}
    keys = {name: settings.get(name) if name else "" for name in names}
    conceal(filter(None, keys.values()))
    return keys


def redis_client(settings: Settings) -> Redis:
    """Of the broker. Raises ConfigurationError without one."""
    url = settings.redis_url
    if url is None:
        raise ConfigurationError("no broker: set IMAGECHORD_REDIS_URL or REDIS_URL")
    from redis import Redis

    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=25)


def breaker(settings: Settings, client: Redis) -> Breaker:
    """Of deliveries."""
    from tasks.limits.breaker import Breaker, OutageRules

    preferences = settings.preferences
    rules = OutageRules(
        failures_in_a_row=preferences.delivery_failures_in_a_row,
        pause_seconds=preferences.delivery_pause_seconds,
        longest_pause_seconds=preferences.delivery_longest_pause_seconds,
    )
    return Breaker(client, rules)


def s3_clients(settings: Settings) -> S3ClientFactory:
    """With the credentials and the endpoint that are set."""
    get = settings.get
    connection = S3Connection(
        region=get("AWS_REGION") or get("AWS_DEFAULT_REGION"),
        profile=get("AWS_PROFILE"),
        access_key_id=get("AWS_ACCESS_KEY_ID"),
        secret_access_key=get("AWS_SECRET_ACCESS_KEY"),
        session_token=get("AWS_SESSION_TOKEN"),
        endpoint_url=get("AWS_ENDPOINT_URL_S3"),
        max_connections=settings.preferences.worker_concurrency,
    )
    return S3ClientFactory(connection)


def public_store(settings: Settings, clients: S3ClientFactory) -> PublicStore:
    """S3_BUCKET, or the local output folder."""
    base_url = settings.get("PUBLIC_BASE_URL")
    bucket = settings.get("S3_BUCKET")
    if bucket is None:
        return FolderPublic(settings.output, base_url)
    from tasks.storage.s3 import S3Public

    preferences = settings.preferences
    return S3Public(
        clients,
        bucket,
        base_url=base_url,
        endpoint_url=settings.get("AWS_ENDPOINT_URL_S3"),
        cache_control=cache_control(preferences.key_pattern, preferences.cache_control),
    )


def cms(settings: Settings, ledger: Callable[[], Ledger]) -> Cms:
    """CMS_URL's, CMS_HOOK's, or the one that only records. Raises ConfigurationError for a bad one."""
    from tasks.delivery.cms import RecordedCms
    from tasks.delivery.readable_cms import http_cms

    url, hook = settings.get("CMS_URL"), settings.get("CMS_HOOK")
    if url and hook:
        raise ConfigurationError("CMS_URL and CMS_HOOK are both set: a picture is published in one way; unset one")
    if hook:
        return _hook(settings, hook, ledger)
    if url is None:
        return RecordedCms()
    return http_cms(url, settings.get("CMS_TOKEN"), settings.cms_preset)


def _hook(settings: Settings, path: str, ledger: Callable[[], Ledger]) -> Cms:
    from tasks.delivery.hook import HookCms
    from tasks.ledger.describing import describe

    def describe_one(image_id: int, urls: Sequence[str]) -> PublishedPicture:
        return describe(ledger(), image_id, urls)

    return HookCms(path, describe_one, django_settings=settings.get("DJANGO_SETTINGS_MODULE"))


def notifier(settings: Settings) -> Notifier:
    """SLACK_BOT_TOKEN's, else SLACK_WEBHOOK_URL's, or none. Raises ConfigurationError for a token without a channel."""
    from tasks.delivery.slack import NullNotifier, SlackWebhook
    from tasks.delivery.slack_bot import API_URL, SlackBot

    token, channel = settings.get("SLACK_BOT_TOKEN"), settings.get("SLACK_CHANNEL")
    if token and not channel:
        raise ConfigurationError("SLACK_BOT_TOKEN is set and SLACK_CHANNEL is not: set it to the channel's id (C…)")
    if token and channel:
        return SlackBot(token, channel, api_url=settings.get("SLACK_API_URL") or API_URL)
    url = settings.get("SLACK_WEBHOOK_URL")
    return NullNotifier() if url is None else SlackWebhook(url)


def webhooks(settings: Settings, ledger_identity: str) -> Webhooks:
    """Of batches. Raises ConfigurationError without a secret that can sign."""
    from tasks.delivery.webhooks import Webhooks

    secret = settings.get("WEBHOOK_SECRET")
    if secret is None:
        raise ConfigurationError(
            "WEBHOOK_SECRET is not set: what webhooks are told could not be signed; set it to what it is where "
            "batches are submitted"
        )
    allow_private = settings.preferences.allow_private_webhook_urls
    return Webhooks(secret, ledger_identity, allow_private=allow_private)
