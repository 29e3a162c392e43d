"""What only a folder does: atomic writes, file modes, links, and a disk that refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tasks.core.errors import Invalid
from tasks.storage.folder import FolderPublic, FolderStaging
from tasks.storage.locations import staging_from_url


def test_no_half_files_stay(tmp_path: Path) -> None:
    """After a put only the file itself is there."""
    FolderStaging(tmp_path).put("a/SKU-1.png", b"picture", "image/png")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["SKU-1.png"]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    """Somebody who is reading the old picture keeps it whole while a new one takes its place."""
    staging = FolderStaging(tmp_path)
    staging.put("SKU-1.png", b"the old picture", "image/png")
    with (tmp_path / "SKU-1.png").open("rb") as reader:
        staging.put("SKU-1.png", b"new", "image/png")
        assert reader.read() == b"the old picture"
    assert staging.get("SKU-1.png") == b"new"


def test_published_files_can_be_served(tmp_path: Path) -> None:
    """A file has the mode that the umask gives, so that a web server of another user can read it."""
    FolderStaging(tmp_path).put("SKU-1.png", b"picture", "image/png")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "SKU-1.png").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    """A symbolic link inside the root that points elsewhere is an escape like any other."""
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid, match="symbolic link"):
        FolderStaging(tmp_path / "root").put("link/x.png", b"picture", "image/png")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("key", ["SKU-1.png/inside.png", "x" * 300 + ".png"])
def test_names_that_cannot_be(tmp_path: Path, key: str) -> None:
    """A key below a file, or longer than the file system allows, is Invalid and leaves nothing behind."""
    staging = FolderStaging(tmp_path)
    staging.put("SKU-1.png", b"picture", "image/png")
    with pytest.raises(Invalid, match="cannot be a file"):
        staging.put(key, b"picture", "image/png")
    assert [p.name for p in tmp_path.iterdir()] == ["SKU-1.png"]


def test_a_key_that_is_a_folder(tmp_path: Path) -> None:
    """A key that others use as a folder is Invalid, to write and to read."""
    staging = FolderStaging(tmp_path)
    staging.put("a/b.png", b"picture", "image/png")
    with pytest.raises(Invalid):
        staging.put("a", b"picture", "image/png")
    with pytest.raises(Invalid):
        staging.get("a")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The check of a root below a file is bad and names the variable to set."""
    (tmp_path / "file").write_text("")
    health = FolderStaging(tmp_path / "file" / "root").check()
    assert health.status == "bad"
    assert "STAGING_URL" in health.mend
    assert "IMAGECHORD_OUTPUT" in FolderPublic(tmp_path / "file" / "root").check().mend


def on_a_small_disk(folder: Path, then: str, script: str) -> list[str]:
    """Run a script with ``folder`` on a file system of 64 kB of its own, which is gone when the script ends.

    ``then`` is a shell command between mounting and the script. Returns the lines that the script printed.
    """
    shell = f'mount -t tmpfs -o size=64k tmpfs "$1" && {then} && exec "$2" -c "$3" "$1"'
    argv = ["unshare", "--mount", "--map-root-user", "sh", "-c", shell, "sh", str(folder), sys.executable, script]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    if "unshare: " in done.stderr or "mount: " in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


PUT = """
import sys
from pathlib import Path
from tasks.core.errors import StepError
from tasks.storage.folder import FolderStaging
staging = FolderStaging(Path(sys.argv[1]))
def put(data):
    try:
        staging.put("SKU-1.png", data, "image/png")
    except StepError as error:
        print(error.error_class, error)
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs Linux's unshare")
def test_a_full_disk_says_so(tmp_path: Path) -> None:
    """No space left is Overloaded in clear words, the old file stays whole, and nothing is left behind."""
    script = PUT + 'put(b"old"); put(b"x" * 100_000); print(staging.get("SKU-1.png"), *Path(sys.argv[1]).iterdir())'
    assert on_a_small_disk(tmp_path, "true", script) == [
        f"overloaded the disk of {tmp_path} is full; free some space",
        f"b'old' {tmp_path}/SKU-1.png",
    ]


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs Linux's unshare")
def test_a_read_only_disk_is_the_accounts_trouble(tmp_path: Path) -> None:
    """Where nobody may write, a person must act."""
    (line,) = on_a_small_disk(tmp_path, 'mount -o remount,ro "$1"', PUT + 'put(b"new")')
    assert line.startswith(f"account {tmp_path} cannot be written (Read-only file system)")


def test_urls_of_a_served_folder(tmp_path: Path) -> None:
    """With a base URL, the URL is base and quoted key; without one it is a file's."""
    assert FolderPublic(tmp_path, "https://shop.example.com/i/").url("머그/a b.png") == (
        "https://shop.example.com/i/%EB%A8%B8%EA%B7%B8/a%20b.png"
    )
    assert FolderPublic(tmp_path).url("a b.png") == f"file://{tmp_path.resolve()}/a%20b.png"


def test_staging_url_of_a_folder(tmp_path: Path) -> None:
    """file:///… gives a folder, quoted characters included, and S3 is not touched."""
    staging = staging_from_url(f"file://{tmp_path}/a%20b", _no_client)
    assert isinstance(staging, FolderStaging)
    assert staging.root == tmp_path / "a b"


def _no_client() -> NoReturn:
    pytest.fail("a folder needs no S3 client")
