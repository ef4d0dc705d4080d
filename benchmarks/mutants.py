"""Would a test notice? One-token mutants of the package, each against the tests that reach it, the quick and near ones first.

python benchmarks/mutants.py --seed 7 --count 300

Kinds are drawn in turn: comparisons, signs, clamps, ``and``/``or``, ``not``, arguments that change places, guards that never hold,
constants and bounds of slices off by one, results that are dropped (mutation/sites.py says what is left out). Interrupted, or with a
greater count, it goes on where it stood; ``--again survived`` tries survivors once more. Equivalent mutants, which no test can
notice, stand in mutation/equivalents.yaml with reasons. Needs git and a system that forks.

A process that has collected all tests forks for every mutant and exchanges the code of the function that it changes (mutation/live.py).
The test files nearest to the mutant are asked first, then those behind them; what each test reaches is recorded when its file is asked for
the first time, and anew when the file changes. What survives there, or shows only where its module is imported, is tried in a process that
imports it, with the tests that reach a name which the module gives to it and the test files nearest to it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS, UNLIMITED_SECONDS = 30.0, 36_000.0
STAGE, AFRESH = 1 / 2, 1 / 3
"""Of the limit, what each stage of the tests has, and what a mutant that survived these has in a process that imports it."""
IMPORTED_ONCE = (
    "click",
    "rich",
    "onnx",
    "pydantic",
    "onnxruntime",
    "ai_edge_litert.interpreter",
    "tflite",
    "ruamel.yaml",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="CPU seconds of tests for each mutant")
    parser.add_argument("--again", choices=["survived", "timeout", "killed"], help="try mutants of this outcome again")
    parser.add_argument("--within", default="accelsim", help="folder or file whose mutants are drawn")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "mutants", help="where the copy and results lie")
    parser.add_argument("--report", action="store_true", help="print what is known, try nothing")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the tree is restored and the trial's processes end
    work = given.work.resolve()
    os.environ |= {"NUMBA_CACHE_DIR": str(work / "cache"), "MPLBACKEND": "Agg"}
    os.environ.setdefault("ACCELSIM_SHARED", str(ROOT.parent / "shared"))
    from mutation.records import Results
    from mutation.sites import drawn

    results = Results(work / f"{given.seed}.jsonl")
    mutants = drawn(ROOT / "accelsim", given.seed, given.count, given.within)
    rows = [row_of(mutant) for mutant in mutants]
    equivalents = read_equivalents(results.key)
    if not given.report:
        try_all(given, list(zip(mutants, rows, strict=True)), results, equivalents)
    print_summary([(outcome_of(row, results, equivalents), row) for row in rows])


def row_of(mutant: Any) -> dict[str, Any]:
    before, after = mutant.lines((ROOT / mutant.path).read_bytes())
    return {**{k: getattr(mutant, k) for k in ("path", "line", "function", "kind")}, "before": before, "after": after}


def read_equivalents(key: Callable[[dict[str, Any]], tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    from ruamel.yaml import YAML

    listed = YAML(typ="safe").load(
        (Path(__file__).parent / "mutation" / "equivalents.yaml").read_text(encoding="utf-8")
    )
    return {key(entry): entry["reason"] for entry in listed or []}


def try_all(given: argparse.Namespace, drawn: list[tuple[Any, dict[str, Any]]], results: Any, equivalents: Any) -> None:
    """Every mutant that has no outcome yet; those too that were killed by a test which fails without them."""
    for name in IMPORTED_ONCE:  # what every process would import by itself
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from mutation.order import Tests
    from mutation.reach import Reach
    from mutation.records import Known
    from mutation.server import Server
    from mutation.tree import Tree

    work = given.work.resolve()
    tree = Tree(ROOT, work / "tree", work / "cache")
    known = Known(work / "known.json", tree)
    todo = [(m, row) for m, row in drawn if outcome_of(row, results, equivalents) in ("not tried", given.again)]
    server = Server(tree.root, tree.imports, work / "server.log")
    try:
        tests = Tests(tree.root, server, Reach(work / "reach"))
        while todo:
            for mutant, row in todo:
                trial = tried(
                    tree, mutant, server, tests, [*known.broken, *tests.broken], given.limit, work / "last.log"
                )
                results.add({**row, **trial._asdict()})
                lines = f"{row['before']} → {row['after']}"
                print(
                    f"{trial.outcome} {trial.seconds:.0f} s {row['path']}:{row['line']} {lines} [{trial.by}]",
                    flush=True,
                )
            killers = {row["by"] for _, each in drawn if (row := results.of(each)) and row["by"]}
            settle(tree, sorted(killers - tests.passed), known, work / "plain.log")
            todo = [(m, row) for m, row in drawn if known.passes((results.of(row) or {"by": ""})["by"]) is False]
    finally:
        server.close()


def tried(tree: Any, mutant: Any, server: Any, tests: Any, broken: Any, limit: float, log: Path) -> Any:
    """First where everything is imported, then, if nothing noticed, in a process that imports the mutant."""
    from mutation.nearest import nearest_tests
    from mutation.trial import run_tests

    module = tree.imports.names[tree.root / mutant.path]
    names = nearest_tests(tree.imports, module, mutant.function)
    files = [tree.imports.paths[name].relative_to(tree.root).as_posix() for name in names]
    mutated = mutant.applied((tree.root / mutant.path).read_bytes())
    reached, spent = server.reached_by(mutant, mutated), 0.0
    for stage in tests.stages(files) if reached else ():
        tests.record(stage)
        if asked := tests.ordered(stage, files, *reached):
            with tree.holding(mutant):
                trial = server.run(mutant.path, mutated, asked, limit * STAGE)
            if trial.outcome != "survived":
                return trial
            spent += trial.seconds
    naming = [] if reached else tests.naming(files, server.named(mutant.path, mutant.line))
    with tree.holding(mutant):
        fresh = limit * AFRESH if reached else limit
        trial = run_tests(tree.root, [*naming, *files], limit=fresh, broken=broken, log=log)
    return trial._replace(seconds=trial.seconds + spent)


def settle(tree: Any, tests: list[str], known: Any, log: Path) -> None:
    """Run the tests that noticed something without any mutant; those that fail all the same are set aside."""
    from mutation.trial import run_tests

    while unknown := [test for test in tests if known.passes(test) is None]:
        plain = run_tests(tree.root, unknown, limit=UNLIMITED_SECONDS, broken=known.broken, log=log)
        for test in [plain.by] if plain.by else unknown:
            known.add(test, not plain.by)


def outcome_of(row: dict[str, Any], results: Any, equivalents: Any) -> str:
    found = results.of(row)
    return "equivalent" if results.key(row) in equivalents else found["outcome"] if found else "not tried"


def print_summary(found: list[tuple[str, dict[str, Any]]]) -> None:
    for outcome, row in found:
        if outcome in ("survived", "timeout"):
            print(f"\n{outcome}: {row['path']}:{row['line']} {row['function']} ({row['kind']})")
            print(f"  {row['before']}\n  {row['after']}")
    by_kind = Counter((row["kind"], outcome) for outcome, row in found)
    print()
    for kind in sorted({kind for kind, _ in by_kind}):
        print(f"{kind:12}", *(f"{n} {outcome}" for (k, outcome), n in sorted(by_kind.items()) if k == kind), sep="  ")
    counts = Counter(outcome for outcome, _ in found)
    noticed = counts["killed"] + counts["timeout"]
    told = noticed + counts["survived"]
    print(f"\n{dict(counts)}; of {told} that are not equivalent {100 * noticed / max(told, 1):.1f} % were noticed")


if __name__ == "__main__":
    main()
