"""The ``reference`` column: pictures to start from."""

from __future__ import annotations

import hashlib

import pytest

from tasks.core.plan import PlannedImage, RowProblem
from tasks.core.planning import Planner
from tasks.core.references import Reference, UnusableReference, find_none, is_local, key_of, named
from tests.unit.core.factories import images, planner, problems, row

COLUMNS = ("sku", "name", "color", "reference")


def find(name: str) -> Reference:
    """Every name is a picture of what comes before its first dot; there is none of `missing`."""
    if name.startswith("missing"):
        raise UnusableReference(f"there is no file {name}", "Correct the name.")
    sha256 = hashlib.sha256(name.split(".", maxsplit=1)[0].encode()).hexdigest()
    return Reference(name, sha256, f"references/{sha256}.png")


def edits(columns: tuple[str, ...] = COLUMNS, **options: str) -> Planner:
    """A planner whose model takes two pictures."""
    return planner(columns, find=find, **{"use": "edit", **options})


def one(cell: str) -> PlannedImage:
    """The image of a row that starts from these pictures."""
    (image,) = images(edits(), row(reference=cell))
    return image


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("", ()),
        (" a.png ", ("a.png",)),
        ("a.png; b.png;", ("a.png", "b.png")),
        ("a b.png\r\nhttps://x/b,c.png\nsku:A", ("a b.png", "https://x/b,c.png", "sku:A")),
    ],
)
def test_a_cell_names_several(cell: str, names: tuple[str, ...]) -> None:
    """A semicolon or a line break stands between two; a comma may be part of a name."""
    assert named(cell) == names


@pytest.mark.parametrize(
    ("name", "local"), [("a.png", True), ("/a/b.png", True), ("https://x/a.png", False), ("sku:A", False)]
)
def test_files_are_told_from_other_names(name: str, local: bool) -> None:
    """A file is whatever is neither a URL nor an earlier picture."""
    assert is_local(name) == local


def test_keys_are_read_with_or_without_a_space() -> None:
    """`sku: A` is as good as `sku:A`."""
    assert key_of("sku: A") == key_of("sku:A") == "A"


def test_an_image_has_its_references_in_order() -> None:
    """All variants of a row start from the same pictures."""
    made = images(edits(variants=2), row(reference="b.png;a.png"))  # type: ignore[arg-type]
    assert [[each.name for each in image.references] for image in made] == [["b.png", "a.png"]] * 2
    assert made[0].fingerprint != made[1].fingerprint


def test_the_bytes_make_the_fingerprint() -> None:
    """Other bytes are another picture; the same bytes under another name are the same."""
    (without,) = images(edits(), row(reference=""))
    assert one("a.png").fingerprint == one("a.jpeg").fingerprint
    fingerprints = [without.fingerprint, *(one(cell).fingerprint for cell in ("a.png", "b.png", "a;b", "b;a"))]
    assert len(set(fingerprints)) == len(fingerprints)


@pytest.mark.parametrize(
    ("options", "cell", "message", "mend"),
    [
        (
            {"use": "bulk"},
            "a.png",
            "nano-banana-2 takes no pictures to start from, and the row names 1",
            "Choose a model that edits: 'touch-up', or --use edit.",
        ),
        (
            {},
            "a;b;c",
            "touch-up takes at most 2 pictures to start from, and the row names 3",
            "Name fewer pictures.",
        ),
    ],
)
def test_the_model_must_take_them(options: dict[str, str], cell: str, message: str, mend: str) -> None:
    """What it takes is said, and which model would do."""
    [problem] = problems(edits(**options), row(reference=cell))
    assert (problem.column, problem.value, problem.message, problem.mend) == ("reference", cell, message, mend)


def test_each_missing_picture_is_reported() -> None:
    """By line, column and value, with its own mend."""
    found = problems(edits(), row(7, reference="missing-1.png;missing-2.png"))
    assert [str(problem) for problem in found] == [
        f"line 7, column 'reference', value 'missing-1.png;missing-2.png': there is no file {name}. Correct the name."
        for name in ("missing-1.png", "missing-2.png")
    ]


def test_a_picture_of_this_source_is_not_there_yet() -> None:
    """The row that starts from one made on an earlier line is told to come later."""
    [problem] = problems(edits(), row(2), row(3, reference="sku:a-2"))
    assert problem.message == "the picture of 'a-2' is made by line 2, and is not there yet"
    assert problem.mend == "Run that line first, and this one afterwards."


def test_a_picture_that_a_later_line_makes_is_found_out_there() -> None:
    """Rows are read once: the later one says whom it comes too late for."""
    [problem] = problems(edits(), row(2, reference="sku:A-3"), row(3))
    assert (problem.line, problem.column) == (3, "sku")
    assert problem.message == "line 2 starts from its picture, which is not there yet"


def test_a_row_may_start_from_its_own_earlier_picture() -> None:
    """That is what corrections are."""
    (image,) = images(edits(), row(2, reference="sku:A-2"))
    assert [each.name for each in image.references] == ["sku:A-2"]


def test_names_can_be_read_ahead() -> None:
    """What the rows of a chunk name is known before they are planned; a broken line names nothing."""
    plan_of = edits()
    assert plan_of.reads_references
    assert plan_of.references_of(row(reference="a;b")) == ("a", "b")
    assert plan_of.references_of(RowProblem(2, "", "", "broken", "Mend it.")) == ()


def test_without_the_column_nothing_is_read() -> None:
    """A file without it names nothing."""
    plan_of = edits(COLUMNS[:3])
    assert not plan_of.reads_references
    assert plan_of.references_of(row(reference="a")) == ()


def test_where_pictures_cannot_be_looked_at_they_are_unknown() -> None:
    """A planner without eyes reports them."""
    with pytest.raises(UnusableReference, match=r"'a\.png' is not one of the pictures that the row came with"):
        find_none("a.png")
