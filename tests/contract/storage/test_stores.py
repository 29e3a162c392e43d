"""What every store keeps, whichever it is: a folder, S3 on moto, S3 on OpenStack Swift."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pytest

from tasks.core.errors import BadBytes, Invalid
from tasks.storage.base import Missing, StagedPicture
from tests.contract.storage.conftest import Store, fetch, stage

PICTURE = bytes(range(256)) * 40
ESCAPES = ["../x.png", "a/../../x.png", "/etc/x.png", "a//b.png", "", "./x.png", "a\\b.png", "a\nb.png", "a\x00.png"]
KEYS = ["plain.png", "catalogue/SKU-1.png", "상품/머그컵 1+1 & 50%?#.png", "a=b;c,d'e(f)~!.png"]


def test_staging_gives_back_what_was_put(store: Store) -> None:
    """Bytes come back as they went in, and a later put replaces them."""
    store.staging.put("batch/SKU-1.png", b"first", "image/png")
    store.staging.put("batch/SKU-1.png", PICTURE, "image/png")
    assert store.staging.get("batch/SKU-1.png") == PICTURE


def test_a_missing_staged_picture_is_invalid(store: Store) -> None:
    """What is not there will not be there on the next try either, and the error names the key or the cause."""
    with pytest.raises(Missing, match=r"nothing\.png|NoSuchKey"):
        store.staging.get("nothing.png")


def test_deleting_twice_is_fine(store: Store) -> None:
    """Delete removes, and a key that is not there is no error."""
    store.staging.put("SKU-1.png", PICTURE, "image/png")
    store.staging.delete("SKU-1.png")
    store.staging.delete("SKU-1.png")
    with pytest.raises(Invalid):
        store.staging.get("SKU-1.png")


@pytest.mark.parametrize("key", ESCAPES)
def test_a_key_cannot_leave_its_place(store: Store, key: str) -> None:
    """Keys that would escape, or could not be addressed, are refused by every operation of both stores."""
    staged = stage(store.staging, "good.png", PICTURE)
    with pytest.raises(Invalid):
        store.staging.put(key, PICTURE, "image/png")
    with pytest.raises(Invalid):
        store.staging.get(key)
    with pytest.raises(Invalid):
        store.staging.delete(key)
    with pytest.raises(Invalid):
        store.public.publish(staged, store.staging, key, {})


@pytest.mark.parametrize("key", KEYS)
def test_the_url_leads_to_the_bytes(store: Store, key: str) -> None:
    """Publishing returns a quoted ASCII URL; whoever opens it, without credentials, gets the picture."""
    staged = stage(store.staging, key, PICTURE)
    url = store.public.publish(staged, store.staging, key, {"fingerprint": "f" * 64})
    assert url == store.public.url(key)
    assert url.isascii()
    assert " " not in url
    assert unquote(url).endswith(key)
    assert fetch(url)[0] == PICTURE


def test_publishing_from_elsewhere(store: Store) -> None:
    """A staging store of another kind works too: the bytes then pass through the worker."""
    staged = stage(store.staging_elsewhere, "SKU-1.png", PICTURE)
    assert fetch(store.public.publish(staged, store.staging_elsewhere, "SKU-1.png", {}))[0] == PICTURE


def test_publishing_again_is_harmless(store: Store) -> None:
    """Twice the same gives the same URL, and a new picture under an old key replaces it whole."""
    first = stage(store.staging, "one.png", PICTURE)
    second = stage(store.staging, "two.png", b"another picture")
    url = store.public.publish(first, store.staging, "SKU-1.png", {})
    assert store.public.publish(first, store.staging, "SKU-1.png", {}) == url
    assert store.public.publish(second, store.staging, "SKU-1.png", {}) == url
    assert fetch(url)[0] == b"another picture"


def test_a_damaged_staged_picture_is_not_published(store: Store) -> None:
    """Bytes that are not the ones that were staged never become public."""
    good = stage(store.staging_elsewhere, "SKU-1.png", PICTURE)
    store.staging_elsewhere.put("SKU-1.png", PICTURE[:-1], "image/png")
    with pytest.raises(BadBytes, match="damaged"):
        store.public.publish(good, store.staging_elsewhere, "SKU-1.png", {})


def test_a_picture_that_left_staging_cannot_be_published(store: Store) -> None:
    """A staged picture that is gone is Invalid, on the copying path as on the other."""
    with pytest.raises(Missing):
        store.public.publish(StagedPicture("gone.png", "image/png", 1, "0" * 64), store.staging, "SKU-1.png", {})


def test_a_published_picture_can_be_read_back(store: Store) -> None:
    """The bytes that are public are those that were staged; a key that nobody published is Missing."""
    staged = stage(store.staging, "SKU-1.png", PICTURE)
    store.public.publish(staged, store.staging, "상품/SKU-1.png", {})
    assert store.public.get("상품/SKU-1.png") == PICTURE
    with pytest.raises(Missing):
        store.public.get("SKU-2.png")
    with pytest.raises(Invalid):
        store.public.get("../SKU-1.png")


def test_many_threads_share_one_store(store: Store) -> None:
    """Stores are made once per process: sixteen threads publish through them without mixing pictures."""

    def publish(number: int) -> tuple[bytes, bytes]:
        data = PICTURE + str(number).encode()
        staged = stage(store.staging, f"{number}.png", data)
        return data, fetch(store.public.publish(staged, store.staging, f"SKU-{number}.png", {}))[0]

    with ThreadPoolExecutor(16) as threads:
        for expected, published in threads.map(publish, range(48)):
            assert published == expected


def test_check_says_that_it_works(store: Store) -> None:
    """Both checks are green on a working store, leave nothing behind, and see that the URL is public."""
    assert store.staging.check().status == "ok"
    health = store.public.check()
    assert (health.status, health.mend) == ("ok", ""), health.detail
    with pytest.raises(Invalid):
        store.staging.get(".imagechord-probe")
