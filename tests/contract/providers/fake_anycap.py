"""A stand-in for the ``anycap`` program: says what version 0.6.2 was heard to say, one scene for each trap.

The scene is chosen by the test through the folder of the configuration (``scene``); each call is noted there
(``calls.jsonl``) with its arguments and environment. Runs without any package.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

CONFIG = Path(os.environ.get("ANYCAP_CONFIG_DIR", "."))
CREDITS = 3


def picture(width: int = 64, height: int = 64) -> bytes:
    """A one-coloured PNG, without Pillow."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + b"\x20\x40\x80" * width) * height
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def success(data: bytes | None = None, **changes: object) -> None:
    """Exit 0 with the JSON of a success, the picture saved where it was asked for."""
    target = next(a.partition("=")[2] for a in sys.argv if a.startswith("--output="))
    if data is not None:
        Path(target).write_bytes(data)
    body = {"status": "success", "local_path": target, "url": "", "model": "m", "credits_used": CREDITS}
    say({**body, "hint": "Present the result to the user.", "trace_id": "trc_fake", **changes}, 0)


def failure(error: str, message: str = "", hint: str = "", code: int = 1) -> None:
    """Exit 1, as for every failure."""
    say({"error": error, "message": message, "hint": hint, "trace_id": "trc_fake"}, code)


def say(body: object, code: int) -> None:
    """Print the JSON and end."""
    print(json.dumps(body), flush=True)
    sys.exit(code)


def nested(code: str) -> str:
    """The server's JSON, as a string in ``message``."""
    return json.dumps({"error": code, "message": "because"})


