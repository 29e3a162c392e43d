from __future__ import annotations

from tasks.core.plan import RowProblem


def test_a_problem_reads_as_one_line() -> None:
    """Line, column, value, what is wrong, and the mend."""
    problem = RowProblem(3, "size", "XL", "no size", "Write it like 1024x1024.")
    assert str(problem) == "line 3, column 'size', value 'XL': no size. Write it like 1024x1024."


def test_a_problem_without_column_and_value_is_short() -> None:
    """What is not there is not mentioned."""
    assert str(RowProblem(3, "", "", "too long", "Shorten it.")) == "line 3: too long. Shorten it."


def test_long_values_are_cut() -> None:
    """A value is shown in at most 60 characters."""
    assert str(RowProblem(3, "", "x" * 60, "m", "n")) == f"line 3, value '{'x' * 60}': m. n"
    assert str(RowProblem(3, "", "x" * 61, "m", "n")) == f"line 3, value '{'x' * 57}…': m. n"
