"""Writers to one SQLite file wait for each other, in a process and between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

from tasks.ledger.turns import WriteTurn

HOLDER = """\
import sys
from pathlib import Path
from tasks.ledger.turns import WriteTurn
with WriteTurn(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.readline()
"""


def take(turn: WriteTurn, taken: threading.Event) -> threading.Thread:
    """Take the turn in a thread, say so, and give it back."""

    def run() -> None:
        with turn:
            taken.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_threads_take_turns(tmp_path: Path) -> None:
    """The second waits until the first has ended."""
    taken = threading.Event()
    with closing(WriteTurn(tmp_path / "turn")) as turn:
        with turn:
            thread = take(turn, taken)
            assert not taken.wait(0.2)
        assert taken.wait(10)
        thread.join()


def test_processes_take_turns(tmp_path: Path) -> None:
    """A process waits for another one, and has its turn when that ends or dies."""
    path, taken = tmp_path / "turn", threading.Event()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder, closing(WriteTurn(path)) as turn:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        thread = take(turn, taken)
        assert not taken.wait(0.2)
        holder.kill()
        assert taken.wait(10)
        thread.join()


def test_without_a_file_the_threads_still_take_turns(tmp_path: Path) -> None:
    """Where the file cannot be made, SQLite's own lock has to keep processes apart."""
    taken = threading.Event()
    with closing(WriteTurn(tmp_path / "missing" / "turn")) as turn:
        with turn:
            thread = take(turn, taken)
            assert not taken.wait(0.2)
        assert taken.wait(10)
        thread.join()
