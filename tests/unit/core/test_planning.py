from __future__ import annotations

from typing import Any

import pytest

from tasks.core.errors import ConfigurationError, InputError
from tasks.core.pictures import Size
from tasks.core.plan import RowProblem
from tests.unit.core.factories import images, planner, problems, row

ARTICLE = ("sku", "name", "color")


def test_the_articles_row_becomes_an_image() -> None:
    """`sku,name,color` feeds product_hero: `name` is its product_name, the default model draws it."""
    [image] = images(planner(), row(2, sku="SKU-001", name="Lamp", color="red"))
    assert (image.key, image.line, image.variant) == ("SKU-001", 2, 1)
    assert (image.template, image.model, image.prompt) == ("product_hero", "nano-banana-2", "Lamp in red")
    assert image.size == image.native_size == Size(1024, 1024)
    assert image.parameters == {"format": "png", "aspect_ratio": "1:1", "resolution": "1k"}
    assert len(image.fingerprint) == 64
    assert image.row == {"sku": "SKU-001", "name": "Lamp", "color": "red"}


def test_two_plans_of_one_row_are_equal() -> None:
    """A plan depends on nothing but its input."""
    assert images(planner(), row()) == images(planner(), row())


def test_a_fresh_nonce_makes_new_fingerprints() -> None:
    """`--fresh` buys again what was bought before."""
    [old], [new] = images(planner(), row()), images(planner(fresh="nonce"), row())
    assert old.fingerprint != new.fingerprint


def test_a_sharing_template_leaves_the_key_out() -> None:
    """Rows with the same prompt share one fingerprint only where the template says so."""
    one, two = images(planner(template="swatch"), row(2), row(3))
    assert one.fingerprint == two.fingerprint
    one, two = images(planner(), row(2), row(3))
    assert one.fingerprint != two.fingerprint


class TestModelChoice:
    def test_the_default_model_is_the_catalogues(self) -> None:
        """Without a word about it, a row gets the default model."""
        assert images(planner(), row())[0].model == "nano-banana-2"

    @pytest.mark.parametrize(
        ("options", "model"),
        [
            ({"model": "seedream-5"}, "seedream-5"),
            ({"model": "Seedream-5"}, "seedream-5"),
            ({"use": "hero"}, "seedream-5"),
            ({"use": "bulk"}, "nano-banana-2"),
            ({"use": "Edit"}, "touch-up"),
            ({"model": "touch-up", "use": "hero"}, "touch-up"),
        ],
    )
    def test_options_choose_for_the_batch(self, options: dict[str, str], model: str) -> None:
        """`--model` wins over `--use`, which takes the first model of the catalogue with that use."""
        assert images(planner(**options), row())[0].model == model

    @pytest.mark.parametrize(
        ("values", "model"),
        [
            ({"model": "seedream-5", "use": "edit"}, "seedream-5"),
            ({"model": "", "use": "Edit"}, "touch-up"),
            ({"model": "", "use": ""}, "nano-banana-2"),
        ],
    )
    def test_a_row_chooses_for_itself(self, values: dict[str, str], model: str) -> None:
        """The row's model wins over its use, which wins over the batch; empty cells leave the choice."""
        plan_of = planner((*ARTICLE, "Model", "use"), model="nano-banana-2")
        values = {"Model": values["model"], "use": values["use"]}
        assert images(plan_of, row(**values))[0].model == model

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (
                {"model": "seedram-5"},
                r"unknown model 'seedram-5' – did you mean 'seedream-5'\?; known are nano-banana-2",
            ),
            ({"use": "heros"}, r"unknown use 'heros' – did you mean 'hero'\?; known are bulk, prototype, hero, edit"),
            ({"template": "xyz"}, r"unknown template 'xyz'; known are product_hero, "),
        ],
    )
    def test_unknown_names_in_options_start_nothing(self, options: dict[str, str], says: str) -> None:
        """Names that nobody knows are refused at once, with the close one and all there are."""
        with pytest.raises(InputError, match=says):
            planner(**options)


