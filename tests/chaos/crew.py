"""The workers, and who starts another one when one has gone, as an operator's supervisor does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Sequence

from tests.integration.stack import Stack, Worker


class Crew:
    """So many places, each with a living worker again as soon as the last one has gone.

    ``own_deaths`` are the logs of workers that ended although nobody asked or killed them.
    """

    def __init__(self, stack: Stack, size: int, options: Sequence[str] = ()) -> None:
        self._stack, self._options = stack, options
        self._lives = [0] * size
        self._leaving: set[int] = set()
        self.own_deaths: list[str] = []
        self.places = [self._start(place) for place in range(size)]

    def _start(self, place: int) -> Worker:
        self._lives[place] += 1
        worker = Worker(self._stack, f"worker-{place}-{self._lives[place]}", self._options)
        self._stack.workers.append(worker)
        return worker

    def tend(self) -> None:
        """Fill the places of those that have gone."""
        for place, worker in enumerate(self.places):
            if worker.process.poll() is not None:
                if worker.process.pid not in self._leaving:
                    self.own_deaths.append(worker.log.name)
                self.places[place] = self._start(place)

    def kill(self, place: int) -> None:
        """``kill -9`` of one worker with all its processes."""
        worker = self.places[place]
        self._leaving.add(worker.process.pid)
        if worker.process.poll() is None:
            worker.kill()

    def kill_all(self) -> None:
        """The same for every worker, as when their machine loses power."""
        for place in range(len(self.places)):
            self.kill(place)

    def terminate(self, place: int) -> None:
        """Ask one worker to finish what it has in hand and go."""
        worker = self.places[place]
        self._leaving.add(worker.process.pid)
        if worker.process.poll() is None:
            worker.terminate()

    def freeze(self, place: int, seconds: float) -> None:
        """Stop one worker where it is, as a machine that sleeps does; it wakes up by itself."""
        worker = self.places[place]
        if worker.process.poll() is None:
            os.killpg(worker.process.pid, signal.SIGSTOP)
            thaw = threading.Timer(seconds, _thaw, (worker,))
            thaw.daemon = True
            thaw.start()

    def stop(self) -> None:
        """End them all, gently if that is quick."""
        for worker in self.places:
            if worker.process.poll() is None:
                worker.terminate()
        for worker in self.places:
            worker.stop()


def _thaw(worker: Worker) -> None:
    if worker.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGCONT)
