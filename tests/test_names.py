"""What layers are called in tables, and that every form is found again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accelsim.display import printable
from accelsim.errors import ConfigError
from accelsim.names import LayerNames

PARTS = st.text(st.sampled_from("ab/;1: …\x00é"), max_size=12)
NAMES = st.lists(st.one_of(PARTS, PARTS.map(lambda end: f"block/layer/{end}/conv2d/Conv2D")), min_size=1, unique=True)


@given(names=NAMES, width=st.integers(8, 40))
@example(names=["aaaaaaaaab", "…aaaaaab", "x/aaaaaaaaab"], width=8)
@example(names=["0", "1", "00", "a/0"], width=8)
@example(names=["long/name/\x00", "long/name/\x01", "?"], width=8)
@example(names=["aaaaaaaaaaa", "0:…aaaaa"], width=8)
def test_no_two_layers_are_shown_alike_and_each_is_found_again(names: list[str], width: int) -> None:
    known = LayerNames(names)
    shown = known.shown(width)
    assert len(set(shown)) == len(names)
    for index, (short, name) in enumerate(zip(shown, names, strict=True)):
        assert known.find(short) == known.find(name) == index
        assert short == printable(short)


@given(names=NAMES, width=st.integers(8, 40))
def test_what_fits_is_shown_whole_and_what_does_not_keeps_its_end(names: list[str], width: int) -> None:
    for short, name in zip(LayerNames(names).shown(width), names, strict=True):
        alike = sum(printable(other) == printable(name) for other in names) > 1
        assert (short == printable(name)) if len(name) <= width and not alike else short.endswith(printable(name)[-2:])


@given(names=NAMES, width=st.integers(12, 40))
def test_the_width_is_kept(names: list[str], width: int) -> None:
    if not any("…" in name for name in names):
        assert max(map(len, LayerNames(names).shown(width))) <= width


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["conv"], ["conv"]),
        (["block1/conv2/Conv", "block1/conv3/Conv"], ["…/conv2/Conv", "…/conv3/Conv"]),
        (["a/Relu;model/b/BiasAdd", "c"], ["…/b/BiasAdd", "c"]),
        (["model/a/Relu;b/BiasAdd", "c"], ["…;b/BiasAdd", "c"]),
        (["abcdefghijklmnop"], ["…fghijklmnop"]),
        (["one/the same end", "two/the same end"], ["0:… same end", "1:… same end"]),
        (["tab\there"], ["tab?here"]),
    ],
)
def test_names_are_cut_from_the_left_at_a_separator(names: list[str], expected: list[str]) -> None:
    assert LayerNames(names).shown(12) == expected


def test_a_layer_is_found_by_its_name_its_end_and_its_index() -> None:
    known = LayerNames(["a/conv1", "b/conv1", "b/conv2", "2"])
    assert [known.find(given) for given in ("a/conv1", "conv2", "…/conv2", "1", "2", "1:…v1")] == [0, 2, 2, 1, 3, 1]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("conv1", r"several layers are meant: 'a/conv1' \(0\), 'b/conv1' \(1\); give more of the name, or the index"),
        ("b/conv3", r"no such layer; did you mean 'b/conv2' or 'b/conv1'"),
        ("softmax", r"no such layer; known are 'a/conv1' \(0\), 'b/conv1' \(1\), 'b/conv2' \(2\)"),
        ("7", r"no such layer"),
        ("", r"no such layer"),
        ("1:…conv2", r"no such layer"),
    ],
)
def test_no_layer_and_several_are_one_error_with_candidates(given: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        LayerNames(["a/conv1", "b/conv1", "b/conv2"]).find(given)
