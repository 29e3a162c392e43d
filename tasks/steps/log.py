"""A worker's log: what is expected makes no noise there, so that what is not stands out; and it holds no secret."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps

from tasks.core import routing
from tasks.core.errors import ImageEnded, Superseded
from tasks.core.redaction import redacted

_PLAIN = logging.Formatter()


class QuietLog(bootsteps.Step):
    """Takes two things out of Celery's log, before the first task runs."""

    def __init__(self, worker: Any, **_options: Any) -> None:
        super().__init__(worker)
        logging.getLogger("celery.backends.redis").addFilter(_is_no_expected_end)
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).addFilter(_is_no_routine_sweep)


def _is_no_expected_end(record: logging.LogRecord) -> bool:
    """A wave with a failed image has its errback called, and Celery logs that as an error with a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(getattr(error, "__cause__", None), ImageEnded | Superseded)


def without_secrets(record: logging.LogRecord) -> bool:
    """Let every record pass, cleaned, its traceback included."""
    message = record.getMessage()
    if (clean := redacted(message)) != message:
        record.msg, record.args = clean, ()
    if record.exc_info and not record.exc_text:
        record.exc_text = redacted(_PLAIN.formatException(record.exc_info))
    return True


def _is_no_routine_sweep(record: logging.LogRecord) -> bool:
    """The sweep comes every few seconds, and says itself when it finds something."""
    name = record.args.get("name") if isinstance(record.args, dict) else None
    return name != routing.SWEEP or record.levelno > logging.INFO
