"""The streamed schedule for compiled loops."""

from accelsim.timing.stream._network import network_cycles
from accelsim.timing.stream._state import array_of_chip, dma_of_chip, kept_operand, loops_of_record, windows_of_record
