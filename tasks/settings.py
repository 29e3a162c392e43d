"""The one place that reads the environment, ``.env`` and the ``config/`` folder.

Order: the process's environment, then ``.env`` of the working folder, then the default. A secret may stand in a file
that ``NAME_FILE`` names, as containers and systemd hand them out. The configuration files are those shipped with the
package, overlaid key by key with those of ``IMAGECHORD_CONFIG``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from dotenv import dotenv_values

from tasks.core.callbacks import require_usable
from tasks.core.catalogue import Catalogue
from tasks.core.catalogue_parse import parse_catalogue
from tasks.core.cms_preset import CmsPreset, parse_presets
from tasks.core.errors import ConfigurationError
from tasks.core.preferences import Preferences, parse_preferences

CONFIG_FILES = ("models.toml", "prompts.toml", "cms.toml", "imagechord.toml")
SECRETS = frozenset(
    {
        "CMS_TOKEN",
        "SLACK_WEBHOOK_URL",
        "ANYCAP_API_KEY",
        "OPENAI_API_KEY",
        "ARK_API_KEY",
        "GEMINI_API_KEY",
        "FAL_KEY",
        "REPLICATE_API_TOKEN",
        "REPLICATE_WEBHOOK_SECRET",
        "WEBHOOK_SECRET",
        "IMAGECHORD_WEB_TOKEN",
        "SLACK_BOT_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "IMAGECHORD_DATABASE_URL",
        "IMAGECHORD_REDIS_URL",
        "REDIS_URL",
    }
)
"""Variables whose values are never shown: keys, and URLs that carry passwords."""

LOG_FORMATS = ("text", "json")

VARIABLES = (
    "IMAGECHORD_REDIS_URL",
    "REDIS_URL",
    "IMAGECHORD_DATABASE_URL",
    "IMAGECHORD_HOME",
    "IMAGECHORD_CONFIG",
    "IMAGECHORD_OUTPUT",
    "S3_BUCKET",
    "S3_PREFIX",
    "PUBLIC_BASE_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "STAGING_URL",
    "CMS_URL",
    "CMS_TOKEN",
    "CMS_PRESET",
    "CMS_HOOK",
    "SLACK_WEBHOOK_URL",
    "SLACK_BOT_TOKEN",
    "SLACK_CHANNEL",
    "SLACK_API_URL",
    "IMAGECHORD_WEB_TOKEN",
    "IMAGECHORD_LOG_FORMAT",
    "ANYCAP_API_KEY",
    "ANYCAP_API_ENDPOINT",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ARK_API_KEY",
    "GEMINI_API_KEY",
    "FAL_KEY",
    "REPLICATE_API_TOKEN",
    "REPLICATE_WEBHOOK_SECRET",
    "WEBHOOK_BASE_URL",
    "WEBHOOK_SECRET",
)


def shipped_config() -> Path:
    """The folder ``config/``: beside the package in a checkout, inside it in a wheel."""
    here = Path(__file__).parent
    inside = here / "_config"
    return inside if inside.is_dir() else here.parent / "config"


@dataclass(frozen=True)
class Settings:
    """Everything that differs between two installations. Paths are absolute; empty values count as unset.

    ``sources`` says of each variable that is set where its value came from: ``environment``, ``.env`` or a file's path.
    """

    values: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    directory: Path = field(default_factory=Path.cwd)

    def get(self, name: str) -> str | None:
        """The value of one variable."""
        return self.values.get(name) or None

    @property
    def secrets(self) -> frozenset[str]:
        """What nobody may read: keys, and of URLs the part that is one."""
        return frozenset().union(*(_secret_parts(value) for name in SECRETS if (value := self.get(name))))

    @property
    def redis_url(self) -> str | None:
        """Broker, chord backend and limiter, as redis-py writes it; ``None`` means the embedded Valkey."""
        return self.get("IMAGECHORD_REDIS_URL") or self.get("REDIS_URL")

    @property
    def database_url(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.get("IMAGECHORD_DATABASE_URL") or f"sqlite:///{self.home / 'ledger.sqlite3'}"

    @property
    def logs_json(self) -> bool:
        """Whether logs are JSON, one object a line. Raises ConfigurationError for a format that there is not."""
        wanted = self.get("IMAGECHORD_LOG_FORMAT") or "text"
        if wanted not in LOG_FORMATS:
            raise ConfigurationError(f"IMAGECHORD_LOG_FORMAT={wanted!r} is not {' or '.join(LOG_FORMATS)}")
        return wanted == "json"

    @property
    def webhook_base_url(self) -> str | None:
        """Where providers reach us; ``None``: they are asked instead.

        Raises ConfigurationError when it is no address, or WEBHOOK_SECRET cannot sign what is called there.
        """
        base_url = self.get("WEBHOOK_BASE_URL")
        if base_url is not None:
            require_usable(base_url, self.get("WEBHOOK_SECRET"))
        return base_url

    @property
    def home(self) -> Path:
        """State, staging and the embedded Valkey's socket."""
        return self._path("IMAGECHORD_HOME", ".imagechord")

    @property
    def output(self) -> Path:
        """Local public folder and reports."""
        return self._path("IMAGECHORD_OUTPUT", "output")

    @property
    def staging_url(self) -> str:
        """Where paid pictures wait: ``file:///…`` or ``s3://bucket/prefix``."""
        return self.get("STAGING_URL") or (self.home / "staging").as_uri()

    @property
    def config_overlay(self) -> Path | None:
        """The folder whose TOML files go over the shipped ones.

        Raises ConfigurationError when IMAGECHORD_CONFIG names no folder.
        """
        named = self.get("IMAGECHORD_CONFIG")
        folder = self._path("IMAGECHORD_CONFIG", "config")
        if named and not folder.is_dir():
            raise ConfigurationError(f"IMAGECHORD_CONFIG={named!r} is not a folder; create it or unset the variable")
        return folder if any((folder / name).is_file() for name in CONFIG_FILES) else None

    def _path(self, name: str, default: str) -> Path:
        return (self.directory / (self.get(name) or default)).absolute()

    @property
    def today(self) -> date:
        """The day, in UTC, by which models retire."""
        return datetime.now(UTC).date()

    @cached_property
    def catalogue(self) -> Catalogue:
        """Models and templates. Raises ConfigurationError naming file, key and mend."""
        return parse_catalogue(self._toml("models.toml"), self._toml("prompts.toml"))

    @cached_property
    def preferences(self) -> Preferences:
        """``imagechord.toml``. Raises ConfigurationError naming file, key and mend."""
        return parse_preferences(self._toml("imagechord.toml"))

    @cached_property
    def cms_preset(self) -> CmsPreset:
        """The preset that CMS_PRESET names. Raises ConfigurationError listing those there are."""
        presets = parse_presets(self._toml("cms.toml"))
        name = self.get("CMS_PRESET") or "generic"
        if name not in presets:
            raise ConfigurationError(f"CMS_PRESET={name!r} is not in cms.toml; there are: {', '.join(sorted(presets))}")
        return presets[name]

    def _toml(self, name: str) -> dict[str, Any]:
        merged = _read_toml(shipped_config() / name)
        if self.config_overlay is not None and (self.config_overlay / name).is_file():
            merged = _overlay(merged, _read_toml(self.config_overlay / name))
        return merged


