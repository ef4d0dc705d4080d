"""accelsim: bit-accurate, cycle-approximate simulation of a MAC-array accelerator for quantized neural networks.

A Graph says what is computed, a Program says how on this machine, and everything else only reads the Program::

    import accelsim

    result = accelsim.simulate("digits_cnn", arch="edge_16x16")
    print(result)

Names are imported when they are first used, so that ``import accelsim`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from accelsim.display import View, register
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.arch import Arch, load_arch, preset_names
    from accelsim.builder import build_program
    from accelsim.explore import evaluate, read_sweep, sensitivity, sweep
    from accelsim.explore.bits import search_bits
    from accelsim.families import workload
    from accelsim.graph import Graph
    from accelsim.importers import load_graph, supported_operators
    from accelsim.mapper import map_graph
    from accelsim.numerics import IntFormat
    from accelsim.program import Program, check_program
    from accelsim.report import compare
    from accelsim.result import Result
    from accelsim.simulation import Simulation, read_inputs, run, simulate
    from accelsim.timing import Timeline, schedule, schedule_simpy
    from accelsim.verification import VerificationReport, verify

    __version__: str

_HOME = {
    "Arch": "accelsim.arch",
    "Graph": "accelsim.graph",
    "IntFormat": "accelsim.numerics",
    "Program": "accelsim.program",
    "Result": "accelsim.result",
    "Simulation": "accelsim.simulation",
    "Timeline": "accelsim.timing",
    "VerificationReport": "accelsim.verification",
    "build_program": "accelsim.builder",
    "check_program": "accelsim.program",
    "compare": "accelsim.report",
    "evaluate": "accelsim.explore",
    "load_arch": "accelsim.arch",
    "load_graph": "accelsim.importers",
    "map_graph": "accelsim.mapper",
    "preset_names": "accelsim.arch",
    "read_inputs": "accelsim.simulation",
    "read_sweep": "accelsim.explore",
    "run": "accelsim.simulation",
    "schedule": "accelsim.timing",
    "schedule_simpy": "accelsim.timing",
    "search_bits": "accelsim.explore.bits",
    "sensitivity": "accelsim.explore",
    "simulate": "accelsim.simulation",
    "supported_operators": "accelsim.importers",
    "sweep": "accelsim.explore",
    "verify": "accelsim.verification",
    "workload": "accelsim.families",
}

__all__ = [
    "AccelsimError",
    "Arch",
    "Graph",
    "IntFormat",
    "Program",
    "Result",
    "Simulation",
    "Timeline",
    "VerificationReport",
    "__version__",
    "build_program",
    "check_program",
    "compare",
    "evaluate",
    "load_arch",
    "load_graph",
    "map_graph",
    "preset_names",
    "read_inputs",
    "read_sweep",
    "run",
    "schedule",
    "schedule_simpy",
    "search_bits",
    "sensitivity",
    "simulate",
    "supported_operators",
    "sweep",
    "verify",
    "workload",
]


def _view(function: str) -> View:
    """A view of :mod:`accelsim.report`, which is imported when something is first printed."""
    return lambda record: getattr(import_module("accelsim.report"), function)(record)


register("Result", text=_view("summary_text"), html=_view("summary_html"))
register("Cause", text=_view("cause_text"))
register("Sensitivity", text=_view("sensitivity_text"), html=_view("sensitivity_html"))
register("VerificationReport", text=_view("report_text"), html=_view("report_html"))


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("accelsim")
        except PackageNotFoundError:
            value = "0+source"
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
