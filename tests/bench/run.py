"""Everything that is measured, in one table: `python -m tests.bench.run`, or `tests/bench/run`.

Each line compares pymdc with a rival or with what the machine can do at most, measured in turn in the same run. What
the columns mean is in docs/speed.md.

    python -m tests.bench.run --only calls,import --seconds 60
    python -m tests.bench.run --write docs/speed.md README.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from . import table
from .bench_bridge import on_postgresql, on_sqlite
from .bench_calls import calls, imports
from .bench_store import in_folder, in_s3
from .bench_transfers import transfers
from .bench_window import windows
from .racing import Line

PARTS: dict[str, tuple[Callable[[float], Iterator[Line]], float]] = {  # and its share of the time
    "calls": (calls, 2.0),
    "import": (imports, 0.5),
    "transfers": (transfers, 2.0),
    "sqlite": (on_sqlite, 1.5),
    "postgresql": (on_postgresql, 1.0),
    "folder": (in_folder, 2.0),
    "s3": (in_s3, 1.5),
    "windows": (windows, 1.0),
}
SECONDS = 240.0


def parsed(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measure pymdc beside rivals and limits.")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them: %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="about how long all parts together measure")
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="documents whose table is replaced")
    given = parser.parse_args(words)
    given.only = given.only.split(",")
    if unknown := set(given.only) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    given = parsed()
    chosen = [PARTS[name] for name in given.only]
    each = given.seconds / sum(share for _, share in chosen)
    lines = []
    print(table.head(), flush=True)
    for part, share in chosen:
        for line in part(each * share):
            lines.append(line)
            print(table.row(line), flush=True)
    for path in given.write:
        table.write(path, " ".join(["python -m tests.bench.run", *sys.argv[1:]]), lines)


if __name__ == "__main__":
    main()
