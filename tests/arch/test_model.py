"""The machine as a value: edits, paths, YAML and JSON round trips, schema, immutability."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from accelsim.arch import ARITHMETICS, STREAMS, Arch, json_schema, load_arch
from accelsim.arch.arithmetic import OPERATORS, usable_schemes
from accelsim.errors import ConfigError

EDGE = load_arch("edge_16x16")
LOADED = ("weights", "activations")
MEMORY = ("memory", "memory_bytes", "energy_pj_per_bit")
"""What is said of the memory that a stream loads from."""
PATHS = [
    "name",
    "description",
    "source",
    "arithmetic",
    "overrides",
    "clock_hz",
    "array.rows",
    "array.cols",
    "array.dataflow",
    "array.weight_bits",
    "array.activation_bits",
    "array.weight_preload",
    "array.drain",
    "array.reduction",
    "array.stripe_pixels",
    "array.step_folds",
    "array.group_folds",
    "array.dot_products",
    "array.issue_cycles",
    "array.fold_issue_cycles",
    "array.pipeline_stages",
    "array.first_cycle",
    "array.brick_bits",
    "array.mac",
    "array.weight_zero_points",
    "array.weight_scratchpad_bytes",
    "array.activation_scratchpad_bytes",
    "array.sum_scratchpad_bytes",
    "array.hop_um",
    "array.zero_gating",
    "accumulator.count",
    "accumulator.bits",
    "accumulator.overflow",
    "accumulator.double_buffered",
    "accumulator.products_per_add",
    "accumulator.bias_bits",
    "accumulator.word_per_slice",
    "weight_buffer.size_bytes",
    "weight_buffer.double_buffered",
    "weight_buffer.bytes_per_cycle",
    "weight_buffer.banks",
    "weight_buffer.ports",
    "weight_buffer.coding",
    "weight_buffer.slots",
    "weight_buffer.decoders",
    "activation_buffer.size_bytes",
    "activation_buffer.double_buffered",
    "activation_buffer.bytes_per_cycle",
    "activation_buffer.banks",
    "activation_buffer.ports",
    "activation_buffer.resident_bytes",
    "activation_buffer.fuse_pairs",
    "activation_buffer.im2col",
    "output_buffer.size_bytes",
    "output_buffer.double_buffered",
    "output_buffer.bytes_per_cycle",
    "output_buffer.banks",
    "output_buffer.ports",
    "shared_buffer.size_bytes",
    "shared_buffer.banks",
    "shared_buffer.weight_banks",
    "requantizer.lanes",
    "requantizer.stages",
    "requantizer.streaming",
    "requantizer.pipeline_stages",
    "requantizer.parameter_bytes",
    "vector.lanes",
    "vector.fuse_activations",
    "vector.fuse_elementwise",
    "vector.fuse_pools",
    "dma.queues",
    "dma.setup_cycles",
    "dma.write_bytes",
    "dma.whole_weight_tiles",
    "dma.weight_compression",
    "dma.zero_run_bits",
    "dma.activation_compression",
    "dma.activation_zeros",
    "dram.bandwidth_bytes_per_s",
    "dram.latency_ns",
    "dram.burst_bytes",
    "dram.standard",
    *(
        f"streams.{name}.{key}"
        for name in STREAMS
        for key in ("bandwidth_bytes_per_s", "latency_ns", "port", *(MEMORY if name in LOADED else ()))
    ),
    "cores.count",
    "cores.split",
    "tech.energy_table",
    "tech.node_nm",
    "tech.voltage_v",
    "tech.dram",
]
SHARED: dict[str, Any] = {
    "shared_buffer.size_bytes": "128 KiB",
    "shared_buffer.banks": 32,
    "weight_buffer.size_bytes": None,
    "activation_buffer.size_bytes": None,
    **{f"{name}_buffer.banks": 1 for name in ("weight", "activation")},
    **{f"{name}_buffer.ports": 2 for name in ("weight", "activation")},
}
"""Makes of two memories one."""
NEEDED: dict[str, dict[str, Any]] = {
    "shared_buffer.size_bytes": SHARED,
    **{
        f"streams.{name}.memory_bytes": {f"streams.{name}.memory": "sram", f"streams.{name}.memory_bytes": 4096}
        for name in LOADED
    },
}
"""What a machine has beside another value of a path."""
OTHER_VALUES: dict[str, Any] = {
    "shared_buffer.size_bytes": "96 KiB",
    "shared_buffer.banks": 24,
    "shared_buffer.weight_banks": 7,
    "name": "other",
    "description": "x",
    "source": "y",
    "arithmetic": "litert-xnnpack",
    "overrides": {"ADD": "single"},
    "clock_hz": "1 GHz",
    "array.rows": 3,
    "array.cols": 5,
    "array.dataflow": "output_stationary",
    "array.weight_bits": 4,
    "array.activation_bits": 16,
    "array.weight_preload": "overlapped",
    "array.drain": "overlapped",
    "array.reduction": "per_tap",
    "array.stripe_pixels": 16,
    "array.step_folds": 4,
    "array.group_folds": "side_by_side",
    "array.dot_products": 4,
    "array.issue_cycles": 160,
    "array.fold_issue_cycles": 3,
    "array.pipeline_stages": 2,
    "array.first_cycle": 0,
    "array.brick_bits": 2,
    "array.mac": "shift_add",
    "array.weight_zero_points": "extra_channel",
    "array.weight_scratchpad_bytes": "448 B",
    "array.activation_scratchpad_bytes": 24,
    "array.sum_scratchpad_bytes": 48,
    "array.hop_um": 1500,
    "array.zero_gating": 0.25,
    "weight_buffer.coding": "codebook",
    "weight_buffer.slots": 4,
    "weight_buffer.decoders": 5,
    "accumulator.count": 77,
    "accumulator.bits": 24,
    "accumulator.overflow": "trap",
    "accumulator.double_buffered": False,
    "accumulator.products_per_add": "tile",
    "accumulator.bias_bits": 24,
    "accumulator.word_per_slice": False,
    "activation_buffer.resident_bytes": "1 KiB",
    "activation_buffer.fuse_pairs": True,
    "activation_buffer.im2col": "dram",
    "requantizer.lanes": 2,
    "requantizer.stages": "saturate 8",
    "requantizer.streaming": True,
    "requantizer.pipeline_stages": 4,
    "requantizer.parameter_bytes": 9,
    "vector.lanes": 3,
    "vector.fuse_activations": True,
    "vector.fuse_elementwise": True,
    "vector.fuse_pools": True,
    "dma.queues": 2,
    "dma.setup_cycles": 9,
    "dma.write_bytes": 8,
    "dma.whole_weight_tiles": True,
    **{f"streams.{name}.port": "own" for name in STREAMS},
    **{f"streams.{name}.bandwidth_bytes_per_s": "1 GB/s" for name in STREAMS},
    **{f"streams.{name}.latency_ns": "30 ns" for name in STREAMS},
    **{f"streams.{name}.memory": "hbm2" for name in LOADED},
    **{f"streams.{name}.memory_bytes": "2 MiB" for name in LOADED},
    **{f"streams.{name}.energy_pj_per_bit": "12 pJ" for name in LOADED},
    "dma.weight_compression": "zero_run_length",
    "dma.zero_run_bits": 5,
    "dma.activation_compression": "run_length",
    "dma.activation_zeros": 0.75,
    "dram.bandwidth_bytes_per_s": "12.8 Gbit/s",
    "dram.latency_ns": "1 us",
    "dram.burst_bytes": 32,
    "dram.standard": "LPDDR4_3200",
    "cores.count": 3,
    "cores.split": "rows",
    "tech.energy_table": "mine.yaml",
    "tech.node_nm": 32,
    "tech.voltage_v": 0.7,
    "tech.dram": "lpddr4",
} | {
    f"{buffer}_buffer.{key}": value
    for buffer in ("weight", "activation", "output")
    for key, value in {
        "size_bytes": "3 KiB",
        "double_buffered": False,
        "bytes_per_cycle": 4,
        "banks": 6,
        "ports": 1,
    }.items()
}

sizes = st.integers(2, 2**40)
sides = st.integers(1, 65_536)
BRICKED = {2, 4, 8, 16, 32}
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=100).filter(
    lambda text: re.fullmatch(r"\S(.*\S)?", text) is not None
)
MEMORIES = {
    "memory": st.none() | st.just("sram") | names,
    "memory_bytes": sizes,
    "energy_pj_per_bit": st.none() | st.floats(0, 1e6),
}


def _one_memory(stream: dict[str, Any]) -> dict[str, Any]:
    """With a size where it is an SRAM, and a price where it is nothing named."""
    if stream.get("memory") is not None:
        stream = {**stream, "energy_pj_per_bit": None}
    return stream if stream.get("memory") == "sram" or "memory" not in stream else {**stream, "memory_bytes": None}


buffers = st.fixed_dictionaries(
    {
        "size_bytes": sizes,
        "double_buffered": st.booleans(),
        "bytes_per_cycle": st.none() | st.integers(1, 2**20),
        "banks": st.integers(1, 65_536),
        "ports": st.sampled_from([1, 2]),
    }
)
weight_buffers = st.builds(
    lambda buffer, more, slots: {
        **buffer,
        **more,
        "slots": min(slots, buffer["size_bytes"]) if buffer["double_buffered"] else 2,
    },
    buffers,
    st.fixed_dictionaries(
        {"coding": st.sampled_from([None, "codebook", "golomb_rice"]), "decoders": st.none() | st.integers(1, 2**16)}
    ),
    st.integers(2, 8),
)
activation_buffers = buffers.flatmap(
    lambda buffer: (st.just("auto") | st.integers(0, buffer["size_bytes"] - 2)).map(
        lambda kept: {**buffer, "resident_bytes": kept, "fuse_pairs": kept != "auto" and kept % 2 == 0}
    )
).flatmap(lambda buffer: st.sampled_from(["implicit", "buffer", "dram"]).map(lambda mode: {**buffer, "im2col": mode}))


@st.composite
def overrides(draw: st.DrawFn) -> dict[str, str]:
    operators = draw(st.lists(st.sampled_from(OPERATORS), unique=True, max_size=4))
    return {operator: draw(st.sampled_from(usable_schemes(operator))) for operator in operators}


machines = (
    st.fixed_dictionaries(
        {
            "name": names,
            "description": st.text(max_size=200),
            "source": st.text(max_size=200),
            "arithmetic": st.sampled_from([None, *sorted(ARITHMETICS)]),
            "overrides": overrides(),
            "clock_hz": st.integers(1000, 10**11),
            "array": st.fixed_dictionaries(
                {
                    "rows": sides,
                    "cols": sides,
                    "dataflow": st.sampled_from(["weight_stationary", "output_stationary", "input_stationary"]),
                    "weight_bits": st.integers(1, 32),
                    "activation_bits": st.integers(1, 32),
                    "weight_preload": st.sampled_from(["serial", "overlapped"]),
                    "drain": st.sampled_from(["serial", "overlapped"]),
                    "reduction": st.sampled_from(["flat", "per_tap"]),
                    "stripe_pixels": st.none(),
                    "step_folds": st.integers(1, 64),
                    "group_folds": st.sampled_from(["apart", "side_by_side"]),
                    "dot_products": st.integers(1, 1024),
                    "issue_cycles": st.integers(0, 10**9),
                    "fold_issue_cycles": st.integers(0, 10**9),
                    "pipeline_stages": st.integers(0, 64),
                    "first_cycle": st.sampled_from([0, 1]),
                    "brick_bits": st.sampled_from([None, 2]),
                    "mac": st.sampled_from(["multiply", "shift_add"]),
                    "weight_zero_points": st.sampled_from(["subtract", "extra_channel"]),
                    "weight_scratchpad_bytes": st.none() | st.integers(4, 2**40),
                    "activation_scratchpad_bytes": st.none() | st.integers(4, 2**40),
                    "sum_scratchpad_bytes": st.none() | sizes,
                    "hop_um": st.none() | st.floats(1e-3, 1e6),
                    "zero_gating": st.none() | st.floats(0, 1),
                }
            )
            .filter(
                lambda array: array["brick_bits"] is None or {array["weight_bits"], array["activation_bits"]} <= BRICKED
            )
            .filter(lambda array: array["brick_bits"] is None or array["mac"] == "multiply")
            .filter(
                lambda array: (
                    array["rows"] > 1
                    or array["dataflow"] == "output_stationary"
                    or array["weight_zero_points"] == "subtract"
                )
            ),
            "accumulator": st.fixed_dictionaries(
                {
                    "count": sizes,
                    "bits": st.integers(8, 64),
                    "overflow": st.sampled_from(["wrap", "saturate", "saturate_symmetric", "trap"]),
                    "double_buffered": st.booleans(),
                    "products_per_add": st.integers(1, 65_536) | st.just("tile"),
                    "bias_bits": st.none() | st.integers(8, 64),
                    "word_per_slice": st.booleans(),
                }
            ),
            "weight_buffer": weight_buffers,
            "activation_buffer": activation_buffers,
            "output_buffer": buffers,
            "shared_buffer": st.fixed_dictionaries(
                {
                    "size_bytes": st.none(),
                    "banks": st.none() | st.integers(2, 65_536),
                    "weight_banks": st.none() | st.integers(1, 65_536),
                }
            ),
            "requantizer": st.fixed_dictionaries(
                {
                    "lanes": sides,
                    "stages": st.none(),
                    "streaming": st.booleans(),
                    "pipeline_stages": st.integers(0, 64),
                    "parameter_bytes": st.integers(0, 64),
                }
            ),
            "vector": st.fixed_dictionaries(
                {
                    "lanes": sides,
                    "fuse_activations": st.booleans(),
                    "fuse_elementwise": st.booleans(),
                    "fuse_pools": st.booleans(),
                }
            ),
            "dma": st.fixed_dictionaries(
                {
                    "queues": st.integers(1, 3),
                    "setup_cycles": st.integers(0, 10**9),
                    "write_bytes": st.integers(0, 16).map(lambda log: 2**log),
                    "whole_weight_tiles": st.just(False),
                    "weight_compression": st.sampled_from([None, "zero_run_length"]),
                    "zero_run_bits": st.integers(1, 16),
                    "activation_compression": st.sampled_from([None, "run_length"]),
                    "activation_zeros": st.floats(0, 1),
                }
            ),
            "dram": st.fixed_dictionaries(
                {
                    "bandwidth_bytes_per_s": st.integers(10**5, 10**15),
                    "latency_ns": st.floats(0, 1e9),
                    "burst_bytes": st.integers(0, 16).map(lambda log: 2**log),
                    "standard": st.none(),
                }
            ),
            "streams": st.fixed_dictionaries(
                {
                    name: st.fixed_dictionaries(
                        {
                            "bandwidth_bytes_per_s": st.none() | st.integers(10**5, 10**15),
                            "latency_ns": st.none() | st.floats(0, 1e9),
                            "port": st.none() | names,
                            **(MEMORIES if name in LOADED else {}),
                        }
                    ).map(_one_memory)
                    for name in STREAMS
                }
            ),
            "cores": st.fixed_dictionaries(
                {"count": st.integers(1, 64), "split": st.sampled_from(["auto", "channels", "rows"])}
            ),
            "tech": st.fixed_dictionaries(
                {
                    "energy_table": names,
                    "node_nm": st.none() | st.floats(7, 130),
                    "voltage_v": st.none() | st.floats(0.1, 5),
                    "dram": st.none() | names,
                }
            ),
        }
    )
    .map(
        lambda data: (
            data | {"cores": data["cores"] | {"count": 1}} if data["activation_buffer"]["resident_bytes"] else data
        )
    )
    .map(
        lambda data: (
            data | {"dma": data["dma"] | {"weight_compression": None}}
            if data["weight_buffer"]["coding"] == "golomb_rice"
            else data
        )
    )
)


@pytest.mark.parametrize("text", ["0\x850", "a\u2028b", "\u00fc x", "a\nb", "tab\tq", "x\ny: ["])
def test_labels_keep_every_character(tmp_path: Path, text: str) -> None:
    machine = EDGE.with_({"description": text})
    path = tmp_path / "m.yaml"
    path.write_text(machine.to_yaml(), encoding="utf-8")
    assert load_arch(str(path)) == machine


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(machines)
def test_yaml_json_and_dictionaries_round_trip(tmp_path: Path, data: dict[str, Any]) -> None:
    arch = Arch.from_dict(data)
    assert arch.model_dump() == data
    path = tmp_path / "m.yaml"
    path.write_text(arch.to_yaml(), encoding="utf-8")
    assert load_arch(path) == arch
    assert Arch.from_dict(json.loads(arch.model_dump_json())) == arch
    assert pickle.loads(pickle.dumps(arch)) == arch
    assert hash(pickle.loads(pickle.dumps(arch))) == hash(arch)


def test_yaml_uses_units_where_that_loses_nothing() -> None:
    text = EDGE.with_({"weight_buffer.size_bytes": 1001, "overrides.ADD": "single"}).to_yaml()
    assert "clock_hz: 500 MHz\n" in text
    assert "weight_buffer:\n  size_bytes: 1001\n" in text
    assert "resident_bytes: 0\n" in text
    kept = EDGE.with_({"activation_buffer.resident_bytes": "48 KiB"})
    assert "resident_bytes: 48 KiB\n" in kept.to_yaml()
    assert "resident_bytes: auto\n" in kept.with_({"activation_buffer.resident_bytes": "auto"}).to_yaml()
    assert "activation_buffer:\n  size_bytes: 64 KiB\n  double_buffered: true\n  bytes_per_cycle: null\n" in text
    assert "overrides:\n  ADD: single\n" in text
    assert list(json.loads(EDGE.model_dump_json())) == re.findall(r"^(\w+):", text, re.MULTILINE)


def test_paths_name_every_parameter_once() -> None:
    assert list(EDGE.paths()) == PATHS
    assert EDGE.with_({"overrides.ADD": "single"}).paths()[-1] == "overrides.ADD"


@pytest.mark.parametrize("path", PATHS)
def test_every_path_can_be_read_and_edited(path: str) -> None:
    base = EDGE.with_(NEEDED.get(path, {}))
    edited = base.with_({path: OTHER_VALUES[path]})
    assert edited.get(path) != base.get(path)
    assert edited != base
    assert edited.with_({path: base.get(path)}) == base
    assert Arch.read_value(path, OTHER_VALUES[path]) == edited.get(path)
    assert [p for p in PATHS if edited.get(p) != base.get(p)] == [path]


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("array.rows", "32", 32),
        ("array.rows", " 3_2 ", 32),
        ("array.rows", np.int64(7), 7),
        ("array.dataflow", np.str_("output_stationary"), "output_stationary"),
        ("weight_buffer.size_bytes", "24 MiB", 24 * 2**20),
        ("weight_buffer.size_bytes", "1e3", 1000),
        ("weight_buffer.size_bytes", 2048.0, 2048),
        ("weight_buffer.bytes_per_cycle", "16", 16),
        ("weight_buffer.bytes_per_cycle", "none", None),
        ("weight_buffer.bytes_per_cycle", "null", None),
        ("weight_buffer.double_buffered", "false", False),
        ("weight_buffer.double_buffered", "True", True),
        ("weight_buffer.double_buffered", np.False_, False),
        ("clock_hz", "1.2 GHz", 1_200_000_000),
        ("clock_hz", "600000000", 600_000_000),
        ("dram.bandwidth_bytes_per_s", "34 GB/s", 34_000_000_000),
        ("dram.latency_ns", "0.5", 0.5),
        ("dram.latency_ns", "1.5 us", 1500.0),
        ("dram.latency_ns", np.float64(2.5), 2.5),
        ("name", "12", "12"),
        ("name", "true", "true"),
        ("tech.energy_table", Path("a/b.yaml"), "a/b.yaml"),
        ("tech.energy_table", "d" * 200 + "/b.yaml", "d" * 200 + "/b.yaml"),
        ("overrides.ADD", "tflite_single", "single"),
    ],
)
def test_texts_are_read_as_on_a_command_line(path: str, text: object, value: object) -> None:
    got = EDGE.with_({path: text}).get(path)
    assert (got, type(got)) == (value, type(value))
    alone = Arch.read_value(path, text)
    assert (alone, type(alone)) == (value, type(value))


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"array.rowz": 1}, "array.rowz: unknown path; did you mean 'array.rows'?"),
        ({"rows": 1}, "rows: unknown path; did you mean 'array.rows'?"),
        ({"Array.Rows": 1}, "Array.Rows: unknown path; did you mean 'array.rows'?"),
        ({"array.rows.x": 1}, "array.rows.x: unknown path; did you mean 'array.rows'?"),
        ({"lanes": 1}, "lanes: unknown path; did you mean 'requantizer.lanes' or 'vector.lanes'?"),
        ({"vec.lanes": 1}, "vec.lanes: unknown path; did you mean 'vector.lanes'?"),
        ({"qqqq": 1}, f"qqqq: unknown path; expected one of {', '.join(PATHS)}"),
        ({"": 1}, f"'': unknown path; expected one of {', '.join(PATHS)}"),
        (
            {"dram": 1},
            (
                "dram: is a section; expected one of its entries: dram.bandwidth_bytes_per_s, dram.latency_ns, "
                "dram.burst_bytes, dram.standard"
            ),
        ),
        ({"array.rows": "none"}, "array.rows: expected a whole number, got null"),
        ({"array.rows": "1e3"}, "array.rows: expected a whole number, got 1000.0"),
        ({"array.rows": -4}, "array.rows: expected at least 1, got -4"),
        (
            {"array.rows": "0", "array.cols": 0},
            "array.rows: expected at least 1, got 0; array.cols: expected at least 1, got 0",
        ),
        ({"dma.setup_cycles": "-1"}, "dma.setup_cycles: expected at least 0, got -1"),
        ({"weight_buffer.double_buffered": "yes"}, "weight_buffer.double_buffered: expected true or false, got 'yes'"),
        ({"name": 12}, "name: expected a text, got 12"),
        ({"accumulator.bits": 65}, "accumulator.bits: expected at most 64, got 65"),
        ({"tech.voltage_v": "low"}, "tech.voltage_v: expected a number, got 'low'"),
        ({"tech.node_nm": 5}, "tech.node_nm: expected at least 7, got 5"),
        ({"overrides": "{}"}, "overrides: expected operators and their schemes, such as ADD: single, got '{}'"),
        (
            {"overrides.ADD": "singl"},
            (
                "overrides: ADD has unknown scheme 'singl'; expected one of tflite_double, single,"
                " half_up_twice, tflite_int16, xnnpack_add, onnxruntime_float32; did you mean 'single'?"
            ),
        ),
        (
            {"overrides.ADDD": "single"},
            (
                "overrides.ADDD: operator 'ADDD' has no requantization scheme; expected one of"
                f" {', '.join(OPERATORS)}; did you mean 'ADD'?"
            ),
        ),
        ({"cores.count": 0}, "cores.count: expected at least 1, got 0"),
        ({"cores.count": 65}, "cores.count: expected at most 64, got 65"),
        ({"cores.count": 2.5}, "cores.count: expected a whole number, got 2.5"),
        ({"cores.split": "row"}, "cores.split: expected 'auto', 'channels' or 'rows', got 'row'; did you mean 'rows'?"),
        (
            {"cores.count": 2, "activation_buffer.resident_bytes": "1 KiB"},
            (
                "cores.count of 2 with activation_buffer.resident_bytes of 1024: expected 0, since a tensor that several"
                " cores make and read fits no single core's memory; keep nothing or use one core"
            ),
        ),
        (
            {"dram.bandwidth_bytes_per_s": 1},
            (
                "dram.bandwidth_bytes_per_s of 1 at a clock_hz of 500000000: expected at most"
                " 1000000 cycles per byte; raise bandwidth or lower clock"
            ),
        ),
    ],
)
def test_wrong_edits(edits: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EDGE.with_(edits)
    assert str(caught.value) == message
    assert caught.value.data


@pytest.mark.parametrize("path", ["array.row", "", "array", "overrides.NOPE", "array.rows.bit_length"])
def test_get_refuses_unknown_paths(path: str) -> None:
    with pytest.raises(ConfigError):
        EDGE.get(path)


def test_edits_are_judged_together() -> None:
    """Each alone would make the DRAM too slow for the clock, or is made legal by the other."""
    arch = EDGE.with_({"dram.bandwidth_bytes_per_s": 1, "clock_hz": "1 MHz"})
    assert (arch.dram.bandwidth_bytes_per_s, arch.clock_hz) == (1, 10**6)


def test_overrides_are_set_and_taken_back_one_by_one() -> None:
    arch = EDGE.with_({"overrides.ADD": "single", "overrides.FULLY_CONNECTED": "float64_half_away"})
    assert arch.overrides == {"ADD": "single", "FULLY_CONNECTED": "float64_half_away"}
    assert arch.rules().scheme("ADD") == "single"
    assert arch.rules().scheme("CONV_2D") == "tflite_double"
    assert arch.with_({"overrides.ADD": "none"}).overrides == {"FULLY_CONNECTED": "float64_half_away"}
    assert arch.with_({"overrides": {}}) == EDGE
    assert EDGE.get("overrides.ADD") is None
    assert EDGE.with_({"overrides.ADD": None}) == EDGE


def test_rules_are_the_arithmetic_with_the_overrides() -> None:
    assert EDGE.rules() is ARITHMETICS["tflite-micro"]
    assert EDGE.with_({"arithmetic": "litert-reference"}).rules() is ARITHMETICS["litert-reference"]
    assert EDGE.with_({"overrides.ADD": "single"}).rules().name == "tflite-micro+ADD=single"


def test_a_machine_does_not_change() -> None:
    with pytest.raises(ValidationError):
        EDGE.name = "x"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        EDGE.array.rows = 1  # type: ignore[misc]
    arch = EDGE.with_({"overrides.ADD": "single"})
    for change in (
        lambda: arch.overrides.__setitem__("ADD", "x"),
        lambda: arch.overrides.update(ADD="x"),
        lambda: arch.overrides.pop("ADD"),
        lambda: arch.overrides.clear(),
        lambda: EDGE.overrides.setdefault("ADD", "x"),
    ):
        with pytest.raises(TypeError, match="a machine does not change; make another with"):
            change()
    assert arch.overrides == {"ADD": "single"}


def test_equal_machines_are_one_key() -> None:
    twin = Arch.from_dict(EDGE.model_dump())
    other = EDGE.with_({"overrides.ADD": "single"})
    assert {EDGE: 1, twin: 2, other: 3} == {EDGE: 2, other: 3}


def test_peak_macs_per_cycle() -> None:
    assert EDGE.with_({"array.rows": 3, "array.cols": 7}).peak_macs_per_cycle == 21
    assert EDGE.with_({"array.rows": 3, "array.cols": 7, "cores.count": 5}).peak_macs_per_cycle == 105
    assert EDGE.with_({"cores.count": 4}).macs_per_cycle(16, 8) == 4 * 128


def test_from_dict_reads_units_and_any_mapping() -> None:
    from types import MappingProxyType

    data = MappingProxyType(
        EDGE.model_dump() | {"clock_hz": "1 GHz", "array": MappingProxyType(EDGE.array.model_dump())}
    )
    assert Arch.from_dict(data) == EDGE.with_({"clock_hz": 10**9})


@pytest.mark.parametrize("data", [{}, [], None, 3, {"array": []}, {1: 2}])
def test_from_dict_refuses_in_one_line(data: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Arch.from_dict(data)
    assert "\n" not in str(caught.value)


def test_single_slots_may_be_a_byte_or_a_word() -> None:
    edits = {"accumulator.count": 1, "accumulator.double_buffered": False}
    edits |= {"weight_buffer.size_bytes": 1, "weight_buffer.double_buffered": False}
    assert EDGE.with_(edits).accumulator.count == 1


def leaves(schema: dict[str, Any], node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted paths and their entries in a JSON schema."""
    for name, entry in node["properties"].items():
        (reference,) = entry.get("allOf", [entry])  # a reference with a description beside it, before pydantic 2.9
        if "$ref" in reference:
            yield from leaves(schema, schema["$defs"][reference["$ref"].rpartition("/")[2]], f"{prefix}{name}.")
        else:
            yield prefix + name, entry


