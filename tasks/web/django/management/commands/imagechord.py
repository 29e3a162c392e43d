"""``python manage.py imagechord …``: the console script's commands, in the host's project."""

from __future__ import annotations

import sys
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tasks.cli.main import main


class Command(BaseCommand):
    """Passes everything on; see ``imagechord --help``."""

    help = "Rows in, published pictures out: the same commands as the console script's."
    requires_system_checks: tuple[str, ...] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Without Django's own options, so that --help is that of the commands."""
        self._run(argv[0], argv[2:])

    def add_arguments(self, parser: ArgumentParser) -> None:
        """For ``call_command("imagechord", "status")``."""
        parser.add_argument("arguments", nargs=REMAINDER)

    def handle(self, *_args: Any, **options: Any) -> None:
        """As above; an exit code that is not 0 is raised as CommandError."""
        try:
            self._run("manage.py", options["arguments"])
        except SystemExit as end:
            if end.code:
                raise CommandError(f"imagechord ends with {end.code}", returncode=end.code) from end

    def _run(self, program: str, arguments: list[str]) -> None:
        before, sys.argv = sys.argv, [f"{program} imagechord", *arguments]
        try:
            main()
        finally:
            sys.argv = before
