"""The streamed schedule for compiled loops."""

from accelsim.timing.stream.compiled import (
    array_of_chip,
    dma_of_chip,
    kept_operand,
    loops_of_record,
    network_cycles,
    windows_of_record,
)
