"""Numba kernel that writes the dependencies of a Program from the parts that its layers noted, one after another.

Parts are given as ``first`` (parts + 1,): part ``p`` has the entries ``first[p]`` to ``first[p + 1]`` of the joined arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import tiered


@tiered(lambda first, base, source, rows, *rest: len(rows))
def compressed_rows(first: Any, base: Any, source: Any, rows: Any, on: Any, count: int) -> tuple[Any, Any, Any]:
    """(dependency_start, dependencies, sources) of ``count`` operations, of which ``base[part] + rows[k]`` waits for ``on[k]``.

    -1 is none. An operation's dependencies stand in the order given, those whose data it reads (``source[part]`` 1, else 0) first.
    """
    # Counted, summed up, then placed: two passes over the parts, and no sorting.
    sources = np.zeros(count, dtype=np.int8)
    start = np.zeros(count + 1, dtype=np.int64)
    for part in range(len(base)):
        for k in range(first[part], first[part + 1]):
            if on[k] >= 0:
                start[base[part] + rows[k] + 1] += 1
                sources[base[part] + rows[k]] += source[part]
    read, other = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    for i in range(count):
        start[i + 1] += start[i]
        read[i], other[i] = start[i], start[i] + sources[i]
    dependencies = np.empty(start[count], dtype=np.int32)
    for part in range(len(base)):
        at = read if source[part] else other
        for k in range(first[part], first[part + 1]):
            if on[k] >= 0:
                i = base[part] + rows[k]
                dependencies[at[i]] = on[k]
                at[i] += 1
    return start, dependencies, sources
