"""numba is imported when a kernel is first called, not with the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

import accelsim.numerics as numerics

PROGRAM = """
import sys
import accelsim.numerics as n, accelsim.quant as q
requant = q.requant_from_scales("single", s_in=0.5, s_w=0.5, s_out=0.5, zero_point=0, clamp_min=-128, clamp_max=127)
assert n.requantize_int(3, requant) == 2
assert n.fit_array([300], n.INT8, n.Overflow.WRAP).tolist() == [44]
assert q.quantize([0.5], scale=0.5, zero_point=0, fmt=n.INT8).tolist() == [1]
assert "numba" not in sys.modules, "imported too early"
assert n.requantize([3], requant).tolist() == [2]
assert "numba" in sys.modules
"""


def test_numba_waits_for_the_first_kernel():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_exist_and_unknown_ones_do_not():
    assert all(callable(getattr(numerics, name)) for name in numerics._COMPILED)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        numerics.nothing  # noqa: B018
