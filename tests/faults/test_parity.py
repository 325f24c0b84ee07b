"""D-09: what is tested is tested on both databases; nothing is left out quietly."""

import ast

import pytest
from django.conf import settings

TESTS = settings.BASE_DIR / "tests"
# Each of these is about what only that database has; nothing else may be marked so.
ONE_DATABASE_ONLY = {
    "test_slot_race.py": {"test_a_stricter_isolation_level_refuses_to_start"},
    "test_db_restart.py": {"*"},
    "test_abuse.py": {"test_a_press_waits_longer_for_its_turn_than_for_a_row"},
    "test_db_down.py": {
        "test_database_stopped",
        "test_too_few_connections",
        "test_practitioner_locked_by_another_session",
        "test_database_locked_by_a_shell",
        "test_a_crowd_while_a_shell_holds_the_lock",
    },
    "test_disk_full.py": {"*"},
    # SQLite has no server that could be frozen; its lock that does not come is in test_db_down.py.
    "test_db_silent.py": {"*"},
}


def modules():
    return sorted(TESTS.rglob("test_*.py"))


def names_used(tree):
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name)
    }


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_nothing_is_skipped(path):
    """A part that cannot run is an error, never a skip."""
    names = names_used(ast.parse(path.read_text()))
    assert not names & {"skip", "skipif", "skipUnless", "skipIf", "importorskip", "xfail"}


def test_few_fault_tests_are_about_one_database():
    found = {}
    for path in sorted((TESTS / "faults").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                marks = set().union(*map(names_used, node.decorator_list), set())
                name = node.name
            elif isinstance(node, ast.Assign) and names_used(node) & {"pytestmark"}:
                marks, name = names_used(node), "*"
            else:
                continue
            if "only_on" in marks:
                found.setdefault(path.name, set()).add(name)
    assert found == ONE_DATABASE_ONLY
