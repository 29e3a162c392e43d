from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.fingerprint import fingerprint
from tasks.core.pictures import Size

CONTENT: dict[str, Any] = {
    "key": "A-1",
    "provider": "anycap",
    "model": "nano-banana-2",
    "prompt": "조명, red",
    "size": Size(1024, 1024),
    "parameters": {"aspect_ratio": "1:1", "resolution": "1k"},
}


def test_it_is_stable_for_ever() -> None:
    """The value is pinned: changing it would buy every picture of every shop again."""
    assert fingerprint(**CONTENT) == "02871f63810ef52d0f28107b35814ebc7551285faa62c36784e44bc9461e32bd"


@given(
    st.builds(
        lambda key, prompt, more: {"key": key, "prompt": prompt, "parameters": more},
        st.none() | st.text(),
        st.text(),
        st.dictionaries(st.text(), st.text(), max_size=4),
    )
)
def test_it_is_the_hash_of_canonical_json(change: dict[str, Any]) -> None:
    """As the standard library writes it, whatever the text is: nothing depends on who writes the JSON."""
    content = {"fresh": "", "references": (), "variant": 1} | CONTENT | change | {"size": "1024x1024"}
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert fingerprint(**CONTENT | change) == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_order_of_parameters_does_not_count() -> None:
    """The same parameters in another order are the same picture."""
    turned = {"resolution": "1k", "aspect_ratio": "1:1"}
    assert fingerprint(**CONTENT | {"parameters": turned}) == fingerprint(**CONTENT)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "A-2"},
        {"key": None},
        {"key": ""},
        {"provider": "preview"},
        {"model": "seedream-5"},
        {"prompt": "조명, blue"},
        {"size": Size(1024, 1025)},
        {"parameters": {"aspect_ratio": "1:1"}},
        {"references": ("ab" * 32,)},
        {"variant": 2},
        {"fresh": "nonce"},
    ],
)
def test_everything_that_decides_the_picture_counts(change: dict[str, Any]) -> None:
    """A change in any part is another picture."""
    assert fingerprint(**CONTENT | change) != fingerprint(**CONTENT)
