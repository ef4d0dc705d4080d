"""The same float network, data and widths quantized by AIMET and by the pipeline: ours is no worse; benchmarks/ptq.py has all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ptq import ADAROUND, AIMET, Case, aimets, ours
from tests.shared_models import model_path


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("per_channel", [False, True])
def test_no_worse_than_aimet(per_channel: bool) -> None:
    """Equalized, ranges by square error, 4-bit weights rounded to the nearest; AdaRound then gains more."""
    if not Path(AIMET).is_file():
        pytest.skip("ACCELSIM_AIMET_PYTHON names no Python with aimet-onnx")
    model_path("ic_resnet8_fp32")
    case = Case("ic_resnet8_fp32", 4, per_channel)
    nearest = ours(case, without=ADAROUND)
    assert nearest >= aimets(case, scheme="tf_enhanced")
    assert ours(case, iterations=100) > nearest + 2
