"""Cycles of presets beside those measured in the RTL of the machines that they describe."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import accelsim
from accelsim.arch import checked, load_arch
from tests.shared_models import SHARED

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.twins import HEAD, TWINS, Twin, figures, lines, product  # noqa: E402

MEASURED = [twin for twin in TWINS if isinstance(twin, Twin)]
"""Those with tables; the compiler's are in tests/oracles/test_vela.py."""

LEAST = {"ita_16x64": 1.0, "cfu_hps": 1.0, "nvdla_nv_small": 10.0}
"""Percent that the mean error may be."""
needs_tables = pytest.mark.skipif(
    not (SHARED / "goldens" / "rtl").is_dir(), reason="needs the tables of $ACCELSIM_SHARED"
)


@needs_tables
@pytest.mark.parametrize("twin", MEASURED, ids=lambda twin: twin.preset)
def test_mean_errors_are_small(twin: Twin) -> None:
    assert 100 * abs(twin.errors()).mean() <= LEAST[twin.preset]


@needs_tables
def test_what_is_printed_was_measured() -> None:
    printed = {name: row.model_dump() for name, row in checked().items()}
    found = printed | figures(MEASURED)
    assert printed == found
    page = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    assert f"<!-- begin: twins -->\n{''.join(lines(found))}<!-- end: twins -->" in page, (
        "run benchmarks/twins.py --write"
    )


def test_a_run_says_how_far_to_trust_it_and_an_edited_machine_does_not() -> None:
    graph, preset = product(64, 64, 64), load_arch("ita_16x64")
    (said,) = (note for note in accelsim.simulate(graph, arch=preset).notes if "compared with" in note)
    assert f"mean error {checked()['ita_16x64'].mean} %" in said
    edited = accelsim.simulate(graph, arch=preset.with_({"array.pipeline_stages": 7}))
    assert not [note for note in edited.notes if "compared with" in note]


def test_the_list_of_machines_says_what_they_were_checked_against() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "accelsim", "archs"], capture_output=True, text=True, check=True, env=None
    )
    assert "RTL of NVDLA" in done.stdout


def test_a_product_whose_folds_hide_their_drain() -> None:
    """256 x 768 x 256 on 128 x 128, weights shifted in before each fold, sums leaving behind the next: 4,608 cycles of the array."""
    arch = load_arch("scalesim_32x32_ws").with_(
        {"array.rows": 128, "array.cols": 128, "array.drain": "overlapped", "array.first_cycle": 1}
    )
    big = {"weight_buffer.size_bytes": "1 MiB", "activation_buffer.size_bytes": "1 MiB", "accumulator.count": 2**20}
    result = accelsim.simulate(product(256, 768, 256), arch=arch.with_(big))
    assert result.layers[0].compute_cycles == 4608


@pytest.mark.parametrize(("side", "published_us"), [(256, 18.0), (512, 32.0)])
def test_whole_weight_tiles_of_tpu_v1(side: int, published_us: float) -> None:
    """Products of 600 x 600 weights behind each other, of which the paper says how long one takes (ISCA 2017, section 7)."""
    arch = load_arch("tpu_v1").with_({"array.rows": side, "array.cols": side, "weight_buffer.size_bytes": "1 MiB"})
    cycles = [accelsim.simulate(chain(count), arch=arch).total.cycles for count in (5, 11)]
    assert (cycles[1] - cycles[0]) / 6 / 700 == pytest.approx(published_us, rel=0.1)


def chain(count: int) -> accelsim.Graph:
    """Each product reads what the one before made."""
    lines_ = [f"fc{k},dense,1,96,1,600,1,1,600,1,1,valid,1,8,8,{f'fc{k - 1}' if k else ''}" for k in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.csv"
        path.write_text(HEAD.replace("\n", ",inputs\n") + "\n".join(lines_) + "\n", encoding="utf-8")
        return accelsim.load_graph(path)
