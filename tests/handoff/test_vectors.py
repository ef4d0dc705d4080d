"""Exported vectors, read back by a reader that knows the manifest alone; their bytes, sizes and forms."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from accelsim.errors import AccelsimError, GraphError, ModelError
from accelsim.execute import run_program
from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, MacLayer, Tensor
from accelsim.handoff import export_vectors, plan_vectors
from accelsim.numerics import INT8, SCHEMES, Family, IntFormat
from accelsim.program import Program
from accelsim.quant import requant_from_scales
from accelsim.timing import schedule
from tests.generate import random_input
from tests.handoff.drawn import drawn, exported, exported_graph
from tests.handoff.reader import read
from tests.networks import conv, single
from tests.stages_drawn import drawn_requant, drawn_scheme


def test_the_reader_knows_nothing_of_us() -> None:
    assert "accelsim" not in Path(__file__).with_name("reader.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", range(4))
def test_a_reader_of_the_manifest_alone_computes_the_outputs(part: int, tmp_path: Path) -> None:
    """Steps of sums, codes and whole layers, of random networks on random machines."""
    seen = 0
    for name, program, inputs in drawn(range(5 * part, 5 * part + 5)):
        exported(program, inputs, tmp_path / "vectors")
        made, values = read(tmp_path / "vectors"), run_program(program, inputs)
        for layer in program.graph.layers:
            if isinstance(layer, MacLayer):
                assert made[layer.name]["output"] == values[layer.output].reshape(-1).tolist(), name
                seen += 1
    assert seen > 5


def with_requant(requant: Any, *, output: IntFormat = INT8) -> Graph:
    """A padded convolution behind that requantization."""
    geometry = MacGeometry(n=1, ih=5, iw=4, ic=3, oh=5, ow=4, oc=2, kh=3, kw=3, pad_top=1, pad_left=1)
    graph = single(Conv2D, geometry)
    layer = replace(graph.layers[0], requant=requant, input_zero_point=-3)
    tensors = {
        "x": Tensor("x", geometry.input_shape, INT8, -3),
        "y": Tensor("y", geometry.output_shape, output),
    }
    return replace(graph, layers=(layer,), tensors=tensors)


@pytest.mark.parametrize("name", [name for name, rule in SCHEMES.items() if rule.family is not Family.RAW_SUM])
def test_every_scheme_by_its_formula(name: str, tmp_path: Path) -> None:
    fixed = {"zero_point": 5, "clamp_min": -100, "clamp_max": 127}
    ratio = np.array([2.0**-9, 2.0**-10]) * (1 if SCHEMES[name].family is Family.POWER_OF_TWO else 1.37)
    try:
        requant = requant_from_scales(name, s_in=1, s_w=ratio, s_out=1, **fixed)
    except (ModelError, GraphError):  # one shift for all
        requant = requant_from_scales(name, s_in=1, s_w=ratio[:1], s_out=1, **fixed)
    exported_graph(with_requant(requant), tmp_path / "vectors", **{"accumulator.bits": 32})
    made = read(tmp_path / "vectors")["layer"]["output"]
    assert len(set(made)) > 10


def test_lists_of_stages_by_their_formulas(tmp_path: Path) -> None:
    rng, done = np.random.default_rng(4), 0
    while done < 25:
        rule = drawn_scheme(rng)
        try:
            requant = drawn_requant(rng, rule, channels=2)
            bits = (-requant.clamp_min).bit_length()
            graph = with_requant(
                replace(requant, clamp_min=max(requant.clamp_min, -(2**15))), output=IntFormat(min(bits, 32))
            )
            exported_graph(graph, tmp_path / "vectors", **{"accumulator.bits": rule.wide})
        except AccelsimError:  # no room for this bias, or for codes of that width
            continue
        read(tmp_path / "vectors")
        done += 1


def streams_of(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        (f"{layer['folder']}/{name}", stream)
        for layer in manifest["layers"]
        for name, stream in layer["streams"].items()
    ]


def program_of(seed: int) -> tuple[Program, dict[str, np.ndarray]]:
    _, program, inputs = next(drawn(range(seed, seed + 5)))
    return program, inputs


def test_all_forms_hold_the_same_numbers(tmp_path: Path) -> None:
    program, inputs = program_of(3)
    plan = exported(program, inputs, tmp_path / "v", "hex", "npy", "c")
    total = 0
    for name, stream in streams_of(tmp_path / "v"):
        if not stream["files"]:
            continue
        paths = {fmt: tmp_path / "v" / path for fmt, path in stream["files"].items()}
        array = np.load(paths["npy"])
        assert list(array.shape) == stream["shape"], name
        mask = (1 << stream["bits"]) - 1
        integers = (
            array.reshape(-1).tolist()
            if stream["kind"] == "integer"
            else array.view(f"u{array.itemsize}").reshape(-1).tolist()
        )
        assert [int(line, 16) for line in paths["hex"].read_text().split()] == [value & mask for value in integers], (
            name
        )
        body = paths["c"].read_text().partition("{\n")[2].partition("}")[0]
        assert [int(text, 0) for text in re.findall(r"-?\w+", body)] == integers, name
        total += sum(path.stat().st_size for path in paths.values())
    layers = json.loads((tmp_path / "v/manifest.json").read_text())["layers"]
    listed = sum((tmp_path / "v" / layer["operations"]).stat().st_size for layer in layers)
    said = plan.bytes - sum(420 * len(one.operations) for one in plan.layers)
    assert said == total
    assert plan.bytes > 0.7 * (total + listed)


def test_c_headers_compile(tmp_path: Path) -> None:
    """Each by itself, without a warning, and its count is its size."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is needed to compile the headers")
    program, inputs = program_of(3)
    exported(program, inputs, tmp_path / "v", "c")
    headers = [(stream["files"]["c"], stream) for _, stream in streams_of(tmp_path / "v") if stream["files"]]
    lines = [f'#include "{path}"' for path, _ in headers]
    checks = [
        f'static_assert(sizeof {s["c_name"]} / sizeof *{s["c_name"]} == {s["c_name"].upper()}_COUNT, "");'
        for _, s in headers
    ]
    (tmp_path / "all.cpp").write_text("\n".join([*lines, *checks]))
    command = ["g++", "-std=c++17", "-Wall", "-Wno-unused-variable", "-Werror", "-fsyntax-only", f"-I{tmp_path / 'v'}"]
    done = subprocess.run([*command, str(tmp_path / "all.cpp")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_two_exports_are_the_same_bytes(tmp_path: Path) -> None:
    program, inputs = program_of(1)
    exported(program, inputs, tmp_path / "a", "hex", "npy", "c")
    exported(program, inputs, tmp_path / "b", "hex", "npy", "c")
    found = contents(tmp_path / "a")
    assert found == contents(tmp_path / "b")
    digests = json.loads((tmp_path / "a/manifest.json").read_text())["sha256"]
    assert digests.items() <= found.items()
    assert len(digests) > 20


def test_the_manifest_is_as_its_schema_says(tmp_path: Path) -> None:
    schema = None
    for _, program, inputs in drawn(range(4)):
        exported(program, inputs, tmp_path / "v")
        schema = json.loads((tmp_path / "v/manifest.schema.json").read_text())
        manifest = json.loads((tmp_path / "v/manifest.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(manifest)
        one = jsonschema.Draft202012Validator(schema["$defs"]["operation"])
        for layer in manifest["layers"]:
            for operation in json.loads((tmp_path / "v" / layer["operations"]).read_text())["operations"]:
                one.validate(operation)
    assert schema is not None
    manifest["layers"][0]["sum"]["stride"] = [1]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(manifest)


def test_operations_have_the_addresses_and_cycles_of_the_timeline(tmp_path: Path) -> None:
    program, inputs = program_of(2)
    timeline = schedule(program)
    exported(program, inputs, tmp_path / "v", tiles=False)
    manifest = json.loads((tmp_path / "v/manifest.json").read_text())
    seen = []
    for layer in manifest["layers"]:
        operations = json.loads((tmp_path / "v" / layer["operations"]).read_text())["operations"]
        for one in operations:
            i = one["operation"]
            assert (one["start"], one["finish"]) == (timeline.start[i], timeline.finish[i])
            assert (one["writes"]["offset"], one["writes"]["extent"]) == (program.offset[i], program.extent[i])
            seen.append(i)
        assert layer["cycles"]["start"] == min(one["start"] for one in operations)
        assert layer["cycles"]["finish"] == max(one["finish"] for one in operations)
    on_array = [isinstance(program.graph.layers[layer], MacLayer) for layer in program.layer]
    assert sorted(seen) == np.flatnonzero(on_array).tolist()
    assert manifest["total_cycles"] == timeline.total_cycles
    assert {x["name"] for x in manifest["left_out"]} == {
        x.name for x in program.graph.layers if not isinstance(x, MacLayer)
    }


def stack(count: int) -> Graph:
    """Pointwise convolutions of one image after another."""
    geometry = MacGeometry(n=1, ih=32, iw=32, ic=8, oh=32, ow=32, oc=8)
    names = [f"t{i}" for i in range(count + 1)]
    tensors = {name: Tensor(name, geometry.input_shape, INT8) for name in names}
    one = single(Conv2D, geometry).layers[0]
    layers = [replace(one, name=f"layer{i}", inputs=(names[i],), output=names[i + 1]) for i in range(count)]
    ports = {"inputs": (HostPort(names[0], names[0]),), "outputs": (HostPort(names[-1], names[-1]),)}
    return Graph(name="stack", arithmetic="tflite-micro", tensors=tensors, layers=tuple(layers), **ports)


def peak(graph: Graph, folder: Path) -> int:
    """Bytes that an export takes at most beside the program and its timeline."""
    plan = exported_graph(graph, folder / "v")
    inputs = random_input(np.random.default_rng(0), graph)
    tracemalloc.start()
    try:
        export_vectors(plan, inputs, folder / "v")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_follows_the_largest_layer_not_the_network(tmp_path: Path) -> None:
    """Six layers in a row take what two do, but for the manifest."""
    few, many = (peak(stack(count), tmp_path) for count in (2, 6))
    assert many < 1.25 * few


def test_single_layers(tmp_path: Path) -> None:
    graph = conv()
    plan = exported_graph(graph, tmp_path / "v")
    assert [one.exported.layer.name for one in plan.layers] == ["layer"]
    assert plan_vectors(plan.timeline, layers=["layer"]).files < plan_vectors(plan.timeline, tiles=True).files
