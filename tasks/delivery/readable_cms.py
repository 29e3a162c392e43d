"""A CMS behind HTTP that shows what it has: what a write replaces can be kept, and put back."""

from __future__ import annotations

from typing import Any

from tasks.core.cms_preset import CmsPreset, Replaced, field_of
from tasks.core.errors import Account, Invalid
from tasks.core.rolling_back import Shown, as_text, same
from tasks.delivery.cms import HttpCms


class ReadableHttpCms(HttpCms):
    """As :class:`HttpCms`, with a preset that says where a record shows what a write replaces."""

    def read(self, key: str) -> Shown:
        """The values of the preset's ``replaced``. Raises Invalid for an unknown key, and as a write does."""
        return self._shown(*self._looked_up(key))

    def restore(self, key: str, was: Shown) -> None:
        """Write these values where the pictures were, and read them back. Raises Invalid when they are not there."""
        values, _record = self._looked_up(key)
        self._send(values, was)
        shown = self._shown(*self._looked_up(key))
        if not same(shown, was):
            raise Invalid(f"told to have {as_text(was)} for {key!r} again, the CMS shows {as_text(shown)}")

    def _shown(self, values: dict[str, str], record: Any) -> Shown:
        replaced = self.preset.replaced
        assert isinstance(replaced, Replaced)
        if replaced.path is not None:
            record = self._get(replaced.path, values)
        if not isinstance(record, dict | list):
            raise Account("the CMS's answer is no JSON; CMS_URL must be the address of its API")
        return {name: field_of(record, field) for name, field in replaced.fields.items()}


def http_cms(base_url: str, token: str | None, preset: CmsPreset, *, total_seconds: float = 30.0) -> HttpCms:
    """The CMS at this URL, readable where its preset is. Raises ConfigurationError as its class does."""
    kind = ReadableHttpCms if preset.replaced else HttpCms
    return kind(base_url, token, preset, total_seconds=total_seconds)
