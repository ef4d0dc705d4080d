"""The one call: accuracy, what-ifs that move what they should, accumulators that matter, and inputs that do not fit."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.arch import STREAMS, Arch, load_arch, preset_names
from accelsim.errors import AccumulatorOverflowError, ConfigError, GraphError, InputError
from accelsim.execute import gather_inputs, input_notes
from accelsim.importers import load_graph, resolve_model
from accelsim.result import Result
from accelsim.simulation import read_inputs
from tests.shared_models import model_path

MODEL = resolve_model("digits_cnn")
MACHINE = load_arch("edge_16x16")
INPUTS, LABELS = read_inputs(MODEL.with_name("digits_test.npz"))
FEW = {"input": INPUTS["input"][:5]}


def simulated(**edits: Any) -> Result:
    return accelsim.simulate(MODEL, arch=MACHINE.with_({k.replace("__", "."): v for k, v in edits.items()}))


def test_accuracy_of_the_bit_exact_datapath() -> None:
    values = accelsim.simulate(MODEL, arch=MACHINE, inputs=INPUTS, labels=LABELS).values
    assert values is not None
    assert (values.inputs, values.correct) == (
        450,
        443,
    )  # as LiteRT and tflite-micro classify them (tests/test_workloads.py)
    assert values.accuracy == pytest.approx(443 / 450)
    assert (values.reader, values.program_checked, values.accumulators_proved) == ("layers", 1, True)


def test_layers_add_up_to_the_total() -> None:
    result = simulated()
    for field in ("macs", "cycles", "compute_cycles", "dram_read_bytes", "dram_write_bytes", "energy_pj"):
        assert getattr(result.total, field) == pytest.approx(sum(getattr(layer, field) for layer in result.layers)), (
            field
        )
    assert result.total.latency_s == result.total.cycles / MACHINE.clock_hz


def test_both_schedulers_tell_the_same_story() -> None:
    slow = accelsim.simulate(MODEL, arch=MACHINE, scheduler="simpy")
    assert slow == simulated()


def test_what_ifs_move_what_they_should() -> None:
    base = simulated().total
    assert simulated(clock_hz="1 GHz").total.latency_s < base.latency_s
    assert simulated(dram__bandwidth_bytes_per_s="1.6 GB/s").total.cycles > base.cycles
    assert simulated(dram__latency_ns="500 ns").total.cycles > base.cycles
    assert simulated(array__rows=4, array__cols=4).total.cycles > base.cycles
    assert simulated(weight_buffer__size_bytes="1 MiB").total.energy_pj > base.energy_pj
    assert simulated(weight_buffer__size_bytes=256).total.dram_read_bytes > base.dram_read_bytes


KNOBS: dict[str, Any] = {
    "arithmetic": "litert-reference",
    "overrides.FULLY_CONNECTED": "float64_half_away",
    "clock_hz": 10**8,
    "array.rows": 8,
    "array.cols": 8,
    "array.dataflow": "output_stationary",
    "array.weight_bits": 4,
    "array.activation_bits": 4,
    "array.weight_preload": "overlapped",
    "array.pipeline_stages": 3,
    "array.drain": "overlapped",
    "array.reduction": "per_tap",
    "array.stripe_pixels": 2,
    "array.step_folds": 4,
    "array.group_folds": "side_by_side",
    "array.mac": "shift_add",
    "array.weight_zero_points": "extra_channel",
    "weight_buffer.coding": "codebook",
    "weight_buffer.slots": 8,
    "weight_buffer.decoders": 1,
    "array.dot_products": 2,
    "array.issue_cycles": 9,
    "array.fold_issue_cycles": 3,
    "array.first_cycle": 0,
    "array.brick_bits": 2,
    "array.weight_scratchpad_bytes": 448,
    "array.activation_scratchpad_bytes": 24,
    "array.sum_scratchpad_bytes": 48,
    "array.hop_um": 1500.0,
    "array.zero_gating": 0.25,
    "accumulator.count": 64,
    "accumulator.bits": 24,
    "accumulator.overflow": "saturate",
    "accumulator.double_buffered": False,
    "accumulator.products_per_add": 16,
    "accumulator.bias_bits": 8,
    "accumulator.word_per_slice": False,
    "weight_buffer.size_bytes": 512,
    "weight_buffer.double_buffered": False,
    "weight_buffer.bytes_per_cycle": 1,
    "activation_buffer.size_bytes": 512,
    "activation_buffer.double_buffered": False,
    "activation_buffer.bytes_per_cycle": 1,
    "activation_buffer.resident_bytes": 512,
    "activation_buffer.fuse_pairs": True,
    "activation_buffer.im2col": "buffer",
    "output_buffer.size_bytes": 128,
    "output_buffer.double_buffered": False,
    "output_buffer.bytes_per_cycle": 1,
    **{f"{buffer}_buffer.banks": 2 for buffer in ("weight", "activation", "output")},
    **{f"{buffer}_buffer.ports": 1 for buffer in ("weight", "activation", "output")},
    "shared_buffer.size_bytes": 2048,
    "shared_buffer.banks": 12,
    "shared_buffer.weight_banks": 2,
    "requantizer.lanes": 1,
    "requantizer.stages": "saturate 8",
    "requantizer.streaming": True,
    "requantizer.pipeline_stages": 4,
    "requantizer.parameter_bytes": 10,
    "vector.lanes": 1,
    "vector.fuse_activations": True,
    "vector.fuse_elementwise": True,
    "vector.fuse_pools": True,
    "dma.queues": 1,
    "dma.setup_cycles": 50,
    "dma.write_bytes": 8,
    "dma.whole_weight_tiles": True,
    **{f"streams.{name}.bandwidth_bytes_per_s": 10**8 for name in STREAMS},
    **{f"streams.{name}.latency_ns": 3000.0 for name in STREAMS},
    **{f"streams.{name}.port": "own" for name in STREAMS},
    **{f"streams.{name}.memory": "hbm2" for name in ("weights", "activations")},
    **{f"streams.{name}.memory_bytes": 2**20 for name in ("weights", "activations")},
    **{f"streams.{name}.energy_pj_per_bit": 1.0 for name in ("weights", "activations")},
    "dram.bandwidth_bytes_per_s": 10**9,
    "dram.latency_ns": 1000.0,
    "dma.weight_compression": "zero_run_length",
    "dma.zero_run_bits": 1,
    "dma.activation_compression": "run_length",
    "dma.activation_zeros": 0.75,
    "dram.burst_bytes": 64,
    "dram.standard": "DDR4_2400",
    "cores.count": 2,
    "cores.split": "rows",
    "tech.energy_table": "qkeras_45nm",
    "tech.node_nm": 32,
    "tech.voltage_v": 0.7,
    "tech.dram": "lpddr4",
}
"""One other value for every parameter; ``test_no_dead_knob`` fails for a parameter that is missing here."""
SHARED: dict[str, Any] = {
    "shared_buffer.size_bytes": 3072,
    "shared_buffer.banks": 24,
    **dict.fromkeys(("weight_buffer.size_bytes", "activation_buffer.size_bytes")),
}
NEEDS: dict[str, dict[str, Any]] = {
    "dma.activation_compression": {"dma.activation_zeros": 0.75},
    "dma.activation_zeros": {"dma.activation_compression": "run_length"},
    **{
        f"streams.{name}.memory_bytes": {f"streams.{name}.memory": "sram", f"streams.{name}.memory_bytes": 2**22}
        for name in ("weights", "activations")
    },
    **{f"shared_buffer.{key}": SHARED for key in ("size_bytes", "banks", "weight_banks")},
    "array.brick_bits": {"array.weight_bits": 16, "array.activation_bits": 16},
    "accumulator.products_per_add": {"accumulator.overflow": "saturate"},
    "accumulator.word_per_slice": {"array.activation_bits": 4},
    "array.stripe_pixels": {"array.dataflow": "adder_tree", "accumulator.products_per_add": 16},
    "array.step_folds": {
        "array.dataflow": "adder_tree",
        "accumulator.products_per_add": 16,
        "array.reduction": "per_tap",
    },
    "weight_buffer.decoders": {"weight_buffer.coding": "codebook"},
    "cores.split": {"cores.count": 2},
    "array.hop_um": {"tech.energy_table": "aladdin_40nm"},
    "activation_buffer.fuse_pairs": {
        "activation_buffer.size_bytes": 2048,
        "activation_buffer.resident_bytes": 800,
        "dram.bandwidth_bytes_per_s": 10**8,
    },
}
"""What a parameter needs to matter: operands narrower or wider than the ports, sums that depend on their order, a slow DRAM."""
ELSEWHERE = {
    "array.group_folds",
    "dma.zero_run_bits",
    "array.weight_zero_points",
    "weight_buffer.coding",
    "weight_buffer.decoders",
}
"""Matters for sparse weights only (tests/hardware/test_compression.py), for weights with zero points
(tests/hardware/test_weight_zero_points.py), or of few levels (tests/hardware), or for convolutions with
groups (tests/hardware/test_array_steps.py)."""
LABELS_ONLY = {"name", "description", "source"}


def fingerprint(arch: Arch) -> tuple[Any, ...]:
    """All that a user can see of a run, apart from the echo of the machine itself; None where the machine is refused."""
    outcome: list[Any] = []
    for machine in (arch, arch.with_({"accumulator.bits": 12})):
        try:
            result = accelsim.run(MODEL, arch=machine, inputs=FEW, keep="all", check_inputs=1)
        except accelsim.AccelsimError as error:
            outcome.append(type(error).__name__)
            continue
        assert result.tensors is not None
        outcome.append(result.result.model_copy(update={"arch": {}}))
        outcome.append(sum(int(np.abs(t.astype(np.int64)).sum()) for t in result.tensors.values()))
    return tuple(outcome)


def test_every_parameter_is_in_the_table_of_knobs() -> None:
    named = {path for path in MACHINE.paths() if path != "overrides"}
    assert named - LABELS_ONLY == {path for path in KNOBS if not path.startswith("overrides.")}


@pytest.fixture(scope="module")
def small() -> Arch:
    """A machine on which every part matters."""
    edits = {"weight_buffer.size_bytes": 2048, "activation_buffer.size_bytes": 1024, "output_buffer.size_bytes": 256}
    return MACHINE.with_({**edits, "accumulator.count": 256, "dram.latency_ns": 20.0})


@pytest.fixture(scope="module")
def untouched(small: Arch) -> tuple[Any, ...]:
    return fingerprint(small)


@pytest.mark.parametrize("path", [path for path in KNOBS if path not in ELSEWHERE])
def test_law_7_no_dead_knob(path: str, small: Arch, untouched: tuple[Any, ...]) -> None:
    base = small.with_(NEEDS.get(path, {}))
    before = fingerprint(base) if path in NEEDS else untouched
    assert fingerprint(base.with_({path: KNOBS[path]})) != before


def test_unknown_energy_table() -> None:
    with pytest.raises(ConfigError, match=r"tech\.energy_table: no table 'cheap'"):
        simulated(tech__energy_table="cheap")


def test_narrow_accumulators_change_bits_only_when_they_overflow() -> None:
    exact = accelsim.run(MODEL, arch=MACHINE, inputs=FEW, keep="all")
    wide = accelsim.run(MODEL, arch=MACHINE.with_({"accumulator.bits": 24}), inputs=FEW, keep="all")
    narrow = accelsim.run(
        MODEL, arch=MACHINE.with_({"accumulator.bits": 12}), inputs=FEW, keep="all", check_inputs=None
    )
    assert exact.tensors is not None
    assert wide.tensors is not None
    assert narrow.tensors is not None
    assert all((exact.tensors[n] == wide.tensors[n]).all() for n in exact.tensors)
    assert any((exact.tensors[n] != narrow.tensors[n]).any() for n in exact.tensors)
    assert narrow.result.values is not None
    assert not narrow.result.values.accumulators_proved


def test_saturation_runs_through_the_program_and_differs_from_wrapping() -> None:
    runs = {
        policy: accelsim.run(
            MODEL, arch=MACHINE.with_({"accumulator.bits": 12, "accumulator.overflow": policy}), inputs=FEW
        )
        for policy in ("wrap", "saturate")
    }
    assert runs["saturate"].result.values is not None
    assert runs["saturate"].result.values.reader == "program"
    output = MODEL_OUTPUT = runs["wrap"].graph.outputs[0].tensor
    assert runs["wrap"].tensors is not None
    assert runs["saturate"].tensors is not None
    assert (runs["wrap"].tensors[output] != runs["saturate"].tensors[MODEL_OUTPUT]).any()


def test_trap_names_the_layer_and_the_remedy() -> None:
    arch = MACHINE.with_({"accumulator.bits": 12, "accumulator.overflow": "trap"})
    with pytest.raises(
        AccumulatorOverflowError,
        match=r"layer 'conv1': the sum at output .* left the 12-bit accumulator .*widen accumulator\.bits",
    ):
        accelsim.simulate(MODEL, arch=arch, inputs=FEW)


def test_graph_and_machine_must_agree_on_the_arithmetic() -> None:
    graph = load_graph(MODEL, arithmetic="litert-reference")
    with pytest.raises(
        GraphError, match=r"imported for arithmetic 'litert-reference', the machine computes in 'tflite-micro'"
    ):
        accelsim.simulate(graph, arch=MACHINE.with_({"arithmetic": "tflite-micro"}))
    assert accelsim.simulate(graph, arch=MACHINE, arithmetic="litert-reference").arithmetic == "litert-reference"
    assert accelsim.simulate(graph, arch=MACHINE).arithmetic == "litert-reference"


IMAGE = INPUTS["input"][0]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"nothing": IMAGE}, r"inputs \['nothing'\] are not inputs of the network"),
        ({"input": IMAGE[:4]}, r"expected shape \(1, 8, 8, 1\) or N inferences of it, got \(4, 8, 1\)"),
        ({"input": IMAGE.astype(np.int64) + 1000}, r"leave int8 \(-128\.\.127\)"),
        ({"input": np.full((1, 8, 8, 1), np.nan)}, r"not a number|NaN"),
        ({"input": np.array([["a"]])}, r"expected shape"),
        ({"input": IMAGE.astype(bool)}, r"expected int8 codes, got bool"),
        ({"input": np.empty((0, 8, 8, 1), np.int8)}, r"expected shape"),
        ({}, r"is missing; the network's inputs are"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        accelsim.run(MODEL, arch=MACHINE, inputs=inputs)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_real_numbers_become_codes_by_the_files_own_scale(dtype: Any) -> None:
    """Exactly the codes again, from what they stand for."""
    graph = load_graph(MODEL)
    tensor = graph.tensors[graph.inputs[0].tensor]
    assert tensor.scale is not None
    real = ((FEW["input"].astype(np.int64) - tensor.zero_point) * tensor.scale).astype(dtype)
    assert (gather_inputs(graph, {"input": real})[tensor.name] == FEW["input"].reshape(-1, *tensor.shape)).all()
    assert input_notes(graph, {"input": real}) == (
        f"input {tensor.name!r} holds real numbers: quantized to int8 with the model file's scale 0.00392157 and zero point -128",
    )
    assert input_notes(graph, FEW) == ()


def test_real_numbers_without_a_scale_are_refused() -> None:
    graph = load_graph(MODEL)
    name = graph.inputs[0].tensor
    bare = replace(graph, tensors={**graph.tensors, name: replace(graph.tensors[name], scale=None)})
    with pytest.raises(
        InputError, match=r"expected int8 codes, got float64, and the model file gives no scale .*give integers"
    ):
        gather_inputs(bare, {"input": IMAGE / 3})


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros((5, 1), np.int64), np.zeros(5)])
def test_labels_that_do_not_fit(labels: Any) -> None:
    with pytest.raises(InputError, match="labels: expected 5 integers"):
        accelsim.run(MODEL, arch=MACHINE, inputs=FEW, labels=labels)


@pytest.mark.parametrize("wrong", [-1, 10, 10**9])
def test_labels_that_are_no_output(wrong: int) -> None:
    labels = np.array([0, 9, wrong, 3, wrong])
    with pytest.raises(InputError, match=rf"labels: {wrong} at index 2 .*\(2 of 5 are not\); expected 0 to 9"):
        accelsim.run(MODEL, arch=MACHINE, inputs=FEW, labels=labels)
    with pytest.raises(InputError, match=rf"labels: {wrong} at index 2"):
        accelsim.verify(MODEL, arch=MACHINE, inputs=FEW, labels=labels)


def test_shapes_only_take_no_values() -> None:
    with pytest.raises(InputError, match="carries shapes only"):
        accelsim.run("resnet50", arch=MACHINE, inputs={"input": np.zeros((1, 224, 224, 3), np.int8)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not an .npz|damaged"),
        (b"PK\x03\x04 broken", "not an .npz|damaged"),
        (b"\x93NUMPY", "not an .npz|damaged"),
        (b"\x93NUMPY", "a .npy file, whose array has no name; write one with numpy.savez"),
        (b"0.1,0.2\n", "not an .npz file but a text file; write one with numpy.savez"),
        ("# Größe\n".encode("latin-1"), "a text file"),
        (b"\x7fELF\x02\x01\x01\0", r"a file that begins with b'\\x7fELF'"),
        (b"", "not an .npz file but empty"),
    ],
)
def test_broken_input_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_inputs(path)


def test_a_single_image_an_array_and_a_tensor_name_are_inputs_too() -> None:
    whole = accelsim.run(MODEL, arch=MACHINE, inputs=FEW)
    name = whole.graph.inputs[0].tensor
    output = whole.graph.outputs[0].tensor
    assert whole.tensors is not None
    for inputs in (FEW["input"], {name: FEW["input"]}, FEW["input"][:, None]):
        again = accelsim.run(MODEL, arch=MACHINE, inputs=inputs)
        assert again.tensors is not None
        np.testing.assert_array_equal(again.tensors[output], whole.tensors[output])
    one = accelsim.run(MODEL, arch=MACHINE, inputs=IMAGE)
    assert one.tensors is not None
    np.testing.assert_array_equal(one.tensors[output], whole.tensors[output][:1])


def test_inputs_that_no_layer_reads_may_be_given() -> None:
    """A TRANSPOSE_CONV's output size is an input of the model file; its value is fixed by the shapes."""
    path = model_path("int16x8/transpose_conv0")
    graph = load_graph(path)
    (size,) = graph.unread_inputs
    tensor = graph.tensors[graph.inputs[0].tensor]
    x = np.random.default_rng(0).integers(-1000, 1000, tensor.shape).astype(np.int16)
    alone = accelsim.run(path, arch=MACHINE, inputs={"input": x})
    both = accelsim.run(path, arch=MACHINE, inputs={tensor.name: x, size: np.array([1, 3, 12, 64], np.int32)})
    assert alone.tensors is not None
    assert both.tensors is not None
    output = graph.outputs[0].tensor
    np.testing.assert_array_equal(alone.tensors[output], both.tensors[output])


