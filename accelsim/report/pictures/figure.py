"""One picture of a Simulation: roofline, energy by layer and component, engines over time."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.energy import COMPONENTS
from accelsim.errors import AccelsimError
from accelsim.hardware import Engine
from accelsim.report.files import KEEPING, TRACKS
from accelsim.report.numbers import NONE, component_name, energy, seconds, short_names
from accelsim.report.pictures.roofline import GRID, draw_roofline, label_points
from accelsim.timing import Timeline
from accelsim.units import format_hertz

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from accelsim.result import Result
    from accelsim.simulation import Simulation

FORMATS = ("png", "svg", "pdf")
_COLORS = {
    "array": "#0072b2",
    "weight_buffer": "#e69f00",
    "activation_buffer": "#f0e442",
    "accumulator": "#56b4e9",
    "output_buffer": "#cc79a7",
    "requantizer": "#7f7f7f",
    "vector": "#009e73",
    "dma": "#000000",
    "dram": "#d55e00",
    "weight_memory": "#a64a00",
    "activation_memory": "#ffab70",
    "clock": "#bbbbbb",
    "leakage": "#dddddd",
}
COMPONENT_COLORS = {component: _COLORS.get(component, "#882255") for component in COMPONENTS}
"""Okabe and Ito's palette (2008), told apart with any colour vision, and greys; wine for what has no colour yet."""

_LEGEND: dict[str, Any] = {
    "fontsize": 7, "handlelength": 1.0, "labelspacing": 0.2, "columnspacing": 1.0, "borderaxespad": 0.2, "frameon": False,
}  # fmt: skip
_NAMED_LAYERS = 18
_CLIP = re.compile('<clipPath id="([^"]+)"')
_COLUMNS = 8000
"""Of a strip of the timeline: several to a pixel, which has their mean, so that no work looks longer than it is."""


def plot_format(path: str | Path) -> str:
    """The format that a file's suffix asks for; AccelsimError for any but png, svg and pdf."""
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise AccelsimError(
            f"{path}: unknown picture format {suffix!r}; expected a name that ends in .png, .svg or .pdf"
        )
    return suffix


def write_plot(simulation: Simulation, stream: IO[bytes], *, format: str = "png") -> None:
    """Draw :func:`plot` into a binary stream."""
    write_figure(plot(simulation), stream, format=format)


def write_figure(figure: Figure, stream: IO[bytes], *, format: str = "png") -> None:
    """Draw ``figure`` into a binary stream."""
    figure.savefig(stream, format=format, dpi=150)


def svg_of(figure: Figure) -> str:
    """``figure`` as an element of a page, no wider than that; the same text for the same figure."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "accelsim"}), io.StringIO() as stream:
        figure.savefig(stream, format="svg", metadata={"Date": None})
        text = stream.getvalue()
    for k, name in enumerate(_CLIP.findall(text)):  # some of which are made of addresses in memory
        text = text.replace(name, f"clip{k}")
    return text[text.index("<svg ") :].replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)


def plot(simulation: Simulation) -> Figure:
    """A matplotlib Figure of its own (no pyplot, no global state): roofline, energy breakdown, timeline."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.35, 1), width_ratios=(1, 1.35))
    named = len(simulation.result.layers) <= _NAMED_LAYERS
    ratios: dict[str, Any] = {"width_ratios": (3, 1)} if named else {"height_ratios": (3, 1)}
    energies = grid[0, 1].subgridspec(1 if named else 2, 2 if named else 1, **ratios)
    roofline, split, engines, totals = map(figure.add_subplot, (grid[0, 0], energies[0], grid[1, :], energies[1]))
    colors = layer_colors(len(simulation.result.layers))
    draw_roofline(roofline, simulation.result, simulation.arch, colors)
    draw_energy(split, simulation.result)
    draw_energy_by_decades(totals, simulation.result)
    draw_timeline(engines, simulation.timeline, colors)
    for axes in (roofline, split, engines, totals):
        _tidy(axes)
    figure.suptitle(_title(simulation.result), fontsize=13, fontweight="bold", parse_math=False)
    figure.draw_without_rendering()
    label_points(roofline, simulation.result)
    return figure


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#555555")
    axes.tick_params(labelsize=9)
    axes.set_axisbelow(True)


