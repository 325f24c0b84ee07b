"""The Python files of the project, for the tests that read them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ["clinic", "conditions", "bookings"]  # each may use those before it


def sources(*, tests=False):
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path
    if tests:
        yield from sorted((ROOT / "tests").rglob("*.py"))


def name_of(path):
    return path.relative_to(ROOT).as_posix()
