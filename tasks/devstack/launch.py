"""``python -P -m tasks.devstack.launch LOG BROKER… -- ARGUMENTS``: start the broker, then be ``celery ARGUMENTS``.

The broker is the worker's child and gets SIGTERM when the worker has ended (on Linux): however the command that
started both comes to its end, the worker can finish the calls that are paid for, and neither stays behind.

``-P`` keeps a module called ``tasks`` in the user's folder from being taken for ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.devstack.death import start_child

_APART = "--"


def command(log: Path, broker: list[str], arguments: tuple[str, ...]) -> list[str]:
    """The command line that starts both; ``log`` is the broker's."""
    return [sys.executable, "-P", "-m", "tasks.devstack.launch", str(log), *broker, _APART, *arguments]


def _main() -> None:
    log, *arguments = sys.argv[1:]
    apart = arguments.index(_APART)
    start_child(arguments[:apart], Path(log))
    # While the broker starts; ``-A tasks`` then finds the module that is loaded already.
    from celery.__main__ import main

    import tasks.celery  # noqa: F401

    sys.argv = ["celery", *arguments[apart + 1 :]]
    main()


if __name__ == "__main__":
    _main()
