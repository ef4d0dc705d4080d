"""Networks on machines whose requantization unit is a list of stages: tiles, whole layers, `verify`, energy, sweeps and the command line."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import accelsim
from accelsim.arch import Arch, arithmetic_named, load_arch
from accelsim.cli import main
from accelsim.energy.machine import requantizer_name
from accelsim.errors import ConfigError, GraphError, UnsupportedOperatorError
from accelsim.graph import MacLayer
from accelsim.importers import load_for, load_graph, shipped_inputs
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.rules import Rules
from accelsim.kernels import accumulate_with
from accelsim.numerics import stage_list
from accelsim.simulation import Simulation, read_inputs, run, simulate
from tests.numerics.test_output_paths import cfu, ita, nvdla, sections

TITLES = {"ita": "ITA", "cfu": "CFU Playground, hps_accel", "nvdla": "NVDLA nv_small"}
SHORT = (
    "multiply multiplier bits=8 signed=false; shift shift rounding=half_up max=63; add zero_point bits=8; saturate 8"
)


def machine(name: str) -> Arch:
    """The default machine with the section of the page; ITA's with a multiplier for each channel, as the network has them."""
    found = sections(TITLES[name])
    edits: dict[str, object] = {f"accumulator.{key}": value for key, value in found["accumulator"].items()}
    stages = str(stage_list(found["requantizer"]["stages"]))
    edits["requantizer.stages"] = stages.replace(" per=layer", "") if name == "ita" else stages
    return load_arch("edge_16x16", edits=edits)


def digits(arch: Arch, count: int = 3) -> Simulation:
    path = shipped_inputs("digits_cnn")
    assert path is not None
    arrays, _ = read_inputs(path)
    inputs = {name: values[:count] for name, values in arrays.items()}
    return run("digits_cnn", arch=arch, inputs=inputs, keep="all", check_inputs=1)


def reading(name: str, layer: MacLayer, acc: int, channel: int) -> int:
    """The code by the machine's own reading in plain Python, then the layer's clamp."""
    requant = layer.requant
    m, bias, moved, _ = requant.multiplier[channel].tolist()
    s, zero = int(requant.shift[channel]), requant.zero_point
    code = {
        "ita": lambda: ita((acc + 2**25) % 2**26 - 2**25, m, s, zero),
        "cfu": lambda: cfu(acc, bias, m, s, zero),
        "nvdla": lambda: nvdla(acc, bias, m, s, moved),
    }[name]()
    return min(max(code, requant.clamp_min), requant.clamp_max)


@pytest.mark.parametrize("name", TITLES)
def test_a_network_has_the_codes_of_the_reading(name: str) -> None:
    """Layer by layer, whole layers and, for one inference, tile by tile through the buffers."""
    done = digits(machine(name))
    assert done.result.values is not None
    assert done.result.values.program_checked == 1
    layers = [layer for layer in done.graph.layers if isinstance(layer, MacLayer)]
    assert len(layers) == 5
    for layer in layers:
        x = done.tensors[layer.inputs[0]][:1].reshape(layer.geometry.input_shape)
        sums = accumulate_with(replace(layer, bias=None), x, layer.weights)
        sums = sums if name != "ita" else sums + layer.bias
        codes = done.tensors[layer.output][:1].reshape(sums.shape)
        for place in np.random.default_rng(2).integers(0, sums.shape, (40, 4)).tolist():
            at = tuple(place)
            assert codes[at] == reading(name, layer, int(sums[at]), at[3])
        assert len(np.unique(codes)) > 5


def test_a_stage_adds_the_bias_and_accumulators_start_at_zero() -> None:
    graph, _ = load_for("digits_cnn", machine("cfu"))
    layer = next(layer for layer in graph.layers if isinstance(layer, MacLayer))
    assert layer.array_bias is None
    assert layer.requant.bias.tolist() == layer.bias.tolist()
    kept, _ = load_for("digits_cnn", machine("ita"))
    first = next(layer for layer in kept.layers if isinstance(layer, MacLayer))
    assert first.array_bias is first.bias
    other = replace(layer, bias=layer.bias + 1)
    assert other.requant.multiplier[:, 1].tolist() == (layer.bias + 1).tolist()


