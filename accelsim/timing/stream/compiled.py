"""The streamed schedule for compiled loops."""

from accelsim.timing.stream._network import network_cycles, room
from accelsim.timing.stream._state import kept_operand, last_of, loops_of_record, machine_of_chip, same_pass
