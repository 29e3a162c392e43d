from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import InputError
from tasks.core.prompts import fields, render


def test_fields_come_once_and_in_order() -> None:
    """The fields of a template are its names, each once, in order of appearance."""
    assert fields("{name} in {color}, again {name}") == ("name", "color")


def test_fields_may_be_korean() -> None:
    """A Korean column name is a plain name."""
    assert fields("{상품명}") == ("상품명",)
    assert render("{상품명}!", {"상품명": "조명"}) == "조명!"


def test_doubled_braces_are_text() -> None:
    """``{{`` and ``}}`` stand for the braces themselves, also around a field."""
    assert fields("{{x}} {{{name}}}") == ("name",)
    assert render("{{x}} {{{name}}}", {"name": "A"}) == "{x} {A}"


@pytest.mark.parametrize(
    "template",
    [
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>9}",
        "{}",
        "{0}",
        "{ a }",
        "{a-b}",
        "{__class__.__init__}",
        "{a",
        "a}",
        "}{",
        "{{a}",
    ],
)
def test_everything_but_plain_names_is_refused(template: str) -> None:
    """Attributes, indexes, conversions, formats and stray braces are refused, naming the template."""
    with pytest.raises(InputError, match="template 'hero'"):
        fields(template, name="hero")


def test_a_template_without_a_name_is_shown() -> None:
    """Without a name, the message shows the text."""
    with pytest.raises(InputError, match=r"template text 'stray \}'.*character 7"):
        fields("stray }")


def test_a_value_with_braces_is_text() -> None:
    """A value that looks like a template is not evaluated."""
    assert render("{name}", {"name": "{color} {0} {name.__class__}"}) == "{color} {0} {name.__class__}"


@given(st.text(), st.text())
def test_any_value_arrives_unchanged(before: str, value: str) -> None:
    """Whatever the text around and the value, the value stands in the result as it is."""
    literal = before.replace("{", "{{").replace("}", "}}")
    template = literal + "{v}" + literal
    assert fields(template) == ("v",)
    assert render(template, {"v": value}) == before + value + before


@given(st.text(alphabet="{}ab.[0]!:", max_size=12))
def test_what_is_accepted_can_be_rendered(template: str) -> None:
    """A template that passes the check never fails when it is filled."""
    try:
        names = fields(template)
    except InputError:
        return
    render(template, dict.fromkeys(names, "x"))
