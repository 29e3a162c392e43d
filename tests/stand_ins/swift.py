"""S3 as OpenStack Swift speaks it (``s3api``): a production store that checks digests, signatures and credentials.

Swift lives in a virtual environment of its own, see :mod:`tests.stand_ins.own_venv`.
"""

from __future__ import annotations

import getpass
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.stand_ins.own_venv import NotInstalled, bin_folder
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.supervisor import supervised

_REQUIREMENTS = Path(__file__).with_name("swift-requirements.txt")
_SERVERS = ("account", "container", "object", "proxy")


class SwiftUnavailable(Exception):
    """Swift cannot be installed or started here; the text says why."""


@contextmanager
def swift_s3() -> Iterator[S3Server]:
    """Four small server processes and no bucket. Raises SwiftUnavailable."""
    bin_folder = _installed()
    with tempfile.TemporaryDirectory(prefix="swift-") as name:
        folder = Path(name)
        ports = dict(zip(_SERVERS, free_ports(len(_SERVERS)), strict=True))
        _configure(folder, bin_folder, ports)
        commands = {s: [str(bin_folder / f"swift-{s}-server"), str(folder / f"{s}.conf"), "verbose"] for s in _SERVERS}
        with supervised(commands, folder, env={"SWIFT_DIR": str(folder)}):
            url = f"http://127.0.0.1:{ports['proxy']}"
            try:
                wait_until_up(f"{url}/healthcheck", folder / "proxy.log")
            except TimeoutError as error:
                raise SwiftUnavailable(str(error)) from error
            yield S3Server(url, "test:tester", "testing", public_path="/v1/AUTH_test")


def _installed() -> Path:
    try:
        return bin_folder("swift", _REQUIREMENTS)
    except NotInstalled as error:
        raise SwiftUnavailable(str(error)) from error


def _configure(folder: Path, bin_folder: Path, ports: Mapping[str, int]) -> None:
    devices = folder / "devices"
    (devices / "sda").mkdir(parents=True)
    (folder / "swift.conf").write_text(_SWIFT)
    for server in _SERVERS:
        common = _COMMON.format(folder=folder, user=getpass.getuser(), port=ports[server])
        body = _PROXY if server == "proxy" else _STORE.format(devices=devices, server=server)
        (folder / f"{server}.conf").write_text(common + body)
        if server != "proxy":
            _build_ring(folder, bin_folder, server, ports[server])


def _build_ring(folder: Path, bin_folder: Path, server: str, port: int) -> None:
    """One partition power, one replica, one device: enough for a real ring."""
    ring_builder = [bin_folder / "swift-ring-builder", folder / f"{server}.builder"]
    device = f"--region 1 --zone 1 --ip 127.0.0.1 --port {port} --device sda --weight 1".split()
    for arguments in (["create", "4", "1", "1"], ["add", *device], ["rebalance"]):
        done = subprocess.run([*ring_builder, *arguments], check=False, capture_output=True, text=True, timeout=60)
        if done.returncode not in {0, 1}:  # 1 is a warning
            raise SwiftUnavailable(f"swift-ring-builder: {done.stdout}{done.stderr}")


_SWIFT = """\
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests

[storage-policy:0]
name = only
default = yes
"""

_COMMON = """\
[DEFAULT]
swift_dir = {folder}
user = {user}
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
log_address = /dev/null
"""

_STORE = """\
devices = {devices}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0

[pipeline:main]
pipeline = {server}-server

[app:{server}-server]
use = egg:swift#{server}
"""

_PROXY = """\

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:bulk]
use = egg:swift#bulk

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin

[filter:copy]
use = egg:swift#copy

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo
"""
