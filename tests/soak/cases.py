"""Case number n of a seed: a command line and the files of its folder, one or two of them damaged."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from accelsim.arch import load_arch, preset_names
from accelsim.cli import main
from accelsim.energy import table_names
from accelsim.energy.table.read import tables_dir
from accelsim.importers import packaged_models
from tests.soak.mutations import NUMBERS, TEXTS, Rng, damaged

Corpus = Mapping[str, bytes]
"""Whole files by name; the first word of a name says what the file is for."""
TABLE = b"""name,op,n,h,w,c,kh,kw,oc,stride,dilation,padding,groups,weight_bits,activation_bits,inputs
stem,conv2d,1,16,16,3,3,3,8,1,1,same,1,8,8,-
deep,depthwise_conv2d,1,16,16,8,3,3,8,2,1,same,8,8,8,stem
point,conv2d,1,8,8,8,1,1,16,1,1,valid,1,4,8,deep
product,matmul,1,8,1,16,1,1,8,1,1,valid,1,8,8,-
softmax,softmax,1,1,1,10,1,1,10,1,1,valid,1,8,8,-
"""
GEMMS = b"Layer, M, N, K,\nqk, 16, 16, 64,\nav, 16, 64, 16,\n"
INPUTS_KEPT = 3
COMMANDS = (
    "run MODEL --arch ARCH --json out.json", "run MODEL --arch ARCH --input INPUT --csv out.csv --tensors out.npz",
    "run MODEL --arch ARCH --mapping MAPPING --trace out.json", "run MODEL --arch ARCH --input INPUT --json out.json --arithmetic RULES",
    "run MODEL --arch ARCH --html out.html --model-explorer out.json",
    "run MODEL --arch ARCH --plot out.svg", "import MODEL", "import MODEL --arithmetic RULES", "map MODEL --arch ARCH --out out.yaml",
    "map MODEL --arch ARCH --objective edp --out out.yaml", "compare MODEL --arch ARCH --arch os_16x16", "accumulators MODEL --arch ARCH",
    "compare MODEL --arch ARCH --variant VARIANT --variant b:batch=2,objective=cycles --html out.html",
    "compare MODEL --arch ARCH --sensitivity --json out.json --plot out.svg",
    "activity MODEL --arch ARCH --input INPUT", "activity MODEL --arch ARCH --input INPUT --sample 4", "energy check TABLE",
    "verify MODEL --arch ARCH --inputs INPUT --count 2 --json out.json", "verify MODEL --arch ARCH --inputs INPUT --html out.html",
    "quantize FLOAT --calib INPUT --out out.onnx", "quantize FLOAT --calib INPUT --weights 4 --acts 6 --per-channel --out out.onnx",
    "quantize FLOAT --calib INPUT --test INPUT --equalize --bias-correction --range mse --out out.onnx",
)  # fmt: skip
WARM = {
    "model_digits_cnn.tflite": "input_digits_test.npz", "model_digits_w4a4.onnx": "input_digits_w4a4_test.npz",
    "model_qdq.onnx": "input_digits_float_test.npz", "model_table.csv": "input_digits_test.npz",
}  # fmt: skip
VARIED = ("arch", "model", "mapping", "objective", "batch", "weights.bits", "layers.0.weights.bits", "array.rows")
RULES = ("tflite-micro", "litert-reference", "litert-xnnpack", "onnxruntime", "finn", "tosa")


@dataclass(frozen=True)
class Case:
    """One command line, and the files that lie in the folder where it runs."""

    number: int
    arguments: tuple[str, ...]
    files: Mapping[str, bytes]


def corpus() -> Corpus:
    """Small whole files of every kind, from what is packaged and from what the commands write."""
    packaged = packaged_models()
    files = {
        f"model_{name}{packaged[name].suffix}": packaged[name].read_bytes() for name in ("digits_cnn", "digits_w4a4")
    }
    files |= {
        "model_table.csv": TABLE,
        "model_gemms.csv": GEMMS,
        "float_digits.onnx": packaged["digits_float"].read_bytes(),
    }
    for name in preset_names()[:4]:
        files[f"arch_{name}.yaml"] = load_arch(name).to_yaml().encode()
    files |= {f"table_{name}.yaml": (tables_dir() / f"{name}.yaml").read_bytes() for name in table_names()}
    files |= {
        f"input_{path.name}": _shortened(path)
        for name in packaged
        for path in packaged[name].parent.glob("digits*_test.npz")
    }
    return files | _written(files)


def _shortened(path: Path) -> bytes:
    out = io.BytesIO()
    with np.load(path) as arrays:
        np.savez(out, **{name: arrays[name][:INPUTS_KEPT] for name in arrays})
    return out.getvalue()


def _written(files: Corpus) -> Corpus:
    """A quantized network in QDQ, and mappings."""
    runner = CliRunner()
    with runner.isolated_filesystem():
        for command in (
            "quantize digits_float --out model_qdq.onnx",
            "map digits_cnn --arch edge_16x16 --out mapping_digits.yaml",
        ):
            done = runner.invoke(main, command.split())
            assert done.exit_code == 0, done.output
        Path("table.csv").write_bytes(files["model_table.csv"])
        assert (
            runner.invoke(main, ["map", "table.csv", "--arch", "edge_16x16", "--out", "mapping_table.yaml"]).exit_code
            == 0
        )
        return {path.name: path.read_bytes() for path in Path().glob("m*_*")}


def warm(whole: Corpus) -> None:
    """Import and compile, once, what each command needs on each kind of model, so that forked processes have it."""
    runner = CliRunner()
    with runner.isolated_filesystem():
        for name, data in whole.items():
            Path(name).write_bytes(data)
        for command in COMMANDS:
            for model, shipped in WARM.items():
                parts = {"MODEL": model, "INPUT": shipped, "FLOAT": "float_digits.onnx", "ARCH": "arch_edge_16x16.yaml"}
                parts |= {
                    "RULES": "tosa",
                    "TABLE": "table_horowitz_45nm.yaml",
                    "MAPPING": "mapping_digits.yaml",
                    "VARIANT": "a:batch=2",
                }
                runner.invoke(main, [parts.get(part, part) for part in command.split()])


def case_of(seed: int, number: int, whole: Corpus) -> Case:
    """Case ``number`` of ``seed``: the same in every process."""
    rng = random.Random(f"{seed}/{number}")
    files: dict[str, bytes] = {}
    arguments = [_filled(part, rng, whole, files) for part in rng.choice(COMMANDS).split()]
    if "--arch" in arguments and rng.random() < 0.4:
        arguments += ["--set", _edit(rng, whole, files)]
    for name in rng.sample(sorted(files), min(len(files), rng.choice((1, 1, 1, 2)))):
        files[name] = damaged(Path(name).suffix, files[name], rng)
    for out in (part for part in arguments if part.startswith("out.")):
        if rng.random() < 0.5:
            files[out] = b"what was here before"
    return Case(number, tuple(arguments), files)


def _filled(part: str, rng: Rng, whole: Corpus, files: dict[str, bytes]) -> str:
    """A word of a command, a place for a file being filled with the name of a copy of one."""
    if part == "RULES":
        return rng.choice(RULES)
    if part == "VARIANT":
        return f"a: {_edit(rng, whole, files)}, {rng.choice(VARIED)}={rng.choice((*NUMBERS, *TEXTS))}"
    if not part.isupper() or not part.isalpha():
        return part
    name = rng.choice([name for name in whole if name.startswith(f"{part.lower()}_")])
    files.setdefault(name, whole[name])
    return name


def _edit(rng: Rng, whole: Corpus, files: dict[str, bytes]) -> str:
    if rng.random() < 0.3:
        return f"tech.energy_table={_filled('TABLE', rng, whole, files)}"
    return f"{rng.choice(_paths())}={rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS)))}"


def _paths() -> list[str]:
    """Dotted paths of the machine, from its YAML."""
    found: list[str] = []
    section = ""
    for line in load_arch("edge_16x16").to_yaml().splitlines():
        if match := re.match(r"( *)([a-z_]+):", line):
            section = section if match[1] else match[2]
            found.append(f"{section}.{match[2]}" if match[1] else match[2])
    return found
