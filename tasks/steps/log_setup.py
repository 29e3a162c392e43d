"""How worker and beat write their logs: as Celery does, or with ``IMAGECHORD_LOG_FORMAT=json`` as JSON.

In that case nothing but JSON is written: no banner, and what Celery says past its log is a line of the log as well.
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from celery.app.log import Logging
from celery.apps import worker as worker_program
from celery.apps.beat import Beat

from tasks.core.log_lines import JsonLines
from tasks.services import current_services
from tasks.steps.log import without_secrets
from tasks.steps.subject import subject

# The stubs leave out what is changed here.
_Logging: Any = Logging
_Beat: Any = Beat
_program: Any = worker_program


class Log(_Logging):  # type: ignore[misc]
    """Celery's set-up of its logs, which lets no secret through."""

    _worker = ""

    def setup(self, *args: Any, hostname: str | None = None, **options: Any) -> Any:
        """What Celery's programs call first."""
        self._worker = hostname or ""
        return super().setup(*args, hostname=hostname, **options)

    def setup_handlers(self, logger: logging.Logger, *args: Any, **options: Any) -> Any:
        """What Celery calls for each logger that it gives a handler."""
        made = super().setup_handlers(logger, *args, **options)
        # At the handlers: libraries tell their loggers what they send, and records of those below pass no filter above.
        for handler in logger.handlers:
            handler.addFilter(without_secrets)
            if current_services().settings.logs_json:
                handler.setFormatter(JsonLines(self._about))
        return made

    def _about(self, record: logging.LogRecord) -> dict[str, Any]:
        return ({"worker": self._worker} if self._worker else {}) | subject(record)


class QuietWorker(_program.Worker):  # type: ignore[misc]
    """``celery worker``, where only JSON may be written."""

    def on_before_init(self, quiet: bool = False, **options: Any) -> None:
        """Before Celery has set up its log, or warned of anything."""
        as_json = current_services().settings.logs_json
        if as_json:
            _program.safe_say = _say
            warnings.showwarning = _warn  # type: ignore[assignment]  # what else Python tells is not needed
        super().on_before_init(quiet=quiet or as_json, **options)


class QuietBeat(_Beat):  # type: ignore[misc]
    """``celery beat``, likewise."""

    quiet: bool

    def run(self) -> None:
        """Until it is told to stop."""
        self.quiet = self.quiet or current_services().settings.logs_json
        super().run()


def _say(message: str, _stream: Any = None, level: int = logging.INFO) -> None:
    """Past the handlers: signal handlers may not wait for their locks, and at first there are none."""
    record = logging.LogRecord("celery.worker", level, "", 0, message, None, None)
    os.write(2, f"{JsonLines(subject).format(record)}\n".encode())


def _warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_more: Any) -> None:
    _say(f"{filename}:{lineno}: {category.__name__}: {message}", level=logging.WARNING)
