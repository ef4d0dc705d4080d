"""Post-training quantization beside AIMET: the same float networks, the same data, the same widths.

python benchmarks/ptq.py --iterations 500           # needs $ACCELSIM_SHARED, $ACCELSIM_AIMET_PYTHON, onnxruntime, scikit-learn
python benchmarks/ptq.py --iterations 100 --networks ic_resnet8_fp32 --weights 4

Printed: signal-to-quantization-noise ratio of the output in dB, over squares of scikit-learn's photographs that are not those of the
calibration. Both equalize first. `min-max` and `MSE` set ranges and round to the nearest; the last two columns round by AdaRound with
so many iterations a layer, AIMET behind min-max ranges, accelsim the whole of `--pipeline nagel`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from accelsim.ptq import Settings, evaluate, read_float  # noqa: E402
from accelsim.ptq.network.proto import float_proto  # noqa: E402
from accelsim.ptq.pipeline import AdaRound, Choices, run_pipeline  # noqa: E402
from tests.ptq.test_quantize_tflite import samples  # noqa: E402
from tests.shared_models import SHARED  # noqa: E402

NETWORKS = ("ic_resnet8_fp32", "vww_mobilenetv1_fp32")
CALIBRATION, TEST = 40, 100
"""Images."""
AIMET = os.environ.get("ACCELSIM_AIMET_PYTHON", "")
ADAROUND = ("adaround", "bias-correction")
ONLY_EQUALIZED = (*ADAROUND, "bias-absorption", "weight-ranges", "activation-ranges", "cross-entropy")


@dataclass(frozen=True)
class Case:
    """One network at one width of weights, 8-bit activations."""

    network: str
    weights: int
    per_channel: bool

    @property
    def path(self) -> Path:
        """The float file."""
        return SHARED / "models" / f"{self.network}.tflite"

    def data(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Calibration and test images."""
        x = samples(self.network, CALIBRATION + TEST)
        return x[:CALIBRATION], x[CALIBRATION:]


def ours(case: Case, *, iterations: int = 0, without: tuple[str, ...] = ()) -> float:
    """Of the output of ``--pipeline nagel`` without some of its steps."""
    calibration, test = case.data()
    made = run_pipeline(
        case.path,
        {"input": calibration},
        name="nagel",
        settings=Settings(weights=case.weights, per_channel=case.per_channel),
        choices=Choices(without_steps=without, adaround=AdaRound(iterations=max(iterations, 1))),
        test=({"input": test}, None),
    )
    found = made.rows[-1].score.sqnr_db
    assert found is not None
    return found


def aimets(case: Case, *, iterations: int = 0, scheme: str = "min_max") -> float:
    """Of AIMET's fake-quantized output, in a process of its own."""
    _, test = case.data()
    model = read_float(case.path)
    end = model.outputs[0]
    real = np.stack([made[end] for made in evaluate(model, {model.inputs[0].name: test}, evaluator="onnxruntime")])
    chosen = {
        "weights": case.weights,
        "acts": 8,
        "per_channel": case.per_channel,
        "equalize": True,
        "adaround": iterations,
        "scheme": scheme,
    }
    with TemporaryDirectory() as name, np.load(by_aimet(case, chosen, Path(name))) as held:
        made = held["made"].reshape(real.shape)
    return float(10 * np.log10(np.square(real).sum() / np.square(made - real).sum()))


def by_aimet(case: Case, chosen: dict[str, Any], folder: Path) -> Path:
    """What benchmarks/aimet_ptq.py makes of ``chosen``, in ``folder``."""
    calibration, test = case.data()
    (folder / "float.onnx").write_bytes(_plainly_named(float_proto(read_float(case.path))).SerializeToString())
    (folder / "settings.json").write_text(json.dumps(chosen), encoding="utf-8")
    np.savez(folder / "data.npz", calibration=calibration, test=test)
    files = [folder / file for file in ("float.onnx", "data.npz", "settings.json", "out.npz")]
    script = Path(__file__).with_name("aimet_ptq.py")
    done = subprocess.run([AIMET, script, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"AIMET failed: {done.stderr[-1000:]}")
    return files[-1]


def _plainly_named(proto: Any) -> Any:
    """Tensors by number: AIMET reads names of .tflite files, which hold `/` and `;`, as paths."""
    graph = proto.graph
    tensors = [
        *(v.name for v in graph.input),
        *(o for n in graph.node for o in n.output),
        *(t.name for t in graph.initializer),
    ]
    names = {name: f"t{i}" for i, name in enumerate(dict.fromkeys(tensors))}
    for node in graph.node:
        node.name = f"n{names[node.output[0]]}"
        for field in (node.input, node.output):
            renamed = [names.get(name, name) for name in field]
            del field[:]
            field.extend(renamed)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names[value.name]
    return proto


COLUMNS = (
    "AIMET, min-max",
    "accelsim, min-max",
    "AIMET, MSE",
    "accelsim, MSE",
    "AIMET, AdaRound",
    "accelsim, AdaRound",
)


def row(case: Case, iterations: int) -> list[float]:
    """A number for each of :data:`COLUMNS`."""
    return [
        aimets(case),
        ours(case, without=ONLY_EQUALIZED),
        aimets(case, scheme="tf_enhanced"),
        ours(case, without=ADAROUND),
        aimets(case, iterations=iterations),
        ours(case, iterations=iterations),
    ]


def table(rows: dict[Case, list[float]]) -> str:
    """Markdown."""
    lines = [f"| network | weights | scales | {' | '.join(COLUMNS)} |", "|---" * (3 + len(COLUMNS)) + "|"]
    for case, numbers in rows.items():
        scales = "per channel" if case.per_channel else "per tensor"
        cells = " | ".join(f"{number:.1f}" for number in numbers)
        lines.append(f"| `{case.network}` | {case.weights} | {scales} | {cells} |")
    return "\n".join(lines) + "\n"


def cases(networks: list[str], weights: list[int]) -> list[Case]:
    """All of them."""
    return [Case(network, bits, channels) for network in networks for bits in weights for channels in (False, True)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    options.add_argument("--iterations", type=int, default=500)
    options.add_argument("--networks", nargs="*", default=list(NETWORKS))
    options.add_argument("--weights", nargs="*", type=int, default=[8, 4])
    given = options.parse_args()
    rows = {}
    for case in cases(given.networks, given.weights):
        begin = time.perf_counter()
        rows[case] = row(case, given.iterations)
        print(f"{case}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    print(table(rows), end="")


if __name__ == "__main__":
    main()
