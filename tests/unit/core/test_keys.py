from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core import keys
from tasks.core.errors import ConfigurationError
from tasks.storage.object_keys import segments

FINGERPRINT = "0123456789abcdef" * 4
DEFAULT = "{prefix}/{sku}-{fingerprint8}.{ext}"


@pytest.mark.parametrize(
    "key",
    ["A-1", "상품 01", "sku_9", "shoes/2026/A-1", "a.b", "1E5", "100%", "a?b#c", "8801234567890", "가" * 66, "~x", "É"],
)
def test_ordinary_keys_pass(key: str) -> None:
    """Letters of any script, digits, inner spaces and dots, and folders are fine."""
    keys.validate_key(key)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "empty"),
        ("../x", "leave its folder"),
        ("a/../b", "leave its folder"),
        ("./a", "leave its folder"),
        ("/etc/passwd", "absolute"),
        ("a\\b", "backslash"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("a\u2028b", "control character"),
        ("a\ud800", "control character"),
        ("a\u202egnp.b", "cannot be seen .U.202E"),
        ("a\u00a0b", "cannot be seen .U.00A0"),
        ("a\u3000b", "cannot be seen .U.3000"),
        ("a\u200bb", "cannot be seen .U.200B"),
        (".hidden", "dot or a space"),
        ("a.", "dot or a space"),
        (" a", "dot or a space"),
        ("a /b", "dot or a space"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("가" * 67, "longer than 200 bytes"),
        ("a" * 201, "longer than 200 bytes"),
        ("8.80123E+12", "Excel"),
        ("8,80123E+12", "Excel"),
        ("1E+05", "Excel"),
    ],
)
def test_dangerous_and_damaged_keys_are_refused(key: str, says: str) -> None:
    """Each refusal says what is wrong and what to do."""
    with pytest.raises(keys.InvalidKey, match=says) as refused:
        keys.validate_key(key)
    assert refused.value.mend.endswith(".")


@given(st.text(alphabet="a가0._-/\\ E+\t", max_size=80))
def test_accepted_keys_stay_in_their_folder(key: str) -> None:
    """Whatever is accepted is a relative path of plain names, at most 200 bytes."""
    try:
        keys.validate_key(key)
    except keys.InvalidKey:
        return
    path = PurePosixPath("/root", key)
    assert path.is_relative_to("/root")
    assert ".." not in path.parts
    assert str(path) == f"/root/{key}"
    assert len(key.encode()) <= 200


@given(st.text(max_size=80))
def test_no_accepted_key_fails_after_its_picture_was_paid(key: str) -> None:
    """What the plan accepts, the stores accept."""
    try:
        keys.validate_key(key)
    except keys.InvalidKey:
        return
    assert segments(key) == tuple(key.split("/"))


@pytest.mark.parametrize("pattern", [DEFAULT, "{sku}.png", "{fingerprint}.{ext}", "{batch}/{template}/{sku}-{variant}"])
def test_good_patterns_pass(pattern: str) -> None:
    """Every placeholder may be used, as long as pictures are told apart."""
    keys.check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{prefix}/picture.{ext}", "same key"),
        ("{sku}-{colour}.png", r"no \{colour\}; use \{prefix\}"),
        ("{sku.upper}", "not a plain field"),
        ("../{sku}.png", "leaves its folder"),
        ("a\\{sku}.png", "leaves its folder"),
    ],
)
def test_bad_patterns_are_configuration_errors(pattern: str, says: str) -> None:
    """A pattern that cannot work is refused with its name and the mend."""
    with pytest.raises(ConfigurationError, match=says):
        keys.check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "prefix", "made"),
    [
        (DEFAULT, "shop", "shop/A-1-01234567.png"),
        (DEFAULT, "", "A-1-01234567.png"),
        (DEFAULT, "/shop/2026/", "shop/2026/A-1-01234567.png"),
        ("{sku}.png", "ignored", "A-1.png"),
        ("{batch}/{prefix}/{template}-{model}-{variant}/{fingerprint}.{ext}", "", f"b7/hero-nano-2/{FINGERPRINT}.png"),
    ],
)
def test_output_keys_follow_the_pattern(pattern: str, prefix: str, made: str) -> None:
    """Placeholders are filled and empty parts leave no slash."""
    assert made == keys.output_key(
        pattern,
        sku="A-1",
        fingerprint=FINGERPRINT,
        prefix=prefix,
        ext="png",
        template="hero",
        model="nano",
        variant=2,
        batch="b7",
    )


def test_an_output_key_has_a_longest_length() -> None:
    """S3 takes 1,024 bytes; Hangul counts three each."""
    prefix = "가" * 330
    assert keys.output_key("{prefix}/{sku}", sku="A", fingerprint=FINGERPRINT, prefix=prefix).startswith(prefix)
    with pytest.raises(keys.InvalidKey, match="1024 bytes"):
        keys.output_key("{prefix}/{sku}", sku="가" * 20, fingerprint=FINGERPRINT, prefix=prefix)


@pytest.mark.parametrize(
    ("pattern", "addressed", "collides"),
    [
        (DEFAULT, True, False),
        ("{fingerprint}.{ext}", True, True),
        ("{sku}-{variant}-{fingerprint8}", True, True),
        ("{sku}.{ext}", False, True),
    ],
)
def test_patterns_know_what_they_promise(pattern: str, addressed: bool, collides: bool) -> None:
    """A fingerprint makes a key content-addressed; only a key between constant lengths cannot collide."""
    assert keys.is_content_addressed(pattern) is addressed
    assert keys.may_collide(pattern) is collides


def test_immutable_is_promised_only_for_content_addressed_keys() -> None:
    """Under the article's {sku}.png, a new picture replaces the old one, so caches must ask again some day."""
    configured = "public, max-age=31536000, Immutable"
    assert keys.cache_control(DEFAULT, configured) == configured
    assert keys.cache_control("{sku}.png", configured) == "public, max-age=31536000"