class TestColumns:
    def test_korean_aliases_and_upper_case_are_found(self) -> None:
        """Columns are found by alias and without regard to case."""
        plan_of = planner(("상품코드", "상품명", "COLOR"))
        values = {"상품코드": "K-1", "상품명": "조명", "COLOR": "쪽빛"}
        [image] = images(plan_of, row(**values))
        assert (image.key, image.prompt) == ("K-1", "조명 in 쪽빛")
        assert plan_of.field_columns == {"sku": "상품코드", "product_name": "상품명", "color": "COLOR"}

    def test_a_fields_own_name_wins_over_aliases(self) -> None:
        """With both `product_name` and `name`, the field's own name counts."""
        plan_of = planner(("sku", "name", "product_name", "color"))
        assert images(plan_of, row(product_name="Real name"))[0].prompt == "Real name in red"

    def test_exact_case_wins(self) -> None:
        """Of `Color` and `color`, the exactly named one feeds the field."""
        plan_of = planner(("sku", "name", "Color", "color"))
        assert images(plan_of, row(Color="blue"))[0].prompt == "Lamp in red"

    def test_a_template_may_have_aliases_of_its_own(self) -> None:
        """The template's columns are tried before the shared ones."""
        plan_of = planner(("sku", "name", "장소"), template="banner")
        values = {"장소": "부산"}
        assert images(plan_of, row(**values))[0].prompt == "Lamp at 부산"

    def test_map_wins_over_names(self) -> None:
        """`--map` names the column of a field, in any case."""
        plan_of = planner((*ARTICLE, "Shade"), column_map={"color": "shade"})
        assert images(plan_of, row(Shade="teal"))[0].prompt == "Lamp in teal"

    def test_map_may_choose_the_key(self) -> None:
        """`--map sku=…` and `key_column` both name the output."""
        columns = ("code", "name", "color")
        assert images(planner(columns, column_map={"sku": "code"}), row(code="C-1"))[0].key == "C-1"
        assert images(planner(columns, key_column="Code"), row(code="C-1"))[0].key == "C-1"

    @pytest.mark.parametrize(
        ("columns", "options", "says"),
        [
            (
                ("sku", "name", "colr"),
                {},
                r"needs a column for \{color\} – did you mean 'colr'\?; the columns are 'sku', ",
            ),
            (("sku", "name"), {}, r"the columns are 'sku', 'name'\. Name one with --map color=COLUMN"),
            (("name", "color"), {}, r"no column holds the key \(sku\).*--map sku=COLUMN"),
            ((), {}, r"the columns are none"),
            (ARTICLE, {"key_column": "skuu"}, r"no column 'skuu' – did you mean 'sku'\?"),
            (ARTICLE, {"column_map": {"color": "farbe"}}, r"--map color=farbe: there is no column 'farbe'"),
            (
                ARTICLE,
                {"column_map": {"colour": "color"}},
                r"--map colour=color: unknown field 'colour' – did you mean 'color'",
            ),
            (ARTICLE, {"column_map": {"color": ""}}, r"needs a column for \{color\}"),
            (ARTICLE, {"column_map": {"sku": " "}}, r"no column holds the key"),
        ],
    )
    def test_missing_columns_start_nothing(self, columns: tuple[str, ...], options: dict[str, Any], says: str) -> None:
        """The message lists the columns that are there and the `--map` to type."""
        with pytest.raises(InputError, match=says):
            planner(columns, **options)

    def test_an_empty_map_leaves_a_field_to_its_default(self) -> None:
        """`--map vibe=` ignores the column and takes the template's default."""
        plan_of = planner(("sku", "subject", "vibe"), template="social_post", column_map={"vibe": ""})
        assert images(plan_of, row(subject="tea", vibe="loud"))[0].prompt == "tea, fresh"

    def test_a_column_that_feeds_a_field_is_no_override(self) -> None:
        """`model` is a field of the car template: it is data, and the plan says so."""
        plan_of = planner(("sku", "model"), template="car")
        [image] = images(plan_of, row(model="Morning 1.0"))
        assert (image.prompt, image.model) == ("a Morning 1.0 on a road", "nano-banana-2")
        assert plan_of.notes == (
            "column 'model' feeds {model} of template 'car' and does not decide the model of a row",
        )

    def test_the_key_column_is_no_override(self) -> None:
        """A key in a column called `model` names the output and nothing else."""
        plan_of = planner(("model", "name", "color"), key_column="model")
        assert images(plan_of, row(model="GX-5"))[0].model == "nano-banana-2"
        assert plan_of.notes == (
            "column 'model' feeds the key of template 'product_hero' and does not decide the model of a row",
        )

    def test_an_override_can_be_mapped_and_ignored(self) -> None:
        """`--map use=channel` reads another column; `--map size=` leaves a shop's clothes sizes alone."""
        columns = (*ARTICLE, "channel", "size")
        plan_of = planner(columns, column_map={"use": "channel", "size": ""})
        [image] = images(plan_of, row(channel="hero", size="XL"))
        assert (image.model, image.size) == ("seedream-5", Size(1024, 1024))

    def test_the_article_has_no_notes(self) -> None:
        """Nothing is to be said about a plain file."""
        assert planner().notes == ()