def test_cfu_has_the_bits_of_tflite() -> None:
    """The double rounding of the runtime, written as stages: no code of any tensor differs."""
    tflite = digits(load_arch("edge_16x16", edits={"arithmetic": "tflite-micro"})).tensors
    wide = machine("cfu").with_(
        {"requantizer.stages": str(machine("cfu").requantizer.stages).replace("max=15", "max=31")}
    )
    staged = digits(wide).tensors
    assert all(np.array_equal(tflite[name], staged[name]) for name in tflite)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            {"requantizer.stages": "saturate 8", "overrides.CONV_2D": "single"},
            "overrides.CONV_2D beside requantizer.stages",
        ),
        (
            {"requantizer.stages": "multiply multiplier bits=32; multiply 9"},
            "behind an accumulator.bits of 32: stage 2 (multiply)",
        ),
        ({"requantizer.stages": "saturat 8"}, "did you mean 'saturate'?"),
        ({"requantizer.stages": 8}, "expected a list of 1 to 16 stages"),
    ],
)
def test_wrong_lists_are_one_line(edits: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_arch("edge_16x16", edits=edits)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_reads_back_and_names_the_line(tmp_path: Path) -> None:
    arch, file = machine("nvdla"), tmp_path / "m.yaml"
    file.write_text(arch.to_yaml(), encoding="utf-8")
    assert load_arch(file) == arch
    assert hash(load_arch(file)) == hash(arch)
    assert Arch.from_dict(arch.model_dump()) == arch
    assert Arch.from_dict(arch.model_dump(mode="json")) == arch
    file.write_text(arch.to_yaml().replace("saturate:", "saturte:", 1), encoding="utf-8")
    line = 1 + file.read_text(encoding="utf-8").splitlines().index("  stages:")
    with pytest.raises(ConfigError, match=rf"m.yaml:{line}: requantizer.stages: stage 2: unknown kind 'saturte'"):
        load_arch(file)


def test_a_list_is_a_value_where_texts_are() -> None:
    """In a sweep's axes and its files, and between its processes."""
    made = machine("nvdla").get("requantizer.stages")
    assert json.loads(json.dumps({"requantizer.stages": made}))["requantizer.stages"] == str(made)
    again = pickle.loads(pickle.dumps(made))
    assert (again, again.stages) == (made, made.stages)
    assert machine("nvdla").with_({"requantizer.stages": str(made)}) == machine("nvdla")


def test_lists_in_overrides_serve_single_operators() -> None:
    scheme = machine("ita").scheme
    arch = load_arch("edge_16x16", edits={"overrides": {"FULLY_CONNECTED": scheme.name}, "accumulator.bits": 26})
    graph, _ = load_for("digits_cnn", arch)
    schemes = {layer.operator: layer.requant.scheme for layer in graph.layers if isinstance(layer, MacLayer)}
    assert schemes == {"CONV_2D": "tflite_double", "DEPTHWISE_CONV_2D": "tflite_double", "FULLY_CONNECTED": scheme.name}
    with pytest.raises(ConfigError, match="ADD has unknown scheme 'stages of 26 bits"):
        load_arch("edge_16x16", edits={"overrides": {"ADD": scheme.name}})


def test_what_a_layer_cannot_give_is_refused_by_name() -> None:
    per_tensor = (
        str(machine("ita").requantizer.stages)
        .replace("max=63", "max=63 per=layer")
        .replace("signed=false", "signed=false per=layer")
    )
    with pytest.raises(
        (GraphError, UnsupportedOperatorError, accelsim.AccelsimError), match="has one for all channels"
    ):
        load_for("digits_cnn", machine("ita").with_({"requantizer.stages": per_tensor}))
    with pytest.raises(accelsim.AccelsimError, match="no stage adds the output zero point"):
        load_for(
            "digits_cnn",
            load_arch("edge_16x16", edits={"requantizer.stages": SHORT.replace("add zero_point bits=8; ", "")}),
        )
    narrow = str(machine("cfu").requantizer.stages).replace("bias bits=18", "bias bits=6")
    with pytest.raises(accelsim.AccelsimError, match=r"'conv1'.*does not fit int6"):
        load_for("digits_cnn", machine("cfu").with_({"requantizer.stages": narrow}))


def test_a_graph_of_another_list_is_refused() -> None:
    arch = machine("ita")
    graph = load_graph(accelsim.importers.resolve_model("digits_cnn"), overrides=arch.operator_schemes)
    assert run(graph, arch=arch).result.arithmetic.startswith("tflite-micro+requantizer.stages#")
    with pytest.raises(GraphError, match="was imported for arithmetic"):
        run(graph, arch=arch.with_({"requantizer.stages": SHORT.replace("half_up", "floor")}))


def test_energy_goes_by_all_multipliers() -> None:
    """16 and 7 bits cost more than 16, no multiplier is a shifter; cycles stay."""

    def made(stages: str | None) -> accelsim.Result:
        return simulate("digits_cnn", arch=load_arch("edge_16x16", edits={"requantizer.stages": stages}))

    one = "multiply multiplier bits=16; shift shift rounding=half_up max=40; add zero_point bits=8"
    two = f"saturate 24; multiply 64; shift 6 rounding=half_up; {one}"
    cheap, dear, plain = made(one), made(two), made(None)
    assert cheap.total.energy_pj < dear.total.energy_pj
    assert plain.total.energy_pj > cheap.total.energy_pj  # 32 bits
    assert cheap.total.cycles == dear.total.cycles == plain.total.cycles
    shifter = load_arch(
        "edge_16x16", edits={"requantizer.stages": "shift shift rounding=half_up max=31; add zero_point bits=8"}
    )
    assert requantizer_name(shifter) == "shift_requantizer"
    assert requantizer_name(machine("ita")) == "requantizer"


def test_verify_names_the_stage() -> None:
    """A clip by three places and 8 bits of bias: each stage that moves a code is named, all differences are told."""
    stages = (
        "shift 3 rounding=half_away; add bias bits=9 left=8; multiply multiplier bits=24; shift shift rounding=half_up max=62; "
        "add zero_point bits=8; saturate 8"
    )
    arch = load_arch("edge_16x16", edits={"requantizer.stages": stages})
    report = accelsim.verify("digits_cnn", arch=arch, random_count=3)
    texts = {cause.text for layer in report.layers for cause in layer.causes}
    assert "output stage 1: half_away(x / 2^3)" in texts
    assert "output stage 2: x + bias[9] * 2^(0..8)" in texts
    macs = [layer for layer in report.layers if layer.operator in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    assert sum(layer.forced.differing for layer in macs) > 0
    assert all(sum(cause.count for cause in layer.causes) == layer.forced.differing for layer in macs)


def test_evaluate_reads_the_network_anew_for_each_list() -> None:
    """Other stages, and other accumulators under the same ones; `evaluate` has the numbers of `simulate`, accuracy included."""
    path = shipped_inputs("digits_cnn")
    arrays, labels = read_inputs(path)
    inputs, labels = {name: values[:40] for name, values in arrays.items()}, labels[:40]
    arch = load_arch("edge_16x16", edits={"requantizer.stages": SHORT})
    coarse = SHORT.replace("bits=8 signed=false", "bits=2").replace("half_up", "away")
    edits = [{}, {"requantizer.stages": coarse}, {"accumulator.bits": 26}]
    rows = accelsim.evaluate("digits_cnn", arch=arch, edits=edits, inputs=inputs, labels=labels)
    for row, edit in zip(rows, edits, strict=True):
        result = run("digits_cnn", arch=arch.with_(edit), inputs=inputs, labels=labels).result
        assert row["accuracy"] == result.values.accuracy
        assert row["energy_pj"] == pytest.approx(result.total.energy_pj, rel=1e-12)
        assert row["cycles"] == result.total.cycles
    assert len({float(row["energy_pj"]) for row in rows}) == 3
    assert rows[0]["accuracy"] > rows[1]["accuracy"]


def test_the_command_line_prints_formulas() -> None:
    edits = ["--set", "accumulator.bits=26", "--set", f"requantizer.stages={SHORT}"]
    done = CliRunner().invoke(main, ["arch", "show", "edge_16x16", *edits])
    assert done.exit_code == 0
    assert "#   1  x = x * multiplier[u8]     -8,556,380,160 to 8,556,379,905" in done.output
    assert "#   4  x = saturate(x, int8)      -128 to 127" in done.output
    wrong = CliRunner().invoke(main, ["arch", "show", "edge_16x16", "--set", "requantizer.stages=multply 3"])
    assert wrong.exit_code == 1
    assert "did you mean 'multiply'?" in wrong.output
    assert len(wrong.output.strip().splitlines()) == 1


def test_a_state_of_products_takes_no_stages() -> None:
    """SVDF multiplies sums of products once more, where no requantizer stands."""
    scheme = machine("ita").scheme
    rules = Rules(arithmetic_named("tosa").with_overrides({"FULLY_CONNECTED": scheme.name}))
    with pytest.raises(RefusalError, match="serve sums of the array"):
        rules.recurrent_scheme()
