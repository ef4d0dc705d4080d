"""The streamed schedule for compiled loops."""

from accelsim.timing.stream.compiled import (
    kept_operand,
    last_of,
    loops_of_record,
    machine_of_chip,
    network_cycles,
    room,
    same_pass,
)
