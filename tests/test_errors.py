"""Errors of one file told together: their order and class, what is left out and how that is counted."""

from __future__ import annotations

import pytest

from accelsim.errors import (
    LONGEST_REPEATED,
    MOST_GATHERED,
    MOST_SHOWN,
    AccelsimError,
    CapacityError,
    ConfigError,
    ModelError,
    Refusals,
    as_one,
    held_in_memory,
)


def told(*errors: AccelsimError) -> AccelsimError:
    """What is raised of ``errors`` about net.csv."""
    refusals = Refusals("net.csv")
    for error in errors:
        with refusals.gathering():
            raise error
    with pytest.raises(AccelsimError) as caught:
        refusals.check()
    return caught.value


def of(line: int, operator: str = "", accepted: str = "") -> ModelError:
    data = {"line": line} | ({"operator": operator} if operator else {}) | ({"accepted": accepted} if accepted else {})
    return ModelError(f"net.csv: line {line}{accepted and f' expected {accepted}'}", **data)


def test_nothing_gathered_is_nothing_raised() -> None:
    Refusals("net.csv").check()


def test_one_is_told_as_it_is() -> None:
    error = of(3)
    assert told(error) is error


def test_all_are_told_in_the_order_of_the_file_and_those_of_no_line_last() -> None:
    error = told(ModelError("no output"), of(7), of(2))
    assert type(error) is ModelError
    assert str(error).split("\n  ") == ["3 things in net.csv can't be read:", "line 2", "line 7", "no output"]
    assert [str(each) for each in error.exceptions] == ["net.csv: line 2", "net.csv: line 7", "no output"]


def test_the_class_is_the_nearest_that_all_have_in_common() -> None:
    assert type(as_one("f", [ModelError("a"), ConfigError("b")])) is AccelsimError
    assert type(as_one("f", [ConfigError("a"), ConfigError("b")])) is ConfigError


@pytest.mark.parametrize("more", [0, 1, 5])
def test_of_many_alike_the_first_are_shown_and_the_rest_counted(more: int) -> None:
    lines = str(told(*(of(line) for line in range(MOST_SHOWN + more)))).split("\n  ")
    rest = [f"… and {more} more of the same kinds"] if more else []
    assert lines[1:] == [*(f"line {line}" for line in range(MOST_SHOWN)), *rest]


def test_of_each_kind_one_is_shown_however_late_it_comes() -> None:
    errors = [*(of(line, "ADD") for line in range(MOST_SHOWN + 2)), of(100, "MUL"), of(101, "MUL")]
    lines = str(told(*errors)).split("\n  ")
    assert lines[1:-1] == [*(f"line {line}" for line in range(MOST_SHOWN - 1)), "line 100"]
    assert lines[-1] == "… and 4 more of the same kinds (3 ADD, 1 MUL)"


def test_kinds_that_find_no_room_are_no_same_kinds() -> None:
    lines = str(told(*(of(line, f"OP{line}") for line in range(MOST_SHOWN + 2)))).split("\n  ")
    assert lines[-1] == f"… and 2 more (1 OP{MOST_SHOWN}, 1 OP{MOST_SHOWN + 1})"


@pytest.mark.parametrize("length", [LONGEST_REPEATED, LONGEST_REPEATED + 1])
def test_a_long_list_of_what_is_accepted_is_said_once(length: int) -> None:
    accepted = "x" * length
    first, second = str(told(of(1, "ADD", accepted), of(2, "ADD", accepted))).split("\n  ")[1:]
    assert first == f"line 1 expected {accepted}"
    assert second == f"line 2 expected {'as above' if length > LONGEST_REPEATED else accepted}"


def test_a_file_of_errors_is_given_up() -> None:
    refusals = Refusals("net.csv")
    for line in range(MOST_GATHERED - 1):
        refusals.add(of(line))
    with pytest.raises(ModelError, match=f"^The first {MOST_GATHERED} things in net.csv can't be read:"):
        refusals.add(of(MOST_GATHERED))
    fewer = told(*(of(line) for line in range(MOST_GATHERED - 1)))
    assert str(fewer).startswith(f"{MOST_GATHERED - 1} things in net.csv can't be read:")


def test_what_finds_no_memory_says_what_to_do() -> None:
    with (
        pytest.raises(CapacityError, match="not enough memory for the table; run it elsewhere"),
        held_in_memory("the table", remedy="run it elsewhere"),
    ):
        raise MemoryError
