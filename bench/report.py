"""The rows of the table, what is asked of each, and the page that they end in."""

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.server import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = [
    "What",
    "Data",
    "Database",
    "p50 ms",
    "p99 ms",
    "per s",
    "of bare",
    "CPU ms",
    "queries",
    "cost",
    "Budget",
]
RIGHT = {"p50 ms", "p99 ms", "per s", "of bare", "CPU ms", "queries", "cost"}


@dataclass
class Row:
    """One line; numbers that were not measured stay None. ``cost`` is relative to 1k bookings."""

    what: str
    data: str
    database: str
    p50: float | None = None
    p99: float | None = None
    rate: float | None = None
    ratio: float | None = None
    queries: int | None = None
    cost: float | None = None
    budgets: list = field(default_factory=list)  # (words, kept: True, False)
    note: str = ""
    missing: str = ""  # why there are no numbers
    cpu: float | None = None  # milliseconds an answer

    def timed(self, result):
        self.p50, self.p99 = result["p50"], result["p99"]
        self.rate, self.ratio = result["rate"], result["ratio"]
        self.cpu = result["cpu"]
        return self

    def at_most(self, name, value, limit, unit=""):
        return self._budget(
            f"{name} ≤ {limit:g}{unit}", value, value is not None and value <= limit
        )

    def at_least(self, name, value, limit, unit=""):
        return self._budget(
            f"{name} ≥ {limit:g}{unit}", value, value is not None and value >= limit
        )

    def must(self, words, kept, otherwise):
        self.budgets.append((words if kept else otherwise, bool(kept)))
        return self

    def _budget(self, words, value, kept):
        found = "not measured" if value is None else f"{value:.3g}"
        self.budgets.append((words if kept else f"{words}, is {found}", kept))
        return self

    @property
    def failed(self):
        return bool(self.missing) or any(not kept for _words, kept in self.budgets)

    @property
    def verdict(self):
        if self.missing:
            return self.missing
        if not self.budgets:
            return "none"
        lost = [words for words, kept in self.budgets if not kept]
        return f"FAIL: {'; '.join(lost)}" if lost else "pass"

    def cells(self):
        def number(value, places):
            return "" if value is None else f"{value:.{places}f}"

        return [
            self.what,
            self.data,
            self.database,
            number(self.p50, 2),
            number(self.p99, 2),
            number(self.rate, 0),
            number(self.ratio, 3),
            number(self.cpu, 2),
            "" if self.queries is None else str(self.queries),
            number(self.cost, 2),
            self.verdict,
        ]


def table(rows):
    """The rows as text with aligned columns, also valid Markdown."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]

    def text(cells):
        parts = [
            cell.rjust(width) if name in RIGHT else cell.ljust(width)
            for name, cell, width in zip(HEAD, cells, widths, strict=True)
        ]
        return f"| {' | '.join(parts)} |"

    rule = [
        "-" * (width - 1) + ":" if name in RIGHT else "-" * width
        for name, width in zip(HEAD, widths, strict=True)
    ]
    return "\n".join([text(HEAD), text(rule), *(text(cells) for cells in lines[1:])])


def machine():
    """The shape of the machine in words, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB of memory, {platform.system()}"


def notes(rows):
    seen = {}
    for row in rows:
        if row.note:
            seen.setdefault((row.what, row.note), []).append(f"{row.database}, {row.data}")
    return [f"- {what} ({'; '.join(where)}): {note}" for (what, note), where in seen.items()]


METHOD = """\
`make bench` starts the web server with the command line of `manage.py serve` (granian, 2 processes
with 4 threads) on a fresh SQLite file and on a fresh PostgreSQL database, loads the starter
content, gives {people} practitioners full hours from Monday to Friday, and fills the table of
bookings step by step. The coming 60 days are the same at every size: the next three working days 70
% full, two weeks 40 %, later 6 %. Size comes from the past (fulfilled, cancelled, missed);
a few hundred cancelled times of the coming days are among it. PostgreSQL gets `VACUUM ANALYZE` after each load, as autovacuum
would do it.

A second process sends the requests over one connection that stays open, and in turn with them asks
the bare view over another: `HttpResponse("ok")` without middleware, behind the same server with the
same options. **of bare** is the bare view's median time divided by the page's, the median of
several short rounds: the share of the bare limit in requests a second on one connection. A busy
machine disturbs it less than it disturbs milliseconds. **CPU ms** is the processor time that one
answer costs the web server and, on PostgreSQL, the database's sessions; **cost** is that at this
size divided by that at 1k bookings. Both hardly notice what else the machine does. **queries** are
counted inside Django on the same database, without `BEGIN`, `COMMIT` and savepoints, with the
process's memory filled, as for nearly every visitor; the notes give the number for the first
visitor of a process. For a booking it is the queries inside the transaction that decides. A plan
that reads the whole table of bookings is looked for with `EXPLAIN` at the largest size.

Two lines tell what is possible: a page that passes all middleware and does nothing, and one range
read of the bookings of a week behind the bare server. “Free times, the search” is the search itself
behind the bare server; “the page with them” is step 2 of booking as visitors see it, with its
session, next free time and week strip. Bookings are made from the first step to the last, with
anybody who is free; timed is the press that decides. Weights are bytes as they travel over HTTP
with `Accept-Encoding: gzip, br`: the page and what its markup and styles ask for, fonts only where the
page has letters of theirs. Memory counts shared pages once (Linux's PSS).
"""


def write(rows, facts, sizes, seconds, load):
    """Write docs/benchmarks.md."""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("Django", "granian", "psycopg2-binary")
    )
    lost = [row for row in rows if row.failed]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. The budgets come from the project's quality plan.",
        "",
        "## Machine and versions",
        "",
        f"- {machine()}; load average {load} when the run began",
        f"- Python {platform.python_version()}, {versions}",
        *(f"- {text}" for text in facts),
        f"- Bookings: {', '.join(f'{size:,}' for size in sizes)}; the whole run took {seconds:.0f} s",
        "",
        "## Method",
        "",
        METHOD.format(people=5).rstrip(),
        "",
        "## Results",
        "",
        table(rows),
        "",
        f"{len(rows) - len(lost)} of {len(rows)} rows keep what is asked of them or are asked nothing.",
        "",
        *(["## Notes", "", *notes(rows), ""]),
    ]
    PAGE.parent.mkdir(exist_ok=True)
    Path(PAGE).write_text("\n".join(lines), "utf-8")
