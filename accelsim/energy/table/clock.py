"""Which clock a machine's voltage attains, by what its energy table says of its process."""

from __future__ import annotations

from accelsim.arch import Arch
from accelsim.energy.table.entries import EnergyTable
from accelsim.energy.table.read import load_table
from accelsim.energy.table.scaling import clock_scale
from accelsim.errors import ConfigError
from accelsim.units import format_hertz


def _attained(arch: Arch) -> tuple[EnergyTable, float] | None:
    """The table that ``arch`` names, and the factor of its clock at ``tech.voltage_v``; None where that is its own or is not known."""
    origin, voltage = load_table(arch.tech.energy_table), arch.tech.voltage_v
    if voltage is None or origin.voltage_v in (None, voltage) or origin.alpha is None or origin.threshold_v is None:
        return None
    assert origin.voltage_v is not None
    factor = clock_scale(
        alpha=origin.alpha, threshold_v=origin.threshold_v, voltage_from=origin.voltage_v, voltage_to=voltage
    )
    return origin, factor


def check_clock(arch: Arch) -> None:
    """ConfigError where ``clock_hz`` is more than ``tech.voltage_v`` attains by the table's ``frequency``, on the table's node.

    At the table's own voltage the machine's clock is taken at its word; so it is on another node, whose clock no table states.
    """
    found = _attained(arch)
    if found is None or found[0].clock_hz is None or arch.tech.node_nm not in (None, found[0].node_nm):
        return
    origin, factor = found
    assert origin.clock_hz is not None
    reached = int(origin.clock_hz * factor)
    if arch.clock_hz > reached:
        raise ConfigError(
            f"clock_hz of {format_hertz(arch.clock_hz)}: at tech.voltage_v of {arch.tech.voltage_v:g} the clock reaches "
            f"{format_hertz(reached)} (alpha-power law, from {format_hertz(int(origin.clock_hz))} at {origin.voltage_v:g} V in energy "
            f"table {origin.name}); lower clock_hz or raise tech.voltage_v, or state the frequency.clock of your process in a table of "
            "your own",
            reached_hz=reached,
        )


def clock_note(arch: Arch) -> str:
    """What ``clock_hz`` asks of a design at a lower voltage than the table's, or above its clock at its own; empty where nothing."""
    origin, found = load_table(arch.tech.energy_table), _attained(arch)
    clock, own = format_hertz(arch.clock_hz), f"{origin.voltage_v:g} V" if origin.voltage_v else ""
    if found is not None and found[1] < 1:
        asked, slowed = (format_hertz(round(hz)) for hz in (arch.clock_hz / found[1], arch.clock_hz * found[1]))
        return (
            f"clock_hz of {clock} at tech.voltage_v of {arch.tech.voltage_v:g} is for a design that reaches {asked} at {own}; one that "
            f"reaches {clock} there runs at {slowed} (alpha-power law)"
        )
    if (
        arch.tech.node_nm is None
        and arch.tech.voltage_v is None
        and origin.clock_hz
        and arch.clock_hz > origin.clock_hz
    ):
        return f"clock_hz of {clock} is above the {format_hertz(int(origin.clock_hz))} that energy table {origin.name} states for {own}"
    return ""
