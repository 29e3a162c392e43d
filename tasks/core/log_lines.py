"""Log records as JSON, one object a line, for those who collect logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.core.redaction import redacted

About = Callable[[logging.LogRecord], Mapping[str, Any]]


def _nothing(_record: logging.LogRecord) -> Mapping[str, Any]:
    return {}


class JsonLines(logging.Formatter):
    """``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, what ``about`` knows, and perhaps ``exception``.

    No secret is on the line, no line break, and nothing but ASCII, which every stream takes.
    """

    def __init__(self, about: About = _nothing) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """The whole line, but for its end."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._about(record),
        }
        trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else record.stack_info)
        if trace:
            line["exception"] = trace
        return json.dumps({name: _clean(value) for name, value in line.items()})


def _clean(value: object) -> object:
    """Before it is JSON: a secret of digits only, say, would leave none."""
    return value if isinstance(value, int | None) else redacted(str(value))