def _title(result: Result) -> str:
    total = result.total
    facts = [f"{total.cycles:,} cycles", seconds(total.latency_s), energy(total.energy_pj)]
    return f"{short_names([result.model], 60)[result.model]} on {result.arch.get('name', NONE)}:  " + ",  ".join(facts)


def layer_colors(count: int) -> NDArray[np.float64]:
    """One RGBA row per layer, from dark to light for any colour vision, so that neighbours in time are neighbours in colour."""
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](np.linspace(0.0, 0.94, max(count, 1))))


def draw_energy(axes: Axes, result: Result) -> None:
    """Stacked bars: energy of each layer by component; named and lying where the layers are few."""
    layers = result.layers
    named = len(layers) <= _NAMED_LAYERS
    scale, unit = _energy_unit(max([layer.energy_pj for layer in layers] or [0.0]))
    base = np.zeros(len(layers))
    for component, color in COMPONENT_COLORS.items():
        part = np.array([layer.energy_split_pj.get(component, 0.0) for layer in layers]) / scale
        if part.any():
            _bars(axes, part, base, named=named, color=color, label=component_name(component))
        base += part
    axes.set_title("Energy by layer", loc="left", fontsize=11)
    _label_layers(axes, result, unit, named=named)
    if base.any():
        right = 1.42 if named else 1.0  # over the axis beside it as well, which leaves the title free
        axes.legend(loc="lower right", bbox_to_anchor=(right, 1.0), ncols=4, **_LEGEND).set_in_layout(not named)


def draw_energy_by_decades(axes: Axes, result: Result) -> None:
    """A dot for each layer's energy on a logarithmic axis beside or below the bars: the small ones are seen as well."""
    energies = np.array([layer.energy_pj for layer in result.layers])
    scale, unit = _energy_unit(float(energies.max(initial=0.0)))
    some = np.flatnonzero(energies > 0)
    named = len(energies) <= _NAMED_LAYERS
    x, y = (energies[some] / scale, some) if named else (some, energies[some] / scale)
    axes.plot(x, y, "o", color=_COLORS["array"], markersize=4 if len(energies) < 100 else 2)
    own, other = (axes.xaxis, axes.yaxis) if named else (axes.yaxis, axes.xaxis)
    if named:
        axes.set(xscale="log", ylim=(len(energies) - 0.4, -0.6), yticks=[])
    else:
        axes.set(yscale="log", xlim=(-0.8, len(energies) - 0.2))
        axes.set_xticks([])
    _few_decades(own, x if named else y, most=2 if named else 3)
    other.grid(visible=False)
    own.set_label_text(f"{unit}, by decades")
    own.grid(color=GRID)


