"""What the accuracy of a row follows, and when it is known without a tile."""

from __future__ import annotations

import math

import pytest

import accelsim
from accelsim.arch import load_arch
from accelsim.explore.accuracy import labelled
from accelsim.explore.networks import Networks
from tests.verification.networks import images

BITS, OVERFLOW = "accumulator.bits", "accumulator.overflow"


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks("digits_cnn", load_arch("edge_16x16"), "cycles", labelled(*images(20)))


@pytest.mark.parametrize("edit", [{}, {"array.rows": 4}, {BITS: 16, OVERFLOW: "wrap"}, {BITS: 14, OVERFLOW: "wrap"}])
def test_where_no_sum_depends_on_its_order_it_is_that_of_the_run(networks: Networks, edit: dict[str, object]) -> None:
    x, labels = images(20)
    run = accelsim.run("digits_cnn", arch=load_arch("edge_16x16").with_(edit), inputs=x, labels=labels)
    assert run.result.values is not None
    assert networks.accuracy(edit) == run.result.values.accuracy


def test_where_sums_saturate_it_is_left_to_the_tiles(networks: Networks) -> None:
    assert networks.accuracy({BITS: 14, OVERFLOW: "saturate"}) is None


def test_an_invalid_row_and_one_without_labels_have_none(networks: Networks) -> None:
    found = networks.accuracy({BITS: 1}), Networks("digits_cnn", load_arch("edge_16x16"), "cycles").accuracy({})
    assert all(value is not None and math.isnan(value) for value in found)
