"""How fast layer tables load, and what memory that takes: CPU seconds of the first load in a process, and of the next.

    python benchmarks/tables.py [rows]

alike     three kinds of rows, which read nothing
mixed     all operations, 300 kinds of rows
chained   every row reads the one above
quoted    mixed, all cells in quotes: read row by row
different all rows differ (a quarter as many): Python makes a geometry and a layer of each
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROWS = 1_000_000
Row = tuple[object, ...]
COLUMNS = ("name", "op", "h", "w", "c", "kh", "kw", "oc", "stride", "padding", "inputs")
OPERATIONS = (
    "conv2d", "depthwise_conv2d", "dense", "matmul", "add", "mul", "scale", "max_pool", "average_pool", "mean", "softmax", "lut",
)  # fmt: skip
LOAD = """
import sys, time
from accelsim import load_graph

def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024

load_graph("alexnet")
before, spent = peak(), []
for _ in range(2):
    begin = time.process_time()
    graph = load_graph(sys.argv[1])
    spent.append(time.process_time() - begin)
    del graph
print(*spent, peak() - before)
"""


def alike(rows: int) -> Iterator[Row]:
    for i in range(rows):
        yield f"layer{i}", "conv2d", 28, 28, 8 * (1 + i % 3), 3, 3, 16, 1, "same", ""


def mixed(rows: int) -> Iterator[Row]:
    rng, kinds = random.Random(1), []
    for i in range(300):
        operation, size = OPERATIONS[i % len(OPERATIONS)], rng.choice([7, 14, 28, 56, 112])
        window = operation in ("conv2d", "depthwise_conv2d", "max_pool", "average_pool")
        flat, channels = operation in ("dense", "matmul"), rng.choice([64, 128, 256])
        cells = (3, 3, channels if operation == "conv2d" else "", rng.choice([1, 2]), "same") if window else ("",) * 5
        kinds.append((operation, size, 1 if flat else size, 16 + i, *cells, ""))
    for i in range(rows):
        yield f"block{i // 10}/layer{i}", *rng.choice(kinds)


def chained(rows: int) -> Iterator[Row]:
    for i in range(rows):
        yield f"layer{i}", "conv2d", 28, 28, 64, 3, 3, 64, 1, "same", f"layer{i - 1}" if i else ""


def different(rows: int) -> Iterator[Row]:
    for i in range(rows // 4):
        yield f"layer{i}", "conv2d", 1 + i % 1000, 1 + i // 1000, 64, 3, 3, 64, 1, "same", ""


def measure(name: str, make: Callable[[int], Iterator[Row]], rows: int, folder: Path, quoting: int) -> None:
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
        writer.writerow(COLUMNS)
        writer.writerows(make(rows))
    done = subprocess.run([sys.executable, "-c", LOAD, str(path)], check=True, capture_output=True, text=True)
    first, again, peak = map(float, done.stdout.split())
    size = path.stat().st_size / 1e6
    print(
        f"{name:10} {size:7.1f} MB   first {first:6.2f} s {size / first:6.1f} MB/s   again {again:6.2f} s {size / again:6.1f} MB/s   "
        f"peak {peak:6.0f} MiB"
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        for make in (alike, mixed, chained, different):
            measure(make.__name__, make, rows, Path(folder), csv.QUOTE_MINIMAL)
        measure("quoted", mixed, rows, Path(folder), csv.QUOTE_ALL)


if __name__ == "__main__":
    main()
