"""What becomes of a record when its batch is rolled back."""

from __future__ import annotations

import pytest

from tasks.core.rolling_back import Outcome, Shown, as_text, is_ours, judge, same

OURS = {"https://a", "https://b"}


@pytest.mark.parametrize(
    ("shown", "was", "outcome"),
    [
        ({"image_url": "https://a"}, {"image_url": "https://old"}, Outcome.PUT_BACK),
        ({"image_url": "https://a"}, {"image_url": None}, Outcome.PUT_BACK),
        ({"image_url": "https://old"}, {"image_url": "https://old"}, Outcome.AS_BEFORE),
        ({"image_url": "https://a"}, {"image_url": "https://a"}, Outcome.AS_BEFORE),
        ({"image_url": ""}, {"image_url": None}, Outcome.AS_BEFORE),
        ({"image_url": "https://other"}, {"image_url": "https://old"}, Outcome.CHANGED),
        ({"image_url": None}, {"image_url": "https://old"}, Outcome.CHANGED),
        ({"image_url": {"id": 7}}, {"image_url": "https://old"}, Outcome.CHANGED),
        ({"image_urls": ["https://b", "https://a"]}, {"image_urls": []}, Outcome.PUT_BACK),
        ({"image_urls": ["https://a", "https://other"]}, {"image_urls": []}, Outcome.CHANGED),
        ({"image_urls": []}, {"image_urls": ["https://old"]}, Outcome.CHANGED),
        ({"image_url": "https://a", "image_urls": ["https://x"]}, {"image_url": 1, "image_urls": 2}, Outcome.CHANGED),
    ],
)
def test_only_what_is_still_ours_is_overwritten(shown: Shown, was: Shown, outcome: Outcome) -> None:
    """A record goes back when all that it shows is of the batch; what somebody has changed is left alone."""
    assert judge(shown, was, OURS) is outcome


def test_a_record_in_words() -> None:
    """Names and values, nothing for none, and no more than a message holds."""
    assert as_text({"image_url": "https://a", "image_urls": None}) == "image_url=https://a, image_urls=nothing"
    assert len(as_text({"image_urls": ["https://a"] * 99})) == 200


def test_nothing_is_no_value_of_its_own() -> None:
    """CMSs say no picture in several ways; it is nobody's picture in each of them."""
    for nothing in (None, "", []):
        assert same({"image_url": nothing}, {"image_url": None})
        assert not is_ours({"image_url": nothing}, OURS)
    assert not same({"image_url": "https://a"}, {"image_url": None})
