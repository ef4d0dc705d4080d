"""Parameters of adder trees, biases and composable MACs: what is accepted, refused, and written back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.arch import Arch, json_schema, load_arch
from accelsim.errors import ConfigError

EDGE = load_arch("edge_16x16")
PER_ADD = "accumulator.products_per_add"


@pytest.mark.parametrize(("value", "stored"), [(1, 1), ("8", 8), (65_536, 65_536), ("tile", "tile")])
def test_products_per_add_are_a_number_or_the_tile(value: object, stored: object) -> None:
    arch = EDGE.with_({PER_ADD: value})
    assert arch.accumulator.products_per_add == stored
    assert Arch.from_dict(arch.model_dump()) == Arch.from_dict(arch.model_dump(mode="json")) == arch


def test_products_per_add_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    for value in (4, "tile"):
        text = EDGE.with_({PER_ADD: value, "accumulator.overflow": "saturate_symmetric"}).to_yaml()
        path.write_text(text, encoding="utf-8")
        accumulator = load_arch(path).accumulator
        assert (accumulator.products_per_add, accumulator.overflow) == (value, "saturate_symmetric")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (65_537, "65537"), (2.0, "2.0"), (True, "True"), ("rows", "'rows'"), (None, "NoneType")],
)
def test_other_products_per_add_are_refused_by_their_path(value: object, shown: str) -> None:
    with pytest.raises(ConfigError) as raised:
        EDGE.with_({PER_ADD: value})
    assert str(raised.value) == f"{PER_ADD}: expected a whole number from 1 to 65536 or 'tile', got {shown}"


def test_schema_of_products_per_add() -> None:
    entry = json_schema()["$defs"]["AccumulatorConfig"]["properties"]["products_per_add"]
    assert entry["anyOf"] == [{"type": "integer", "minimum": 1, "maximum": 65_536}, {"const": "tile"}]
    assert entry["default"] == 1


@pytest.mark.parametrize("value", [7, 65, 8.5, "wide", True])
def test_bias_bits_are_8_to_64(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^accumulator\.bias_bits: expected"):
        EDGE.with_({"accumulator.bias_bits": value})


@pytest.mark.parametrize("value", [1, 3, 4, True, "two"])
def test_bricks_are_two_bits(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^array\.brick_bits: expected 2, got"):
        EDGE.with_({"array.brick_bits": value})


@pytest.mark.parametrize("port", ["weight_bits", "activation_bits"])
@pytest.mark.parametrize("bits", [1, 3, 6, 12, 24])
def test_ports_must_be_made_of_bricks(port: str, bits: int) -> None:
    with pytest.raises(ConfigError) as raised:
        EDGE.with_({"array.brick_bits": 2, f"array.{port}": bits})
    assert str(raised.value) == (
        f"array: brick_bits of 2 with {port} of {bits}: expected ports of 2, 4, 8, 16 or 32 bits"
    )


@given(st.integers(1, 32), st.integers(1, 32), st.integers(1, 32), st.integers(1, 32))
def test_without_bricks_a_mac_makes_one_product(wp: int, ap: int, w: int, a: int) -> None:
    array = EDGE.with_({"array.weight_bits": wp, "array.activation_bits": ap}).array
    assert array.products(w, a) == 1
    assert array.passes(w, a) == -(-w // wp) * -(-a // ap)


ports = st.sampled_from([2, 4, 8, 16, 32])


@given(ports, ports, st.integers(1, 32), st.integers(1, 32))
def test_bricks_are_shared_out_whole(wp: int, ap: int, w: int, a: int) -> None:
    """The products at once never need more bricks than there are, narrower operands never run slower."""
    array = EDGE.with_({"array.brick_bits": 2, "array.weight_bits": wp, "array.activation_bits": ap}).array
    slots = [min(port, next(2**k for k in range(1, 6) if 2**k >= bits)) for port, bits in ((wp, w), (ap, a))]
    assert array.products(w, a) * slots[0] * slots[1] == wp * ap
    assert array.products(w, a) * array.passes(max(1, w - 1), a) <= array.products(max(1, w - 1), a) * array.passes(
        w, a
    )


TREE = {"array.dataflow": "adder_tree", "accumulator.products_per_add": EDGE.array.rows}


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            {"accumulator.products_per_add": 1},
            "accumulator.products_per_add of 1 with an adder tree over array.rows of 16",
        ),
        ({"accumulator.products_per_add": "tile"}, "accumulator.products_per_add of tile with an adder tree"),
        (
            {"array.weight_preload": "overlapped"},
            "array.weight_preload of overlapped with an adder tree: expected serial",
        ),
        ({"array.brick_bits": 2}, "array.brick_bits of 2 with an adder tree: expected null"),
        ({"array.rows": 8}, "accumulator.products_per_add of 16 with an adder tree over array.rows of 8: expected 8"),
    ],
)
def test_an_adder_tree_adds_all_rows_at_once(edits: dict[str, object], message: str) -> None:
    assert EDGE.with_(TREE).array.dataflow == "adder_tree"
    with pytest.raises(ConfigError) as caught:
        EDGE.with_(TREE | edits)
    assert message in str(caught.value)