def _few_decades(axis: Axis, values: NDArray[Any], *, most: int) -> None:
    """From the decade below the least of ``values`` to that above the most, in ``most`` steps at most."""
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = (values.min(), values.max()) if len(values) else (1.0, 1.0)
    first, last = int(np.floor(np.log10(low / 1.3))), int(np.ceil(np.log10(high * 1.3)))
    axis.set_major_locator(FixedLocator([10.0**k for k in range(first, last + 1, -(-(last - first) // most) or 1)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_view_interval(10.0**first, 10.0**last, ignore=True)


def _bars(axes: Axes, part: NDArray[np.float64], base: NDArray[np.float64], *, named: bool, **style: Any) -> None:
    place = np.arange(len(part))
    if named:
        axes.barh(place, part, left=base, height=0.72, **style)
    else:
        axes.bar(place, part, bottom=base, width=0.85, **style)


def _label_layers(axes: Axes, result: Result, unit: str, *, named: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    if named:
        short = short_names((layer.name for layer in result.layers), 22)
        names = [f"{layer.index}: {short[layer.name]}" for layer in result.layers]
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_ylim(len(result.layers) - 0.4, -0.6)
        axes.set_xlabel(f"energy ({unit})")
        axes.set_xlim(left=0)
        axes.grid(axis="x", color=GRID)
        axes.tick_params(axis="y", length=0)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        axes.set_xlim(-0.8, len(result.layers) - 0.2)
        axes.set_xlabel("layer number")
        axes.set_ylabel(f"energy ({unit})")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID)


def _energy_unit(largest_pj: float) -> tuple[float, str]:
    for scale, unit in ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if largest_pj >= scale:
            return scale, unit
    return 1.0, "pJ"


def draw_timeline(axes: Axes, timeline: Timeline, colors: NDArray[np.float64]) -> None:
    """Engines over cycles, coloured by layer, with each engine's busy share; a band of layer spans on top.

    Work shorter than a pixel shades it by its share. A track is as many strips as there are cores, the first core's on top.
    """
    total, cores = max(timeline.total_cycles, 1), timeline.program.arch.cores.count
    tracks = _tracks(timeline)
    for row, engine in enumerate(tracks):
        for core in range(cores):
            top = row + 0.12 + 0.76 * core / cores
            if timeline.busy_cycles(engine, core=core):
                strip = ink(timeline, engine, colors, columns=_COLUMNS, core=core)
                axes.imshow(strip[None], extent=(0, total, top + 0.76 / cores, top), aspect="auto", zorder=2)
        share = timeline.busy_cycles(engine) / (total * cores)
        axes.text(
            1.006,
            row + 0.5,
            f"{share:.0%}" if share else NONE,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    _layer_band(axes, timeline, colors, total)
    axes.set_yticks([-0.5, *(row + 0.5 for row in range(len(tracks)))], ["layer number", *(e.label for e in tracks)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(tracks), -1.1)
    axes.set_xlim(0, total)
    axes.xaxis.set_major_formatter(lambda cycle, _: f"{cycle:,.0f}")
    axes.grid(axis="x", color=GRID)
    axes.set_title(
        "Engines over time, coloured by layer; at the right, how much of the time each is busy", loc="left", fontsize=11
    )
    clock_hz = timeline.program.arch.clock_hz
    axes.set_xlabel(f"cycle  (at {format_hertz(clock_hz)}; {seconds(total / clock_hz)} in all)")


def _tracks(timeline: Timeline) -> tuple[Engine, ...]:
    return tuple(engine for engine in TRACKS if engine not in KEEPING or timeline.busy_cycles(engine))


def _layer_band(axes: Axes, timeline: Timeline, colors: NDArray[np.float64], total: int) -> None:
    finish = timeline.layer_finish.tolist()
    for index, (start, stop) in enumerate(zip([0, *finish], finish, strict=False)):
        axes.broken_barh(
            [(start, stop - start)], (-0.85, 0.7), facecolors=[colors[index]], edgecolors="white", linewidth=0.6
        )
        if stop - start > 0.012 * len(str(index)) * total:
            ink = "white" if np.dot(colors[index][:3], (0.299, 0.587, 0.114)) < 0.55 else "black"
            axes.text((start + stop) / 2, -0.49, str(index), ha="center", va="center", fontsize=8, color=ink)


def ink(
    timeline: Timeline, engine: Engine, colors: NDArray[np.float64], *, columns: int, core: int = 0
) -> NDArray[np.float64]:
    """RGB of each of ``columns`` equal stretches of time: white paper, covered for the share of it that ``engine`` of ``core`` works.

    ``colors`` (layers, 3 or more) are what each layer covers it with; a stretch of several layers has their mean, by time.
    """
    program = timeline.program
    mine = np.flatnonzero(program.of_engine(engine) & (program.core == core))
    cycles = timeline.until[mine] - timeline.start[mine]
    # What has been drawn by each cycle is a line from the start to the end of each operation and level between them.
    ends = np.stack([timeline.start[mine], timeline.start[mine] + cycles], axis=1).reshape(-1)
    edges = np.linspace(0, max(timeline.total_cycles, 1), columns + 1)
    covered = (1 - colors[program.layer[mine], :3]) * cycles[:, None]
    total = np.cumsum(np.concatenate([np.zeros((1, 3)), covered]), axis=0)
    drawn = np.stack([total[:-1], total[1:]], axis=1).reshape(-1, 3)
    if not len(mine):
        return np.ones((columns, 3))
    share = [np.diff(np.interp(edges, ends, channel)) / (edges[1] - edges[0]) for channel in drawn.T]
    return np.asarray(np.clip(1 - np.stack(share, axis=1), 0, 1))
