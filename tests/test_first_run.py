"""What a first run compiles, what it says of it, and that what is interpreted instead gives the same."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from accelsim import numba_cache
from accelsim.builder import build_program
from accelsim.energy import load_table
from accelsim.mapper import map_graph
from accelsim.program import Program, check_program
from accelsim.result import summarize
from accelsim.timing import schedule
from tests.generate import random_program
from tests.laws.test_laws import relaxed, seeds

BUDGET = 48
"""Functions of any kind, numba's own included, that the README's first command may compile; 176 once took 23 CPU seconds."""
ANNOUNCED = "accelsim: compiling kernels, once per installation"
SCRIPT = """
import sys
from numba.core import event
from accelsim.cli import main
with event.install_recorder("numba:compile") as recorder:
    main(["run", "digits_cnn", "--arch", "edge_16x16"], standalone_mode=False)
print(sum(event.is_start for _, event in recorder.buffer), file=sys.stderr)
"""


def first_command(cache: Path) -> tuple[int, list[str], str]:
    """Functions that the README's first command compiles, lines on stderr, and stdout."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    *lines, count = done.stderr.splitlines()
    return int(count), lines, done.stdout


@pytest.mark.slow
def test_the_first_run_compiles_little_and_says_so_once_and_the_second_nothing(tmp_path: Path) -> None:
    count, lines, page = first_command(tmp_path)
    assert 0 < count <= BUDGET
    assert sum(line.startswith(ANNOUNCED) for line in lines) == 1
    again, others, same = first_command(tmp_path)
    assert again == 0
    assert not any(line.startswith(ANNOUNCED) for line in others)
    assert same == page


def evaluated(program: Program) -> None:
    """Everything that a Program is asked, from its own machine and mappings on."""
    mappings = map_graph(program.graph, arch=program.arch)
    for one in (program, build_program(program.graph, arch=program.arch, mappings=mappings)):
        check_program(one)
        summarize(schedule(one), table=load_table("horowitz_45nm"))


def arrays(value: Any) -> list[Any]:
    return [*map(np.asarray, value)] if isinstance(value, tuple) else [np.asarray(value)]


def copied(value: Any, owners: dict[int, Any]) -> Any:
    """A deep copy in which arrays that share memory do so still."""
    if isinstance(value, tuple):
        parts = [copied(part, owners) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if not isinstance(value, np.ndarray):
        return copy.deepcopy(value)
    owner = value
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    mine = owners.setdefault(id(owner), owner.copy())
    at = value.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return np.ndarray(value.shape, value.dtype, mine.data if at or value.size else b"", at, value.strides).view(
        type(value)
    )


def in_both_ways(compared: list[str]) -> Callable[..., Any]:
    """A call of a tiered function that is interpreted as well as compiled, and must return and write the same."""

    def call(function: Any, *arguments: Any) -> Any:
        other = copied(arguments, {})
        results = arrays(function.interpreted(*other))
        found = function.compiled(*arguments)
        for mine, theirs in zip([*arguments, *arrays(found)], [*other, *results], strict=True):
            np.testing.assert_equal(mine, theirs, err_msg=function.__name__)
        compared.append(function.__name__)
        return found

    return call


@relaxed
@given(seeds)
def test_interpreted_functions_are_the_compiled_ones(seed: int) -> None:
    compared: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba_cache._Tiered, "__call__", in_both_ways(compared))
        program = random_program(seed)
        evaluated(program)
    assert {"find_hazard", "merge_schedule", "attribute"} <= set(compared)
    assert {"mac_block", "vector_block"} & set(compared) or len(program) == 0


def test_a_function_is_interpreted_until_it_has_had_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_cache, "cache_directory", lambda: None)
    double = numba_cache.tiered(lambda x: len(x))(lambda x: x + x)
    few, many = np.arange(numba_cache.INTERPRETED // 2), np.arange(numba_cache.INTERPRETED)
    np.testing.assert_array_equal(double(few), few + few)
    assert not double.compiled.signatures
    np.testing.assert_array_equal(double(many), many + many)
    assert double.compiled.signatures
