"""AnyCap through its command line, as version 0.6.2 behaves (checked against the real binary in the tests).

Its exit code says little: 1 stands for every failure, and 0 also for an answer without a picture. What happened
is read from the JSON on stdout and from the picture file itself; :mod:`tasks.providers.anycap_answer` has the rules.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tasks.core.errors import Account, Ambiguous, BadBytes, Invalid, NoImage, NotSent, StepError
from tasks.core.health import Health
from tasks.pictures.inspect import MAX_BYTES, inspect
from tasks.providers.anycap_answer import Answer, failure, read_answer
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.child import Finished, run_child
from tasks.providers.fetch import fetch_picture

INSTALL = "npm install -g @anycap/cli"

_PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
)
"""All that the program gets of our environment: none of the other services' secrets are in it."""

_CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class AnycapProvider:
    """``generate`` runs ``anycap image generate`` once, which sends at most one paid request.

    ``api_key`` may be ``None`` when ``anycap login`` was done in ``config_dir``; ``endpoint`` ``None`` is AnyCap's
    own. ``usd_micros_per_credit`` turns the reported credits into money; without it the cost stays unknown.
    ``allow_private_urls``: the pictures' URLs may lead to this machine or a private network.
    """

    config_dir: Path
    binary: str = "anycap"
    api_key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    usd_micros_per_credit: int | None = None
    allow_private_urls: bool = False

    name = "anycap"
    capabilities: ClassVar = Capabilities(edit=True, seed=True, sizes=("aspect_ratio", "list"))

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Buy one picture. Raises the StepError that the answer calls for, see ``anycap_answer``."""
        until = time.monotonic() + request.deadline_seconds
        target = request.scratch / "picture.png"  # the name says nothing of the format
        finished = self._run(_arguments(request, target), request.scratch, request.deadline_seconds)
        answer = self._judged(finished, request.deadline_seconds)
        cost = self._cost(answer)
        if not answer.local_path or not _is_plain_file(target):
            raise NoImage("AnyCap reported success and sent no picture", cost_usd_micros=cost, trace_id=answer.trace_id)
        data = self._whole_picture(target, answer, until)
        return GeneratedPicture(data, cost_usd_micros=cost, trace_id=answer.trace_id)

    def check(self) -> Health:
        """Look for the program and a key; nothing is sent to AnyCap."""
        if shutil.which(self.binary) is None:
            return Health(
                self.name, "bad", f"there is no program {self.binary!r} on the PATH", f"install it: {INSTALL}"
            )
        try:
            version = self._ask("--version").removeprefix("anycap version ")
            shown = json.loads(self._ask("credentials", "show"))
        except StepError as error:
            return Health(self.name, "bad", str(error), INSTALL)
        except ValueError:
            shown = {}
        if isinstance(shown, dict) and shown.get("authenticated") is True:
            return Health(self.name, "ok", f"anycap {version}, key from {shown.get('credential', 'its own store')}")
        login = f"set ANYCAP_API_KEY, or run ANYCAP_CONFIG_DIR={self.config_dir} ANYCAP_NO_KEYRING=1 anycap login"
        return Health(self.name, "bad", f"anycap {version} has no key", login)

    def _run(self, arguments: list[str], cwd: Path, deadline_seconds: float) -> Finished:
        """Start the program. Raises Account when it is not there, NotSent when the machine cannot start it now."""
        try:
            self.config_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Account(f"the folder {self.config_dir} for anycap cannot be made: {error.strerror}") from error
        try:
            return run_child(
                [self.binary, *arguments], env=self._environment(), cwd=cwd, deadline_seconds=deadline_seconds
            )
        except ValueError as error:
            raise Invalid(f"the prompt cannot be passed to a program: {error}; remove the NUL character") from error
        except OSError as error:
            raise self._not_started(error) from error

    def _not_started(self, error: OSError) -> StepError:
        if error.errno == errno.E2BIG:
            return Invalid("the prompt is too long for a command line; shorten it")
        if error.errno in {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}:
            return NotSent(f"this machine could not start anycap: {error.strerror}")
        return Account(f"the program {self.binary!r} cannot be run ({error.strerror}); install it: {INSTALL}")

    def _environment(self) -> dict[str, str]:
        env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        env |= {"ANYCAP_CONFIG_DIR": str(self.config_dir.absolute()), "ANYCAP_NO_UPDATE": "1", "ANYCAP_NO_KEYRING": "1"}
        if self.api_key:
            env["ANYCAP_API_KEY"] = self.api_key
        if self.endpoint:
            env["ANYCAP_API_ENDPOINT"] = self.endpoint
        return env

    def _judged(self, finished: Finished, deadline_seconds: float) -> Answer:
        """The answer, if it is a success. Raises what it calls for otherwise."""
        if finished.returncode is None:
            raise Ambiguous(f"AnyCap did not answer within {deadline_seconds:g} s; the picture may have been paid for")
        answer = read_answer(finished)
        error = failure(answer)
        if error is None:
            return answer
        raise type(error)(str(error), cost_usd_micros=self._cost(answer), trace_id=answer.trace_id)

    def _cost(self, answer: Answer) -> int | None:
        if self.usd_micros_per_credit is None or answer.credits_used is None:
            return None
        return round(answer.credits_used * self.usd_micros_per_credit)

    def _whole_picture(self, file: Path, answer: Answer, until: float) -> bytes:
        """The file's bytes if they are a picture; else one more download of what has been paid for. Raises BadBytes."""
        try:
            try:
                return _checked(_read(file))
            except BadBytes as error:
                if not answer.url:
                    raise
                return self._fetched_again(answer.url, error, until)
        except BadBytes as error:
            raise BadBytes(str(error), cost_usd_micros=self._cost(answer), trace_id=answer.trace_id) from error

    def _fetched_again(self, url: str, first: BadBytes, until: float) -> bytes:
        """The picture from the URL that the answer names: a GET costs nothing. Raises BadBytes."""
        left = until - time.monotonic()
        try:
            data = fetch_picture(url, allow_private=self.allow_private_urls, max_bytes=MAX_BYTES, deadline_seconds=left)
        except StepError as second:
            raise BadBytes(f"{first}; again: {second}") from second
        return _checked(data)

    def _ask(self, *arguments: str) -> str:
        """What the program says to a question that needs no network. Raises Account when it cannot be asked."""
        finished = self._run(list(arguments), Path.cwd(), _CHECK_SECONDS)
        if finished.returncode != 0:
            raise Account(f"{self.binary} {' '.join(arguments)} does not work here")
        return finished.stdout.decode("utf-8", "replace").strip()


def _arguments(request: GenerationRequest, target: Path) -> list[str]:
    """The command line. Every value is glued to its flag, so that one beginning with ``-`` stays a value."""
    parameters = dict(request.parameters)
    arguments = ["image", "generate", f"--prompt={request.prompt}", f"--model={request.model}"]
    mode = parameters.pop("mode", "image-to-image" if request.references else None)
    if mode:
        arguments.append(f"--mode={mode}")
    if request.references:
        parameters["images"] = json.dumps([str(path.absolute()) for path in request.references])
    arguments += [f"--param={name}={value}" for name, value in parameters.items()]
    return [*arguments, f"--output={target.absolute()}"]


def _is_plain_file(file: Path) -> bool:
    """Whether there is a file of bytes: no link to another one, and no pipe to wait at."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except FileNotFoundError:
        return False


def _read(file: Path) -> bytes:
    """What the file holds, and of one that is too long no more than shows it."""
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _checked(data: bytes) -> bytes:
    """The bytes of a whole picture, unchanged. Raises BadBytes."""
    inspect(data)
    return data