def test_a_machine_that_states_no_arithmetic_computes_in_the_models_own(tmp_path: Path) -> None:
    """No preset but one of a chip whose converter is published states any; a machine of the user's own that does is obeyed."""
    assert {name: load_arch(name).arithmetic for name in preset_names() if load_arch(name).arithmetic} == {
        "nvdla_small": "nvdla",
        "nvdla_nv_small": "nvdla",
        "cfu_hps": "tflite-micro",
        "ethos_u55_128": "tflite-micro",
    }
    preset = load_arch("edge_16x16")
    own = accelsim.run("digits_w4a4", arch=preset)
    assert (own.graph.arithmetic, own.arch) == ("finn", preset.with_({"arithmetic": "finn"}))
    assert accelsim.run(own.graph, arch=preset).result == own.result
    file = tmp_path / "mine.yaml"
    file.write_text(preset.with_({"arithmetic": "tflite-micro"}).to_yaml(), encoding="utf-8")
    assert accelsim.simulate("digits_w4a4", arch=file).arithmetic == "tflite-micro"
    with pytest.raises(GraphError, match="imported for arithmetic 'finn', the machine computes in 'tflite-micro'"):
        accelsim.run(own.graph, arch=file)
    edited = preset.with_({"overrides.ADD": "single"})
    assert accelsim.simulate(MODEL, arch=edited).arithmetic == "tflite-micro+ADD=single"
    assert accelsim.simulate("resnet50", arch=preset).arch["arithmetic"] == "tflite-micro"


@pytest.mark.parametrize("name", ["input", "labels"])
def test_a_member_of_an_archive_that_is_no_array_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, input=INPUTS["input"], labels=LABELS)
    with zipfile.ZipFile(path) as archive:
        members = {item: archive.read(item) for item in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for item, content in members.items():
            archive.writestr(item, content[5:] if item == f"{name}.npy" else content)
    with pytest.raises(InputError, match=rf"inputs\.npz: '{name}' is no array; write one with"):
        read_inputs(path)