class TestRowTemplate:
    def test_a_row_may_choose_its_template(self) -> None:
        """Column `template` overrides the batch's, case ignored."""
        plan_of = planner((*ARTICLE, "template"))
        one, two, three = images(plan_of, row(2, template="Swatch"), row(3, template=""), row(4, template="swatch"))
        assert three.template == one.template
        assert (one.template, one.prompt, one.size) == ("swatch", "a swatch of red", Size(64, 64))
        assert two.template == "product_hero"

    def test_an_unknown_template_is_reported_beside_everything_else(self) -> None:
        """The template's problem does not hide the key's and the model's."""
        plan_of = planner((*ARTICLE, "template", "model"))
        found = problems(plan_of, row(sku="../x", template="swach", model="seedream"))
        assert [problem.column for problem in found] == ["sku", "template", "model"]
        assert "did you mean 'swatch'?" in found[1].message
        assert found[1].mend.endswith("--map template=")

    def test_a_template_without_its_columns_is_reported(self) -> None:
        """The row's template needs a column that the file has not."""
        [problem] = problems(planner((*ARTICLE, "template")), row(template="banner"))
        assert "template 'banner' needs a column for {place}" in problem.message

    def test_with_a_template_column_any_templates_field_may_be_mapped(self) -> None:
        """`--map place=…` serves the rows that choose `banner`."""
        plan_of = planner((*ARTICLE, "template", "where"), column_map={"place": "where"})
        assert images(plan_of, row(template="banner", where="Busan"))[0].prompt == "Lamp at Busan"


class TestSize:
    def test_a_row_may_choose_its_size(self) -> None:
        """Column `size` wins over the template's; the model is asked for what covers it."""
        [image] = images(planner((*ARTICLE, "size")), row(size="1200 X 630"))
        assert (image.size, image.native_size) == (Size(1200, 630), Size(1365, 768))
        assert image.parameters["aspect_ratio"] == "16:9"

    def test_a_template_may_read_its_size_from_a_field(self) -> None:
        """`dimensions` of social_post decides; without a value, the default does."""
        plan_of = planner(("sku", "subject", "dimensions"), template="social_post")
        one, two = images(plan_of, row(2, subject="tea", dimensions="1080x1920"), row(3, subject="tea", dimensions=""))
        assert (one.size, two.size) == (Size(1080, 1920), Size(1080, 1080))

    @pytest.mark.parametrize(("column", "mend"), [("dimensions", "Correct the size."), ("size", "--map size=")])
    def test_a_bad_size_is_reported_where_it_stands(self, column: str, mend: str) -> None:
        """The problem names the column that holds the size, and how to ignore an override."""
        plan_of = planner(("sku", "subject", "dimensions", "size"), template="social_post")
        [problem] = problems(plan_of, row(subject="tea", **{"dimensions": "1x1", "size": ""} | {column: "XL"}))
        assert (problem.column, problem.value) == (column, "XL")
        assert "write it like 1024x1024" in problem.message
        assert problem.mend.endswith(mend)

    def test_a_missing_field_does_not_invent_a_size_problem(self) -> None:
        """When the subject is missing, that is the one problem."""
        [problem] = problems(planner(("sku", "subject"), template="social_post"), row(subject=""))
        assert "{subject}" in problem.message


class TestVariants:
    def test_the_batch_has_a_number_for_all(self) -> None:
        """`--variants` counts for every row that says nothing itself."""
        plan_of = planner((*ARTICLE, "variants"), variants=2)
        assert len(images(plan_of, row(2, variants=""))) == 2
        assert len(images(plan_of, row(3, variants="3"))) == 3

    @pytest.mark.parametrize("count", [0, 11])
    def test_a_number_for_all_has_the_same_range(self, count: int) -> None:
        """From 1 to 10."""
        with pytest.raises(InputError, match=f"variants is {count}; it is a whole number from 1 to 10"):
            planner(variants=count)

    def test_variants_are_images_of_one_prompt(self) -> None:
        """Three variants share key and prompt and differ in fingerprint."""
        made = images(planner((*ARTICLE, "variants")), row(variants="3"))
        assert [image.variant for image in made] == [1, 2, 3]
        assert len({image.fingerprint for image in made}) == 3
        assert {(image.key, image.prompt) for image in made} == {("A-2", "Lamp in red")}

    def test_an_empty_cell_means_one(self) -> None:
        """No value, one picture; and it is the picture that a file without the column gets."""
        [image] = images(planner((*ARTICLE, "variants")), row(variants=""))
        assert image.fingerprint == images(planner(), row())[0].fingerprint

    @pytest.mark.parametrize("count", ["0", "11", "-1", "two", "1.5", "３"])
    def test_other_numbers_are_reported(self, count: str) -> None:
        """From 1 to 10, in plain digits."""
        [problem] = problems(planner((*ARTICLE, "variants")), row(variants=count))
        assert (problem.column, problem.value) == ("variants", count)
        assert "1 to 10" in problem.message


