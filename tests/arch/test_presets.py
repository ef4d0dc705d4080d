"""The machines that ship: all load, all are documented, and their published numbers are the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.arch import Arch, load_arch, preset_names, presets_dir
from accelsim.errors import ConfigError
from accelsim.resources import resource_path

NAMES = (
    "bit_fusion_16x16",
    "bit_serial_16x16",
    "cfu_hps",
    "edge_16x16",
    "edge_lpddr4",
    "ethos_u55_128",
    "gemmini_16x16",
    "ita_16x64",
    "mcu_npu",
    "nvdla_nv_small",
    "nvdla_small",
    "os_16x16",
    "scalesim_32x32_is",
    "scalesim_32x32_os",
    "scalesim_32x32_ws",
    "tiny_8x8",
    "tpu_v1",
)

BUFFERS = ("weight", "activation", "output")


def test_names() -> None:
    assert preset_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_loads_under_its_own_name(name: str) -> None:
    arch = load_arch(name)
    assert arch.name == name
    assert arch.description
    assert arch.source
    assert load_arch(presets_dir() / f"{name}.yaml") == arch
    assert load_arch(str(presets_dir() / f"{name}.yaml")) == arch


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_says_where_its_numbers_come_from(name: str) -> None:
    text = (presets_dir() / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.count("#") >= 3
    assert max(map(len, text.splitlines())) <= 120


def test_tpu_v1_is_the_papers() -> None:
    """Jouppi et al., ISCA 2017, section 2 and Table 2."""
    arch = load_arch("tpu_v1")
    assert arch.peak_macs_per_cycle == 65_536
    assert 2 * arch.peak_macs_per_cycle * arch.clock_hz == pytest.approx(92e12, rel=0.005)
    assert arch.accumulator.count * arch.accumulator.bits // 8 == 4 * 2**20
    assert arch.accumulator.count == 4096 * 256
    assert arch.weight_buffer.size_bytes == 4 * 64 * 2**10
    assert arch.activation_buffer.size_bytes + arch.output_buffer.size_bytes == 24 * 2**20
    assert arch.dram.bandwidth_bytes_per_s == 34 * 10**9
    assert (arch.clock_hz, arch.array.weight_preload) == (700_000_000, "overlapped")
    assert arch.clock_hz * arch.peak_macs_per_cycle / arch.dram.bandwidth_bytes_per_s == pytest.approx(1350, rel=0.001)


def test_mcu_npu_has_128_macs() -> None:
    assert load_arch("mcu_npu").peak_macs_per_cycle == 128


def test_bit_fusion_makes_the_papers_products_per_cycle() -> None:
    """Sharma et al., ISCA 2018: 16 BitBricks make 16 products of 2x2, 4 of 4x4, 1 of 8x8; 16x16 takes 4 cycles."""
    arch = load_arch("bit_fusion_16x16")
    units = arch.peak_macs_per_cycle
    rates = {
        (2, 2): 16,
        (4, 4): 4,
        (2, 8): 4,
        (8, 2): 4,
        (4, 8): 2,
        (2, 4): 8,
        (8, 8): 1,
        (8, 16): 1 / 2,
        (16, 16): 1 / 4,
    }
    assert {widths: arch.macs_per_cycle(*widths) / units for widths in rates} == rates
    assert arch.macs_per_cycle(1, 1) == arch.macs_per_cycle(2, 1) == 16 * units
    assert arch.macs_per_cycle(3, 5) == 2 * units  # as 4x8


def test_bit_serial_rate_follows_the_activation_bits() -> None:
    """Judd et al., MICRO 2016: a product of p-bit activations takes p cycles, whatever the weights up to 16 bits."""
    arch = load_arch("bit_serial_16x16")
    assert [arch.macs_per_cycle(w, a) for w, a in ((16, 1), (16, 16), (8, 5), (2, 8))] == [256, 16, 51.2, 32]
    loom = arch.with_({"array.weight_bits": 1})
    assert loom.macs_per_cycle(3, 5) == 256 / 15


def test_edge_and_its_output_stationary_variant_differ_in_the_array_only() -> None:
    edge, variant = load_arch("edge_16x16"), load_arch("os_16x16")
    same_labels = {path: edge.get(path) for path in ("name", "description", "source")}
    assert variant.with_({**same_labels, "array.dataflow": "weight_stationary"}) == edge


def test_the_lpddr4_variant_of_edge_differs_in_its_memory_only() -> None:
    edge, variant = load_arch("edge_16x16"), load_arch("edge_lpddr4")
    memory = ("name", "description", "source", "dma.", "dram.", "tech.dram", *(f"{b}_buffer." for b in BUFFERS))
    assert all(path.startswith(memory) for path in edge.paths() if edge.get(path) != variant.get(path))
    assert all(getattr(variant, f"{b}_buffer").overlaps for b in BUFFERS)
    assert variant.dram.channel is not None
    assert variant.dram.bandwidth_bytes_per_s == variant.dram.channel.peak_bytes_per_s


def test_the_scale_sim_pair_differs_in_the_dataflow_only() -> None:
    ws, os = load_arch("scalesim_32x32_ws"), load_arch("scalesim_32x32_os")
    labels = {path: ws.get(path) for path in ("name", "description")}
    assert os.with_({**labels, "array.dataflow": "weight_stationary"}) == ws
    assert ws.array.first_cycle == 0


def test_a_preset_with_edits() -> None:
    arch = load_arch("edge_16x16", edits={"array.rows": "32", "dram.bandwidth_bytes_per_s": "1.6 GB/s"})
    assert (arch.array.rows, arch.dram.bandwidth_bytes_per_s) == (32, 1_600_000_000)
    assert load_arch("edge_16x16").array.rows == 16


def test_a_file_named_like_a_preset_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edge_16x16.yaml").write_text("name: other", encoding="utf-8")
    assert load_arch("edge_16x16").name == "edge_16x16"
    with pytest.raises(ConfigError, match=r"^edge_16x16\.yaml:1: clock_hz: missing"):
        load_arch("edge_16x16.yaml")


def test_presets_are_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert preset_names() == NAMES


def test_resources_inside_the_package_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "accelsim"
    (package / "arch_configs").mkdir(parents=True)
    (package.parent / "arch_configs").mkdir()
    (package.parent / "workloads").mkdir()
    monkeypatch.setattr("accelsim.resources.resources.files", lambda _: package)
    assert resource_path("arch_configs") == package / "arch_configs"
    assert resource_path("workloads") == package.parent / "workloads"
    (package.parent / "workloads").rmdir()
    with pytest.raises(
        ConfigError, match=r"^workloads: expected a folder in or beside .*accelsim, found none; install"
    ):
        resource_path("workloads")


def test_presets_are_the_same_object_every_time() -> None:
    assert load_arch("tpu_v1") is load_arch("tpu_v1")
    assert isinstance(load_arch("tpu_v1"), Arch)
