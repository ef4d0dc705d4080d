"""When each tile operation runs: two schedulers, one observable (SimPy) and one fast (numba), with identical answers.

Rules shared by both. A queue of a core executes its operations in program order, one at a time; each engine has its own, but for
the DMA engines where ``dma.queues`` gives them fewer. An operation is *ready* when its queue is free and all it waits for has
come: the results that it reads, and the slots that it overwrites, which are free when those that read them let go of their engines
(:data:`accelsim.hardware.SLOT_WAITS`); where the requantizer streams, a requantization needs the first sums of its tile alone. The
DMA queues of all cores share one DRAM port, or one for each of the streams that name a port of their own; a port serves by (ready
cycle, engine priority, core, operation number); all other queues start at once. An operation that starts at ``s`` holds its queue (and
the port) until ``s + cycles`` and finishes at ``s + cycles + latency``, but never before its queue's earlier operations. A
requantization that streams holds its queue until ``lag`` cycles behind the last sums of its tile, where that is later.
"""

from accelsim.timing.schedule import schedule
from accelsim.timing.simpy_scheduler import schedule_simpy
from accelsim.timing.stalls import Stalls, stalls
from accelsim.timing.stream import (
    CHIP,
    COUNTS,
    MAC,
    MOST_OPERATIONS,
    NONE,
    TILING,
    WIDTH,
    Cuts,
    Kept,
    Network,
    Tiles,
    chip_of,
    kept_of,
    network_of,
    queues_of,
    supported,
    tilings_of,
    width_of,
    write_tiling,
)
from accelsim.timing.timeline import Timeline
