"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note
from accelsim.errors import ConfigError
from accelsim.objective import DEFAULT_OBJECTIVE, OBJECTIVES
from accelsim.resources import DEFAULT_ARCH

if TYPE_CHECKING:
    from accelsim.arch import Arch


set_option = click.option(
    "--set",
    "edits",
    multiple=True,
    metavar="PATH=VALUE",
    help="Edit the machine by dotted path, e.g. array.rows=32; repeatable.",
)
arithmetic_option = click.option(
    "--arithmetic",
    metavar="NAME",
    help="Per-operator rules of a runtime or chip; default: the machine's, without one the file's own.",
)
mapping_option = click.option(
    "--mapping",
    metavar="HOW",
    default="default",
    show_default=True,
    help="Who cuts layers into tiles: the default mapper, search (of every tiling), or a YAML file (see: accelsim map).",
)


def objective_option(default: str = DEFAULT_OBJECTIVE) -> Callable[[Any], Any]:
    """``--objective``, None where not given; ``default`` says what then counts."""
    about = f"What the tiles minimise: cycles, energy, or edp, energy x delay; default: {default}."
    return click.option("--objective", type=click.Choice(OBJECTIVES), help=about)


def mapping_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who cuts layers into tiles, and what that minimises."""
    decorated: Callable[..., Any] = mapping_option(
        objective_option(f"a YAML file's own, else {DEFAULT_OBJECTIVE}")(command)
    )
    return decorated


def arch_option(name: str = "machine", *, help: str = "", **choices: Any) -> Callable[[Any], Any]:
    """``--arch ARCH``, or the machine that stands for none, then said on stderr."""

    def chosen(_: click.Context, __: click.Parameter, given: Any) -> Any:
        if given:
            return given
        note(f"machine {DEFAULT_ARCH} (default; --arch chooses another)")
        return (DEFAULT_ARCH,) if choices.get("multiple") else DEFAULT_ARCH

    about = f"A preset (see: accelsim archs) or a YAML file; default: {DEFAULT_ARCH}.{help}"
    return click.option("--arch", name, metavar="ARCH", callback=chosen, help=about, **choices)


def model_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """MODEL, and ``--shape`` for the sizes that its file leaves open."""

    @click.argument("model")
    @click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="INPUT=1x3x48x160",
        help="The shape of a graph input of an .onnx file that leaves sizes open; repeatable.",
    )
    @functools.wraps(command)
    def given(*args: Any, model: str, shapes: tuple[str, ...], **options: Any) -> Any:
        from accelsim.importers import sized

        return command(*args, model=sized(model, parse_shapes(shapes)) if shapes else model, **options)

    return given


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """``name=1x3x48x160`` as a dictionary; ConfigError for anything else."""
    parsed: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, shape = text.rpartition("=")
        sizes = shape.split("x")
        if not name or name in parsed or not all(size.isdecimal() and 0 < int(size) < 2**31 for size in sizes):
            raise ConfigError(
                f"--shape {text!r}: expected INPUT=SIZES, once for each input, for example --shape x=1x3x48x160"
            )
        parsed[name] = tuple(map(int, sizes))
    return parsed


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--arch ARCH`` and the edits of it."""
    decorated: Callable[..., Any] = arch_option()(set_option(command))
    return decorated


def input_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--input FILE``, or ``--inputs``: the inputs of a network, of which ``text`` says more."""
    return click.option("--input", "--inputs", "input_path", metavar="FILE", help=f"Inputs as .npz{text}")


def parse_edits(edits: Sequence[str], *, option: str = "--set", example: str = "--set array.rows=32") -> dict[str, str]:
    """``path=value`` texts of an ``option`` as a dictionary; ConfigError where there is no ``=``, no path, or a path twice."""
    parsed: dict[str, str] = {}
    for edit in edits:
        path, equals, value = edit.partition("=")
        path = path.strip()
        if not (equals and path):
            raise ConfigError(f"{option} {edit!r}: expected PATH=VALUE, for example {example}")
        if path in parsed:
            raise ConfigError(f"{option} {path}: given twice ({parsed[path]!r} and {value!r}); give it once")
        parsed[path] = value
    return parsed


def arch_of(machine: str, edits: Sequence[str], arithmetic: str | None = None) -> Arch:
    """The machine called ``machine``, edited, with the rules of ``arithmetic`` where one is given."""
    from accelsim.arch import load_arch

    arch = load_arch(machine, edits=parse_edits(edits))
    return arch if arithmetic is None else arch.with_({"arithmetic": arithmetic})


def network_edits(edits: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """What of ``--set`` is about the machine, as it was given, and what is about the network, by path; ConfigError as :func:`parse_edits`."""
    from accelsim.explore import is_network

    parsed = parse_edits(edits)
    return tuple(edit for edit, path in zip(edits, parsed, strict=True) if not is_network(path)), {
        path: value for path, value in parsed.items() if is_network(path)
    }


def tables_of(values: Mapping[str, Any]) -> Iterator[str]:
    """The energy tables, as named by them, of the machines that a command's parameters choose."""
    machines = values.get("machines", (values.get("machine"),))
    for machine in machines:
        if machine is not None:
            yield arch_of(machine, network_edits(values.get("edits", ()))[0]).tech.energy_table


def note_arithmetic(taken: str, arch: Arch, arithmetic: str | None) -> None:
    """Say on stderr that a model computes in ``taken``, and who chose it: the option, the machine, or the file."""
    own = "the model's own; choose another with --arithmetic"
    chosen = own if arch.arithmetic is None else f"the machine {arch.name} states it"
    note(f"arithmetic {taken}: {chosen if arithmetic is None else 'chosen with --arithmetic'}")


class InputCount(click.ParamType):  # type: ignore[type-arg]  # takes none at run time before click 8.4
    """A number of inputs, or ``all`` (None)."""

    name = "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "all":
            return None
        try:
            number = int(value)
        except ValueError:
            number = -1
        if number < 0:
            self.fail(f"{value!r} is neither a number of inputs, 0 or more, nor 'all'", param, ctx)
        return number
