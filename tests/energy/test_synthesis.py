"""Size laws against synthesis that others ran: Bit Fusion's arrays at 45 nm, two open 130 nm kits, SRAM macros, UNPU's silicon."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.energy import Costs, action_energies, area_um2, load_table, table_of
from accelsim.energy.table.entries import EnergyTable
from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.numerics import IntFormat
from tests.shared_models import SHARED

pytestmark = pytest.mark.oracle
GOLDENS = SHARED / "goldens"
SHAPES = [(1, 1), (16, 1), (4, 4), (1, 16)]


def rows(name: str) -> list[dict[str, str]]:
    path = GOLDENS / name
    if not path.is_file():
        pytest.skip(f"{path} is absent; set ACCELSIM_SHARED to the folder with the goldens")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def bitfusion(n: int, m: int, most: int, least: int) -> dict[str, float]:
    """Dynamic pJ per cycle, leakage W and um2 of one element of an n x m array."""
    for row in rows("bitfusion_synth.csv"):
        key = tuple(int(row[name]) for name in ("N", "M", "Max Precision (bits)", "Min Precision (bits)"))
        if key == (n, m, most, least):
            pj = float(row["Dynamic Power (nW)"]) * 1e-9 / float(row["Frequency"]) * 1e12
            per = n * m
            return {
                "mac": pj / per,
                "leak": float(row["Leakage Power (nW)"]) * 1e-9 / per,
                "area": float(row["Area (um^2)"]) / per,
            }
    raise AssertionError("no such array")


def element(action: str, bits: int, component: str = "pe") -> float:
    return load_table("bitfusion_45nm").entry(component, action).value(left_bits=bits, right_bits=bits)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [2, 4, 16])
def test_energy_of_bit_fusion_elements_relative_to_8_bits(shape: tuple[int, int], bits: int) -> None:
    measured = bitfusion(*shape, bits, bits)["mac"] / bitfusion(*shape, 8, 8)["mac"]
    assert element("mac", bits) / element("mac", 8) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_8_to_4_bits_saves_about_2_and_a_half_times_and_not_4(shape: tuple[int, int]) -> None:
    measured = bitfusion(*shape, 8, 8)["mac"] / bitfusion(*shape, 4, 4)["mac"]
    assert 2.2 < measured < 2.6
    assert element("mac", 8) / element("mac", 4) == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize("action", ["mac", "leak", "area"])
def test_every_element_of_every_array_of_bit_fusion_lies_in_its_range(action: str) -> None:
    low, high = load_table("bitfusion_45nm").entry("pe", action).range
    for shape in SHAPES:
        ratio = bitfusion(*shape, 8, 8)[action] / element(action, 8)
        assert low * 0.999 <= ratio <= high * 1.001, (shape, ratio)


@pytest.mark.parametrize("action", ["mac", "leak", "area"])
@pytest.mark.parametrize("most", [4, 8, 16])
def test_fusible_elements(action: str, most: int) -> None:
    measured = bitfusion(16, 1, most, 2)[action]
    assert element(action, most, "fusible_pe") == pytest.approx(measured, rel=0.1)


def test_a_fusible_8_bit_element_takes_2_3_times_a_fixed_one() -> None:
    measured = bitfusion(16, 1, 8, 2)["mac"] / bitfusion(16, 1, 8, 8)["mac"]
    costs = Costs(load_table("horowitz_45nm"))
    sizes = {"left_bits": 8.0, "right_bits": 8.0, "sum_bits": 32.0}
    ours = sum(costs.charges("fusible_pe", "mac", sizes).values()) / sum(costs.charges("pe", "mac", sizes).values())
    assert measured == pytest.approx(2.31, abs=0.005)
    assert ours == pytest.approx(measured, rel=0.01)


def synthesised(library: str, kind: str) -> Iterator[tuple[int, int, int, float]]:
    """(weight bits, activation bits, accumulator bits, um2) of one kind of unit, widths of 4 and more."""
    for row in rows("synth_area.csv"):
        w, a, acc = int(row["w_bits"]), int(row["a_bits"]), int(row["acc_bits"])
        if row["lib"] == library and row["kind"] == kind and (kind not in ("mul", "mac") or min(w, a) >= 4):
            yield w, a, acc, float(row["area_um2"])


def mac_um2(table: EnergyTable, w: int, a: int, acc: int) -> float:
    charges = Costs(table).charges("pe", "area", {"left_bits": w, "right_bits": a, "sum_bits": acc})
    return sum(charges.values())


@pytest.fixture(scope="module")
def ihp() -> EnergyTable:
    return load_table("ihp_130nm")


def base_mac(library: str) -> float:
    return next(um2 for w, a, acc, um2 in synthesised(library, "mac") if (w, a, acc) == (8, 8, 32))


def test_area_of_macs_relative_to_the_8_bit_one(ihp: EnergyTable) -> None:
    cases = list(synthesised("ihp130", "mac"))
    assert len(cases) >= 25
    for w, a, acc, um2 in cases:
        ours = mac_um2(ihp, w, a, acc) / mac_um2(ihp, 8, 8, 32)
        assert ours == pytest.approx(um2 / base_mac("ihp130"), rel=0.15), (w, a, acc)


def test_area_of_multipliers_relative_to_the_8_bit_mac(ihp: EnergyTable) -> None:
    for w, a, _, um2 in synthesised("ihp130", "mul"):
        ours = ihp.entry("multiplier", "area").value(left_bits=w, right_bits=a) / mac_um2(ihp, 8, 8, 32)
        assert ours == pytest.approx(um2 / base_mac("ihp130"), rel=0.15), (w, a)


def test_area_of_power_of_two_requantization_relative_to_the_8_bit_mac(ihp: EnergyTable) -> None:
    for _, output, acc, um2 in synthesised("ihp130", "sh"):
        if output >= 4:
            ours = ihp.entry("shifter", "area").value(bits=acc) / mac_um2(ihp, 8, 8, 32)
            assert ours == pytest.approx(um2 / base_mac("ihp130"), rel=0.15), (output, acc)


def test_the_law_of_macs_fits_the_other_kit_in_form(ihp: EnergyTable) -> None:
    """SkyWater's cells want coefficients of their own: with IHP's the 4 x 4-bit MAC with 32-bit sums is 30 % too large."""
    cases = list(synthesised("sky130hd", "mac"))
    form = np.array([[w * a, w + a, acc, 1.0] for w, a, acc, _ in cases])
    um2 = np.array([case[3] for case in cases])
    fit = np.linalg.lstsq(form / um2[:, None], np.ones(len(um2)), rcond=None)[0]
    assert np.abs(form @ fit / um2 - 1).max() < 0.15
    ratios = [mac_um2(ihp, w, a, acc) / mac_um2(ihp, 8, 8, 32) * base_mac("sky130hd") / um2 for w, a, acc, um2 in cases]
    assert max(ratios) == pytest.approx(1.30, abs=0.01)


@pytest.mark.parametrize("column", ["read_pJ", "write_pJ"])
def test_size_law_of_sram_macros(ihp: EnergyTable, column: str) -> None:
    """64-bit words: within 5 % from 2 KiB; between constant and the square root of the capacity over the whole range."""
    action = column.removesuffix("_pJ")
    macros = {float(r["KiB"]): float(r[column]) for r in rows("sram_ihp130.csv") if r["bits"] == "64"}
    assert sorted(macros) == [0.5, 2, 4, 8, 16]
    for kib, pj in macros.items():
        ours = ihp.entry("sram", action).value(bits=64, capacity_bytes=kib * 1024)
        if kib >= 2:
            assert ours == pytest.approx(pj, rel=0.06)
        low, high = ihp.entry("sram", action).range
        assert low <= pj / ours <= high * 1.001
    exponent = np.log(macros[16] / macros[2]) / np.log(8)
    horowitz = dict(load_table("horowitz_45nm").entry("sram", action).terms[0].exponents)["capacity_bytes"]
    assert exponent == pytest.approx(
        horowitz, rel=0.12
    )  # two technologies, one shape: 0.43 and 0.47, the square root 0.5


def test_area_and_leakage_of_sram_macros(ihp: EnergyTable) -> None:
    for row in rows("sram_ihp130.csv"):
        capacity = float(row["KiB"]) * 1024
        assert ihp.entry("sram", "leak").value(capacity_bytes=capacity) == pytest.approx(
            float(row["leak_nW"]) * 1e-9, rel=1e-3
        )
        if row["bits"] == "64" and capacity >= 2048:
            assert ihp.entry("sram", "area").value(capacity_bytes=capacity) == pytest.approx(
                float(row["area_um2"]), rel=0.01
            )


def one_product(weight_bits: int, activation_bits: int) -> tuple[Conv2D, Graph]:
    g = MacGeometry(n=1, ih=1, iw=1, ic=1, oh=1, ow=1, oc=1, kh=1, kw=1)
    layer = Conv2D(name="l", inputs=("x",), output="y", geometry=g, weights=None, weight_format=IntFormat(weight_bits))
    tensors = {
        "x": Tensor("x", g.input_shape, IntFormat(activation_bits)),
        "y": Tensor("y", g.output_shape, IntFormat(8)),
    }
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    return layer, Graph(name="one", arithmetic="-", tensors=tensors, layers=(layer,), shape_only=True, **ports)


@pytest.mark.parametrize("table", ["horowitz_45nm", "qkeras_45nm", "aladdin_40nm", "bitfusion_45nm"])
def test_unpu_bit_serial_law(table: str) -> None:
    """UNPU (JSSC 2019), 16-bit activations: 345.6 to 7372 GOPS and 3.08 to 50.6 TOPS/W from 16 to 1 weight bits."""
    arch = load_arch("bit_serial_16x16").with_(
        {
            "array.weight_bits": 1,
            "array.activation_bits": 16,
            "accumulator.word_per_slice": False,
            "tech.energy_table": table,
        }
    )
    energies = {}
    for bits in (16, 1):
        layer, graph = one_product(bits, 16)
        energies[bits] = action_energies(layer, graph=graph, arch=arch, table=table_of(arch))["array_mac"]
    assert energies[16] / energies[1] == pytest.approx(50.6 / 3.08, rel=0.25)
    assert arch.macs_per_cycle(1, 16) / arch.macs_per_cycle(16, 16) == pytest.approx(7372 / 345.6, rel=0.25)


def test_areas_of_a_machine_are_a_dash_where_the_table_has_none() -> None:
    edge = load_arch("edge_16x16")
    areas = area_um2(edge, Costs(table_of(edge)))
    assert areas["array"] == pytest.approx(256 * (282 + 137), rel=0.01)
    assert areas["weight_buffer"] is None
    whole = edge.with_({"tech.energy_table": "ihp_130nm"})
    assert None not in area_um2(whole, Costs(table_of(whole))).values()


@pytest.mark.parametrize(
    ("scheme", "larger"),
    [("single_8", False), ("single_16", False), ("float64_half_away", True), ("shift_half_up", False)],
)
def test_the_area_of_the_requantizer_follows_the_scheme(scheme: str, larger: bool) -> None:
    """From the 32-bit multiplier of TFLite's rules to narrower ones, a float64 significand, or no multiplier."""
    edge = load_arch("edge_16x16").with_({"tech.energy_table": "ihp_130nm"})
    base, other = (
        area_um2(a, Costs(table_of(a)))["requantizer"] for a in (edge, edge.with_({"overrides.CONV_2D": scheme}))
    )
    assert base is not None
    assert other is not None
    assert (other > base) == larger
    lanes = edge.requantizer.lanes
    table = load_table("ihp_130nm")
    if scheme == "shift_half_up":
        assert other == pytest.approx(lanes * (table.entry("shifter", "area").value(bits=32) + 2 * 1643.8))