def hang(with_child: bool = False) -> None:
    """Never answer, and do not listen to TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if with_child:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (CONFIG / "child.pid").write_text(str(child.pid))
    time.sleep(600)


def instead_of_a_file(make: Callable[[Path], object]) -> None:
    """Exit 0 with something else than a file where the picture should be."""
    make(Path(next(a.partition("=")[2] for a in sys.argv if a.startswith("--output="))))
    success()


def huge(target: Path) -> None:
    """Three gigabytes, which take no room on the disk."""
    with target.open("wb") as file:
        file.write(picture())
        file.truncate(3 << 30)


def leave_a_child() -> None:
    """Answer and exit while a child keeps the pipes open."""
    hang_in_child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (CONFIG / "child.pid").write_text(str(hang_in_child.pid))
    success(picture())


def flood() -> None:
    """Far more output than anybody keeps, then no JSON."""
    for _ in range(200):
        sys.stdout.write("x" * 65536)
        sys.stderr.write("y" * 65536)
    sys.exit(1)


def post(reason: str) -> str:
    """The way Go words a failed POST."""
    return f'Post "https://api.anycap.ai/v1/image/generate": {reason}'


def raw(text: str, code: int) -> None:
    """Write something that is no JSON, and end."""
    sys.stdout.write(text)
    sys.exit(code)


SCENES: dict[str, Callable[[], object]] = {
    "success": lambda: success(picture()),
    "no credits told": lambda: success(picture(), credits_used=None),
    "http_429": lambda: failure("http_429", "slow down"),
    "429 coded": lambda: failure("RATE_LIMITED", "too many requests", "rate limited, retry after a short delay"),
    "429 that is about credit": lambda: failure("http_429", nested("INSUFFICIENT_CREDIT")),
    "http_500": lambda: failure("http_500", "oops"),
    "http_502": lambda: failure("http_502", "<html>bad gateway</html>"),
    "http_503": lambda: failure("http_503", "later"),
    "http_504": lambda: failure("http_504", "gateway timeout"),
    "http_529": lambda: failure("http_529", "overloaded"),
    "http_5xx": lambda: failure("http_5xx", "whatever"),
    "5xx of an unknown code": lambda: failure("SNAFU", "oops", "server error; report with: anycap feedback"),
    "http_400": lambda: failure("http_400", "bad"),
    "http_4xx": lambda: failure("http_4xx", "whatever"),
    "http_404": lambda: failure("http_404", "no such model"),
    "content rejected": lambda: failure("http_400", nested("CONTENT_REJECTED")),
    "content rejected, 4xx": lambda: failure("http_4xx", json.dumps({"error": {"code": "CONTENT_REJECTED"}})),
    "content rejected, coded": lambda: failure("CONTENT_REJECTED", "no"),
    "content rejected, flat code": lambda: failure("http_400", json.dumps({"code": "CONTENT_REJECTED"})),
    "no credit": lambda: failure("http_402", nested("INSUFFICIENT_CREDIT")),
    "no credit, 4xx": lambda: failure("http_4xx", nested("INSUFFICIENT_CREDIT")),
    "rate limit as 4xx": lambda: failure("http_4xx", nested("RATE_LIMITED")),
    "feature disabled": lambda: failure("http_403", nested("FEATURE_DISABLED")),
    "feature not allowed": lambda: failure("FEATURE_NOT_ALLOWED", "not in your plan"),
    "http_403": lambda: failure("http_403", "forbidden"),
    "missing input": lambda: failure("http_400", nested("missing_input")),
    "invalid param": lambda: failure("invalid_param", "aspect_ratio"),
    "unknown 4xx code": lambda: failure("TEAPOT", "no"),
    "auth_required": lambda: failure("auth_required", "not authenticated", "run 'anycap login' to authenticate"),
    "auth_invalid": lambda: failure("auth_invalid", "bad key", "run 'anycap login' to authenticate"),
    "unknown auth code": lambda: failure("KEY_GONE", "bad key", "run 'anycap login' to authenticate"),
    "the key in the message": lambda: failure("http_403", "key " + os.environ["ANYCAP_API_KEY"] + " is bad"),
    "refused connection": lambda: failure(
        "connection_error", post("dial tcp 1.2.3.4:443: connect: connection refused")
    ),
    "no such host": lambda: failure("connection_error", post("dial tcp: lookup api.anycap.ai: no such host")),
    "connect timeout": lambda: failure("connection_error", post("dial tcp 1.2.3.4:443: i/o timeout")),
    "bad certificate": lambda: failure("connection_error", post("tls: failed to verify certificate: x509: unknown")),
    "proxy down": lambda: failure("connection_error", post("proxyconnect tcp: dial tcp: connection refused")),
    "dropped": lambda: failure("connection_error", post("EOF")),
    "reset": lambda: failure(
        "connection_error", post("read tcp 1.2.3.4:5->6.7.8.9:443: read: connection reset by peer")
    ),
    "paid but lost": lambda: failure("connection_error", "operation succeeded but download failed: EOF"),
    "paid but lost, 403": lambda: failure(
        "error", "operation succeeded but download failed: download failed: HTTP 403"
    ),
    "upload failed": lambda: failure(
        "error", 'failed to resolve parameter "images": storage upload failed: status 403 after 1 attempt(s)'
    ),
    "no schema": lambda: failure("error", "model schema is unavailable; cannot safely classify local media input"),
    "gateway while uploading": lambda: failure("http_504", "gateway timeout"),
    "dropped while uploading": lambda: failure("connection_error", post("EOF")),
    "unknown flag": lambda: failure("error", "unknown flag: --async"),
    "unknown error": lambda: failure("error", "something odd"),
    "invalid args": lambda: failure("invalid_args", "too many"),
    "exit 0 with an error": lambda: say({"error": {"code": "GENERATION_FAILED", "message": "broke"}}, 0),
    "exit 0, content rejected": lambda: say({"error": {"code": "CONTENT_REJECTED", "message": "no"}}, 0),
    "exit 0 with a plain error": lambda: say({"error": "broke"}, 0),
    "exit 0, still processing": lambda: say({"status": "processing", "data": {"task_id": "x"}}, 0),
    "exit 0, no outputs": lambda: success(local_path=""),
    "exit 0, no file": success,
    "exit 0, html": lambda: raw("<html>welcome to the hotel's wifi</html>", 0),
    "exit 0, nothing": lambda: raw("", 0),
    "json as picture": lambda: success(b'{"error":{"code":"STORAGE"}}'),
    "html as picture": lambda: success(b"<!doctype html><title>404</title>"),
    "empty picture": lambda: success(b""),
    "a link to a secret": lambda: instead_of_a_file(lambda target: target.symlink_to("/etc/passwd")),
    "a pipe": lambda: instead_of_a_file(os.mkfifo),
    "a folder": lambda: instead_of_a_file(Path.mkdir),
    "three gigabytes": lambda: instead_of_a_file(huge),
    "truncated picture": lambda: success(picture()[:-20]),
    "success with exit 1": lambda: say({"status": "success", "local_path": "/nowhere.png"}, 1),
    "hang": hang,
    "hang with a child": lambda: hang(with_child=True),
    "leave a child": leave_a_child,
    "flood": flood,
    "killed silently": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "broken": lambda: raw("", 127),
    "json list": lambda: raw("[1, 2]", 1),
}
SILENT = {
    *("unknown flag", "invalid args", "broken", "killed silently"),
    *("upload failed", "no schema", "gateway while uploading", "dropped while uploading"),
}


def main() -> None:
    """Note the call, answer the questions of ``check``, else play the scene."""
    with (CONFIG / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps({"arguments": sys.argv[1:], "env": dict(os.environ)}) + "\n")
    if sys.argv[1:] == ["--version"]:
        raw("anycap version 0.6.2\n", 0)
    if sys.argv[1:] == ["credentials", "show"]:
        key = "ANYCAP_API_KEY" in os.environ
        say({"authenticated": key, "credential": "environment (ANYCAP_API_KEY)" if key else "none"}, 0)
    scene = (CONFIG / "scene").read_text()
    if scene not in SILENT:
        print(json.dumps({"event": "invocation_started", "capability": "image.generate"}), file=sys.stderr, flush=True)
    SCENES[scene]()


if __name__ == "__main__":
    main()
