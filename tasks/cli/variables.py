"""What each environment variable is for: said here once, for the ``.env`` of ``imagechord init`` and for ``--help``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Variable(NamedTuple):
    """``example`` is a value as one would write it, empty for what only its owner has (a key)."""

    name: str
    words: str
    example: str = ""


class Group(NamedTuple):
    """Variables that one sets together."""

    title: str
    variables: tuple[Variable, ...]


GROUPS = (
    Group(
        "Where work is handed on and written down",
        (
            Variable(
                "IMAGECHORD_REDIS_URL",
                "Broker and limiter: Redis or Valkey with maxmemory-policy noeviction. Unset: run brings its own.",
                "redis://localhost:6379/0",
            ),
            Variable("REDIS_URL", "The same, where IMAGECHORD_REDIS_URL is not set.", "redis://localhost:6379/0"),
            Variable(
                "IMAGECHORD_DATABASE_URL",
                "The ledger: PostgreSQL, or SQLite for one machine. Unset: SQLite under IMAGECHORD_HOME.",
                "postgresql://imagechord:password@localhost/imagechord",
            ),
            Variable("IMAGECHORD_HOME", "Folder of state and staging.", "./.imagechord"),
            Variable("IMAGECHORD_OUTPUT", "Folder of reports, and of pictures where no bucket is set.", "./output"),
            Variable("IMAGECHORD_CONFIG", "Folder whose TOML files go over the shipped ones, key by key.", "./config"),
            Variable("IMAGECHORD_LOG_FORMAT", "How worker, beat and web log: text or json.", "json"),
        ),
    ),
    Group(
        "Who makes the pictures; one key is enough, and the model preview needs none",
        (
            Variable("ANYCAP_API_KEY", "AnyCap's key, for nano-banana-2, seedream-5 and nano-banana-pro."),
            Variable("ANYCAP_API_ENDPOINT", "AnyCap's server, if it is not the usual one.", "https://api.example.com"),
            Variable("OPENAI_API_KEY", "OpenAI's key."),
            Variable("OPENAI_BASE_URL", "Another server that speaks as OpenAI's does.", "https://api.example.com/v1"),
            Variable("ARK_API_KEY", "The key of BytePlus ModelArk, for the makers' own Seedream."),
            Variable("GEMINI_API_KEY", "Google's key."),
            Variable("FAL_KEY", "fal's key."),
            Variable("REPLICATE_API_TOKEN", "Replicate's token."),
            Variable("REPLICATE_WEBHOOK_SECRET", "What Replicate signs its webhooks with."),
        ),
    ),
    Group(
        "Where pictures go: a bucket, else the folder IMAGECHORD_OUTPUT",
        (
            Variable("S3_BUCKET", "The bucket.", "shop-pictures"),
            Variable("S3_PREFIX", "What every key in it begins with.", "products"),
            Variable(
                "PUBLIC_BASE_URL",
                "Base of the pictures' URLs, for instance a CDN. Unset: the bucket's own.",
                "https://cdn.example.com",
            ),
            Variable("AWS_ACCESS_KEY_ID", "Credentials; unset: as boto3 finds them."),
            Variable("AWS_SECRET_ACCESS_KEY", "The secret that belongs to AWS_ACCESS_KEY_ID."),
            Variable("AWS_SESSION_TOKEN", "The token of temporary credentials."),
            Variable("AWS_PROFILE", "Or a profile of ~/.aws.", "shop"),
            Variable("AWS_REGION", "The bucket's region.", "ap-northeast-2"),
            Variable("AWS_DEFAULT_REGION", "The same, where AWS_REGION is not set.", "ap-northeast-2"),
            Variable("AWS_ENDPOINT_URL_S3", "A store that speaks S3 but is not AWS.", "https://s3.example.com"),
            Variable(
                "STAGING_URL",
                "Where paid pictures wait. Workers on several machines need a shared one.",
                "s3://shop-staging/imagechord",
            ),
        ),
    ),
    Group(
        "Who is told of a picture; unset: nobody, and the report has its URL",
        (
            Variable("CMS_URL", "Base URL of the CMS.", "https://cms.example.com"),
            Variable("CMS_TOKEN", "Its token."),
            Variable("CMS_PRESET", "How it is written to: a table of cms.toml.", "generic"),
            Variable(
                "CMS_HOOK",
                "Or a function of yours that is called instead of a CMS, as module:function.",
                "shop.catalogue:picture_published",
            ),
        ),
    ),
    Group(
        "Who is told of a batch",
        (
            Variable("SLACK_WEBHOOK_URL", "Slack's incoming webhook."),
            Variable("SLACK_BOT_TOKEN", "Or a bot's token: messages are then brought up to date in place."),
            Variable("SLACK_CHANNEL", "The channel that the bot writes to.", "C0123456789"),
            Variable("SLACK_API_URL", "Slack's Web API where it is not the usual one.", "https://slack-gov.com/api"),
        ),
    ),
    Group(
        "The web: providers that call back, webhooks of yours, and the pages",
        (
            Variable(
                "WEBHOOK_BASE_URL",
                "Where providers reach imagechord web. Unset: they are asked instead.",
                "https://images.example.com",
            ),
            Variable("WEBHOOK_SECRET", "What webhooks are signed with; their receivers need it to verify them."),
            Variable("IMAGECHORD_WEB_TOKEN", "What one signs in to the pages and the API of imagechord web with."),
        ),
    ),
)

WORDS: Mapping[str, str] = {variable.name: variable.words for group in GROUPS for variable in group.variables}
