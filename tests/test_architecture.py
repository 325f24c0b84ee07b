"""The directions of the house: who may import, point to and write what."""

import ast
import re

import pytest
from django.apps import apps
from django.db.models import PROTECT

from tests.sources import APPS, ROOT, name_of, sources

COMPOSITION_ROOTS = {
    "clinic/urls.py",
    "clinic/settings.py",
    "clinic/management/commands/load_starter.py",
}
FORBIDDEN_NAMES = {
    "services.py",
    "utils.py",
    "helpers.py",
    "constants.py",
    "signals.py",
    "managers.py",
}
VENDOR_WORDS = re.compile(r"postgresql|sqlite", re.IGNORECASE)
# checks.py asks at the start whether the database keeps the promises that the verbs rely on.
NAMES_A_VENDOR = {"clinic/settings.py", "clinic/constraints.py", "clinic/checks.py"}


def walk_without_types(tree):
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from walk_without_types(node)


def imports(tree, package):
    """What a module imports when it runs; what only its types name is no direction."""
    for node in walk_without_types(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module if not node.level else f"{package}.{node.module or ''}"


def test_imports_go_downwards():
    wrong = []
    for path in sources():
        if name_of(path) in COMPOSITION_ROOTS:
            continue
        app = path.relative_to(ROOT).parts[0]
        above = APPS[APPS.index(app) + 1 :]
        for module in imports(ast.parse(path.read_text()), app):
            if module.partition(".")[0] in above:
                wrong.append(f"{name_of(path)} imports {module}")
    assert wrong == []


# Who stands on whom inside bookings. A room may import those below it, never one of its own floor.
FLOORS = [
    {"models", "times", "forms"},
    {"availability", "rate_limits", "manage_links", "checks"},
    {"messaging"},
    {"lifecycle"},
    {"views", "desk", "invariants", "demo_week"},
    {"urls", "admin"},
]
MOST_ARROWS = 50


def arrows():
    """(room, room that it imports), for every two rooms of bookings."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources()}
    for path in sources():
        app, *rest = path.relative_to(ROOT).with_suffix("").parts
        if app != "bookings" or rest[0] in ("management", "templatetags", "apps", "__init__"):
            continue
        for node in walk_without_types(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom):
                continue
            base = [app, *rest][: -node.level] if node.level else []
            module = ".".join(filter(None, [*base, node.module]))
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                target = whole if whole in names or f"{whole}.__init__" in names else module
                where, _, room = target.partition(".")
                room = room.partition(".")[0]
                if where == "bookings" and room and room != rest[0]:
                    yield rest[0], room


def test_the_rooms_of_bookings_stand_on_each_other():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    found = set(arrows())
    assert sorted(pair for pair in found if floor[pair[0]] <= floor[pair[1]]) == []
    assert 30 < len(found) < MOST_ARROWS


def test_foreign_keys_go_downwards():
    wrong = []
    for model in apps.get_models():
        if model._meta.app_label not in APPS:
            continue
        above = APPS[APPS.index(model._meta.app_label) + 1 :]
        for field in model._meta.get_fields():
            concrete = field.is_relation and not field.auto_created
            if concrete and field.related_model._meta.app_label in above:
                wrong.append(f"{model.__name__}.{field.name}")
    assert wrong == []


def test_a_booking_outlives_whom_it_names():
    """B-08: nothing that a booking points to takes it along when it goes."""
    booking = apps.get_model("bookings", "Booking")
    assert all(
        field.remote_field.on_delete is PROTECT
        for field in booking._meta.fields
        if field.is_relation
    )


# (who writes it, what they may call): only verbs create messages and audit rows, only verbs set a
# status.
ONLY_IN = {
    r"audit\.record\(": {
        "bookings/lifecycle/",
        "bookings/messaging/", "bookings/desk/exports.py", "bookings/desk/personal_export.py",
        "conditions/publishing.py", "bookings/management/commands/revoke_links.py",
        "bookings/manage_links.py", "clinic/admin/audit.py", "clinic/admin/users.py",
        "clinic/staff/addresses.py", "clinic/staff/sessions.py",
        "clinic/staff/access.py", "clinic/staff/record.py", "clinic/starter_clinic.py", "clinic/operations/setup.py",
        "bookings/demo_week.py", "conditions/starter/release.py",
    },
    r"AuditEvent\.objects\.create\(": {"clinic/audit.py"},
    # What staff edit in the admin is recorded by one mixin, and by its form for medical content.
    r"def log_(addition|change)\(": {"clinic/admin/audit.py"},
    r"record_change\(": {
        "conditions/publishing.py", "conditions/admin/record.py", "conditions/starter/release.py",
    },
    r"\.status = ": {"bookings/lifecycle/"},
    r"mark_safe\(": {
        "clinic/templatetags/artwork.py", "conditions/templatetags/prose.py",
        "conditions/structured_data.py",
    },
    # Whoever needs the place or the clinic is given it, or has a booking's: doors alone look it up.
    r"\bLocation\.objects\.current\(": {
        "bookings/admin/", "bookings/management/", "bookings/views/", "bookings/demo_week.py",
        "clinic/admin/", "clinic/wsgi.py", "clinic/context_processors.py", "clinic/middleware.py",
        "clinic/operations/setup.py", "clinic/page_cache.py", "clinic/starter_clinic.py",
        "clinic/views.py",
    },
    r"\bClinic\.objects\.current\(": {
        "bookings/management/", "bookings/invariants.py", "clinic/admin/", "clinic/middleware.py",
        "clinic/operations/setup.py", "clinic/starter_clinic.py", "clinic/staff/adapters.py",
        "clinic/views.py",
        # These have nobody to ask: the lock of the seals, the sender of mails, the two-person rule.
        "clinic/audit.py", "clinic/account_mails.py", "clinic/models/location.py",
        "conditions/publishing.py",
    },
    r"fail_silently": set(),
    r"\bdate\.today\(|datetime\.now\(\)|utcnow\(": set(),
    r"\.raw\(|RawSQL|\.extra\(": set(),
    r"engines?\b.*from_string\(|[^.\w]Template\(": set(),
    r"import (requests|httpx|urllib3|aiohttp)\b|urllib\.request": set(),
}  # fmt: skip


@pytest.mark.parametrize("pattern", ONLY_IN)
def test_some_things_are_written_in_one_place(pattern):
    found = {name_of(path) for path in sources() if re.search(pattern, path.read_text())}
    allowed = tuple(ONLY_IN[pattern])
    # A name that ends with a slash is a room and all that is in it.
    rooms = tuple(name for name in allowed if name.endswith("/"))
    assert {name for name in found if not name.startswith(rooms)} <= set(allowed)


def test_no_module_is_a_drawer():
    assert [name_of(path) for path in sources() if path.name in FORBIDDEN_NAMES] == []


def test_only_settings_and_constraints_know_the_database():
    found = set()
    for path in sources():
        tree = ast.parse(path.read_text())
        strings = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant))
        docs = {ast.get_docstring(n, clean=False) for n in ast.walk(tree)
                if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)}  # fmt: skip
        if any(isinstance(s, str) and s not in docs and VENDOR_WORDS.search(s) for s in strings):
            found.add(name_of(path))
    assert found - NAMES_A_VENDOR == set()


def test_views_are_functions():
    found = []
    for path in sources():
        for node in walk_without_types(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                getattr(base, "id", getattr(base, "attr", "")).endswith("View")
                for base in node.bases
            ):
                found.append(f"{name_of(path)}: {node.name}")
    assert found == []


def test_templates_are_at_most_120_columns_wide():
    """A mail's text is as wide as its reader shows it, so only HTML is measured."""
    wide = [
        f"{name_of(path)}:{number}: {len(line)}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    assert wide == []


def test_templates_have_no_inline_script_or_style():
    """The content security policy would block them; this says where they are."""
    wrong = []
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        if "/messages/" in path.as_posix():
            continue
        if re.search(r"\sstyle=|<style|\son[a-z]+=", text):
            wrong.append(name_of(path))
        for tag in re.findall(r"<script[^>]*>", text):
            if (
                "src=" not in tag
                and "application/ld+json" not in tag
                and 'type="application/json' not in tag
            ):
                wrong.append(name_of(path))
    assert wrong == []


def test_no_page_names_another_host():
    """H-08: what a template loads comes from this site."""
    wrong = []
    for path in (ROOT / "templates").rglob("*.html"):
        for url in re.findall(
            r"<(?:link|script|img|iframe|source)[^>]+(?:href|src)=\"([^\"]+)", path.read_text()
        ):
            if url.startswith(("http:", "https:", "//")):
                wrong.append(f"{name_of(path)}: {url}")
    assert wrong == []


def test_tests_share_factories_and_conftest_and_never_each_other():
    shared = re.compile(r"^(from|import) tests\.(\w+\.)*test_|^from tests[.\w]* import test_", re.M)
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert [name_of(path) for path in files if shared.search(path.read_text())] == []


MOST_LINES = 300


def test_a_long_file_says_why_it_is_one():
    long = [path for path in sources() if path.read_text().count("\n") > MOST_LINES]
    says = {path: ast.get_docstring(ast.parse(path.read_text())) or "" for path in long}
    assert [name_of(path) for path, words in says.items() if "One file" not in words] == []