class TestKeys:
    def test_an_empty_key_is_reported(self) -> None:
        """Every picture needs a key."""
        [problem] = problems(planner(), row(sku=""))
        assert str(problem) == "line 2, column 'sku': the key is empty. Give every row one of its own."

    def test_a_damaged_barcode_is_reported(self) -> None:
        """Excel's rounded numbers name the mend."""
        [problem] = problems(planner(), row(sku="8.80123E+12"))
        assert "Format the column as text" in problem.mend

    @pytest.mark.parametrize("again", ["A-2", "a-2"])
    def test_a_repeated_key_names_the_first_line(self, again: str) -> None:
        """Upper and lower case count as the same: some disks and some CMS think so."""
        [problem] = problems(planner(), row(2), row(9, sku=again))
        assert (problem.line, problem.column, problem.value) == (9, "sku", again)
        assert problem.message == "the key is already used on line 2"

    def test_a_bad_row_holds_its_key(self) -> None:
        """A duplicate of a row that is bad otherwise is still a duplicate."""
        [problem] = problems(planner(), row(2, color=""), row(3, sku="A-2"))
        assert problem.message == "the key is already used on line 2"

    def test_variants_must_not_overwrite_each_other(self) -> None:
        """The article's {sku}.png has no room for two variants of a row."""
        plan_of = planner((*ARTICLE, "variants"), pattern="{sku}.{ext}")
        [problem] = problems(plan_of, row(variants="2"))
        assert "overwrite one of line 2" in problem.message
        assert "{fingerprint8}" in problem.mend

    def test_different_keys_must_not_meet_in_one_output(self) -> None:
        """Variant 10 of `x` and variant 1 of `0x` would both be `10x.png`, whatever the case."""
        plan_of = planner((*ARTICLE, "variants"), pattern="{variant}{sku}.png")
        [problem] = problems(plan_of, row(2, sku="x", variants="10"), row(3, sku="0X", variants=""))
        assert problem.message == "its picture would overwrite one of line 2 at '10X.png'"

    def test_equal_pictures_may_share_their_place(self) -> None:
        """Rows that share a picture publish it under one content-addressed key."""
        made = images(planner(template="swatch", pattern="{fingerprint}.{ext}"), row(2), row(3))
        assert len({image.fingerprint for image in made}) == 1

    def test_a_bad_pattern_starts_nothing(self) -> None:
        """The pattern is checked before any row."""
        with pytest.raises(ConfigurationError, match="same key"):
            planner(pattern="picture.png")


class TestOtherProblems:
    def test_all_problems_of_a_row_come_together(self) -> None:
        """One look at the report is enough to mend a row."""
        plan_of = planner((*ARTICLE, "model", "size", "variants", "reference"))
        found = problems(
            plan_of, row(sku="", name="", color="", model="x", size="big", variants="0", reference="a.png")
        )
        assert [problem.column for problem in found] == [
            "sku",
            "model",
            "name",
            "color",
            "size",
            "variants",
            "reference",
        ]
        assert all(problem.line == 2 and problem.values["reference"] == "a.png" for problem in found)

    def test_a_missing_value_names_field_and_column(self) -> None:
        """An empty cell of a field without default."""
        [problem] = problems(planner(), row(color=""))
        assert str(problem).startswith("line 2, column 'color': {color} of template 'product_hero' has no value. Fill")

    def test_an_unknown_use_is_reported(self) -> None:
        """The row's use is checked as its model is."""
        [problem] = problems(planner((*ARTICLE, "use")), row(use="heroo"))
        assert problem.message.startswith("unknown use 'heroo' – did you mean 'hero'?")

    def test_a_long_prompt_is_reported(self) -> None:
        """The model's own limit counts."""
        plan_of = planner(model="seedream-5")
        assert images(plan_of, row(2, name="x" * 53))
        [problem] = problems(plan_of, row(3, name="x" * 54))
        assert (problem.column, problem.message) == ("", "the prompt has 61 characters; seedream-5 takes 60")

    @pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\ud83d"])
    def test_control_characters_are_reported_in_any_column(self, character: str) -> None:
        """No command line, JSON or database has to stumble over them later."""
        [problem] = problems(planner((*ARTICLE, "notes")), row(notes=f"a{character}b"))
        assert problem.column == "notes"
        assert f"U+{ord(character):04X}" in problem.message

    def test_line_breaks_and_tabs_are_text(self) -> None:
        """A quoted cell may have several lines."""
        assert images(planner(), row(name="Lamp\n\tlarge"))[0].prompt == "Lamp\n\tlarge in red"

    def test_the_sources_problem_is_handed_through(self) -> None:
        """A line that is no row stays the problem that it is."""
        problem = RowProblem(7, "", "x", "broken", "Mend it.")
        plan = planner().plan_row(problem)
        assert (plan.line, plan.images, plan.problems) == (7, (), (problem,))