def load_settings(environ: Mapping[str, str] | None = None, directory: Path | None = None) -> Settings:
    """Read the environment, the ``.env`` of ``directory`` (default: the working folder), and the files of secrets.

    Raises ConfigurationError when NAME_FILE of a secret names no readable file with text in it, or NAME is set too.
    """
    environ = os.environ if environ is None else environ
    directory = directory or Path.cwd()
    from_file = {k: v for k, v in dotenv_values(directory / ".env", interpolate=False).items() if v is not None}
    sources = dict.fromkeys(from_file, ".env") | {name: "environment" for name in environ if name in VARIABLES}
    values = {**from_file, **environ}
    files = {name: directory / path for name in SECRETS if (path := values.get(f"{name}_FILE"))}
    in_files = {name: _secret_in(path, name, values.get(name)) for name, path in files.items()}
    return Settings(values | in_files, sources | {name: str(path) for name, path in files.items()}, directory)


def _secret_in(path: Path, name: str, value: str | None) -> str:
    """The text of a secret's file, without the line's end that editors and ``echo`` put there."""
    if value:
        raise ConfigurationError(f"{name} and {name}_FILE are both set; unset one of them")
    try:
        text = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{name}_FILE={str(path)!r} cannot be read: {reason}") from error
    if not text.strip():
        raise ConfigurationError(f"{name}_FILE={str(path)!r} is empty; write the secret into it, or unset {name}_FILE")
    return text


def _secret_parts(value: str) -> set[str]:
    """What of a secret variable's value is secret.

    Of a web address its path (a webhook's is its key), of another URL its password if it has one, of anything else
    all of it.
    """
    if "://" not in value:
        return {value}
    try:
        parts = urlsplit(value)
        passwords = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        return {value}
    if parts.scheme in {"http", "https"}:
        return {value, parts.path}
    return {form for password in passwords if password for form in (value, password, unquote(password))}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}; compare it with {shipped_config() / path.name}"
        ) from error


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merge; everything else of ``above`` replaces."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