def test_schema_has_every_path_with_a_description() -> None:
    schema = json_schema()
    entries = dict(leaves(schema, schema))
    assert list(entries) == PATHS
    assert all(entry["description"] for entry in entries.values())
    assert json.loads(json.dumps(schema)) == schema


def test_schema_knows_bounds_units_and_choices() -> None:
    schema = json_schema()
    entries = dict(leaves(schema, schema))
    assert (entries["array.rows"]["minimum"], entries["array.rows"]["maximum"]) == (1, 65_536)
    name, none = entries["arithmetic"]["anyOf"]
    assert name["enum"] == list(ARITHMETICS)
    assert none == {"type": "null"}
    assert entries["array.dataflow"]["enum"] == [
        "weight_stationary",
        "output_stationary",
        "input_stationary",
        "adder_tree",
    ]
    number, text = entries["output_buffer.size_bytes"]["anyOf"]
    assert (number["type"], number["maximum"]) == ("integer", 2**40)
    for good in ("64 KiB", "1.5 MB", "512", "1e3 B"):
        assert re.search(text["pattern"], good)
    for bad in ("64 KB", "KiB", "64 Kb", "a lot"):
        assert not re.search(text["pattern"], bad)
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_sections_of_the_schema_are_the_models() -> None:
    sections = {name for name, info in Arch.model_fields.items() if _is_section(info.annotation)}
    assert sections == {path.partition(".")[0] for path in PATHS if "." in path}


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


@given(
    name=st.text(st.characters(blacklist_characters="\0"), min_size=1, max_size=300)
    | st.sampled_from(["a\udcff/b", "\udc80", "\ud800"])
)
def test_an_energy_table_may_have_any_path(name: str) -> None:
    machine = EDGE.with_({"tech.energy_table": name})
    assert machine.tech.energy_table == name
    assert machine.with_({"array.rows": 3}).tech.energy_table == name
    json.dumps(machine.model_dump(mode="json"), ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["", "x" * 4097, "a\0b"])
def test_what_no_file_is_called_is_no_energy_table(name: str) -> None:
    with pytest.raises(ConfigError, match=r"tech\.energy_table: expected"):
        EDGE.with_({"tech.energy_table": name})
