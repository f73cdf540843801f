"""All comparisons, one command: `python -m benchmarks`.

    python -m benchmarks                     every benchmark, results into benchmarks/results
    python -m benchmarks --only core_set     one of them; may be given several times
    python -m benchmarks --compare           nothing is kept: fails if a ratio fell short of the kept one
    python -m benchmarks --list

Peers come with `pip install -e '.[benchmarks]'`; rows of one that is missing are left out.
A benchmark is a function that takes the number of repetitions and returns its rows; it is named in BENCHMARKS.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import load, machine_line
from benchmarks.result import RESULTS, Result, Row, markdown, read, regressions, write

BENCHMARKS: dict[str, str] = {
    "core_set": "benchmarks.core_set",
    "badge": "benchmarks.badge",
    "batch_bald": "benchmarks.batch_bald",
    "ingest": "benchmarks.ingest",
    "scoring": "benchmarks.scoring",
    "predict": "benchmarks.predict",
    "training": "benchmarks.training",
    "inbox": "benchmarks.inbox",
    "store_calls": "benchmarks.store_calls",
    "mlflow_publish": "benchmarks.mlflow_publish",
    "serving": "benchmarks.serving",
}
"""Name → module with ``run(repetitions) -> Iterator[Row]``, ``SUMMARY`` and, if need be, ``NOTES``."""


def run(name: str, repetitions: int, results: Path | None) -> Result:
    """Run one benchmark.

    Args:
        name: The benchmark.
        repetitions: Of each comparison.
        results: Folder to write to after every row, so that a run that is broken off keeps what it has.
    """
    module = importlib.import_module(BENCHMARKS[name])
    rows, loads, notes = [], [load()], tuple(getattr(module, "NOTES", ()))
    compute: Callable[[int], list[Row]] = module.run
    for row in compute(repetitions):
        rows.append(row)
        loads.append(load())
        if results is not None:
            write(Result(name, module.SUMMARY, machine_line(loads), tuple(rows), notes), results)
        print(
            f"{name}: {row.case}, {row.peer or 'alone'}: {row.spread} {dict(row.figures)} {row.agreement}", flush=True
        )
    return Result(name, module.SUMMARY, machine_line(loads), tuple(rows), notes)


def main(arguments: list[str] | None = None) -> int:
    """Run benchmarks; return 1 if outputs disagree, a limit is passed or, with ``--compare``, a ratio fell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side-by-side measurements.")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="this benchmark only")
    parser.add_argument("--repetitions", type=int, default=3, help="of each comparison, ours and theirs in turn")
    parser.add_argument("--compare", action="store_true", help="compare with the kept results; keep nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the kept results")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(BENCHMARKS))
        return 0
    found: list[str] = []
    for name in options.only or BENCHMARKS:
        kept = read(name, options.results) if options.compare else None
        result = run(name, options.repetitions, None if options.compare else options.results)
        found += regressions(result, kept)
        print(f"\n{markdown(result)}", flush=True)
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
