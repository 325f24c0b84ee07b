"""README and its companions say what is true: commands, settings, dependencies, links, named tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
)
DECISIONS = ROOT / "docs" / "decisions"
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)


def read(name):
    return (ROOT / name).read_text("utf-8")


def words_of(path):
    """The text without code, where brackets and hashes mean something else."""
    text = re.sub(r"^\s*```.*?^\s*```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path):
    """The addresses that GitHub gives the headings."""
    headings = re.findall(r"^#+ +(.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_documents():
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "SECURITY.md", "docs/running.md"} <= names


@pytest.mark.parametrize(
    "name", ["README.md", "docs/running.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md"]
)
def test_every_make_target_exists(name):
    pattern = r"(?:`|^)make (?:-C \S+ )?([a-z][\w-]*)"
    named = set(re.findall(pattern, read(name), re.MULTILINE))
    assert named - set(TARGET.findall(read("Makefile"))) == set()


def test_the_workflows_run_what_exists_with_pinned_actions():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text("utf-8")
        for targets in re.findall(r"run: make ([a-z -]+?)(?: PYTHON=\w+)?$", text, re.MULTILINE):
            assert set(targets.split()) <= set(TARGET.findall(read("Makefile"))), path.name
        for action in re.findall(r"uses: (.+)$", text, re.MULTILINE):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_the_plain_commands_are_those_of_the_makefile():
    """README spells out what make does, for machines without it."""
    recipe = read("Makefile").replace("$(BIN)", ".venv/bin").replace("$(VENV)", ".venv")
    recipe = recipe.replace("$(PYTHON)", "python3").replace('"$(HOST)"', "127.0.0.1")
    recipe = recipe.replace('"$(PORT)"', "8000").replace("@", "").replace("exec ", "")
    recipe = recipe.replace("--quiet --disable-pip-version-check ", "")
    done = {line.strip() for line in recipe.splitlines()}
    blocks = re.findall(r"```sh\n(.*?)```", read("README.md"), re.DOTALL)
    plain = [line for block in blocks for line in block.splitlines() if not line.startswith("make")]
    assert len(plain) == 6
    assert [line for line in plain if line not in done] == []


def test_every_management_command_exists():
    commands = {path.stem for path in ROOT.glob("*/management/commands/*.py")}
    commands |= {"check", "collectstatic", "createsuperuser"}
    commands |= {"makemigrations", "migrate", "runserver", "shell"}
    for path in DOCUMENTS:
        for command in re.findall(r"manage\.py ([a-z_]+)", path.read_text("utf-8")):
            assert command in commands, f"{path.name}: {command}"


def test_every_setting_is_documented():
    """The table of docs/running.md has each variable that the settings read, and no other."""
    read_ones = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', read("clinic/settings.py")))
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", read("docs/running.md"), re.MULTILINE))
    assert table == read_ones


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("requirements.in", "## On the site (requirements.in)"),
        ("requirements-dev.in", "## For tests and checks (requirements-dev.in)"),
    ],
)
def test_each_dependency_has_one_line_of_reason(file, title):
    part = (DECISIONS / "dependencies.md").read_text("utf-8").split(title + "\n")[1]
    lines = [line for line in part.split("\n## ")[0].splitlines() if line.strip()]
    reasons = [re.fullmatch(r"- \*\*([\w-]+)\*\*: (\S.{10,}\.)", line) for line in lines]
    assert all(reasons), [line for line, reason in zip(lines, reasons, strict=True) if not reason]
    wanted = re.findall(r"^([A-Za-z][\w-]*)(?:\[[\w,]+\])?==", read(file), re.MULTILINE)
    assert [reason[1] for reason in reasons] == wanted


def test_dependencies_lists_nothing_else():
    text = (DECISIONS / "dependencies.md").read_text("utf-8")
    pinned = [*read("requirements.in").splitlines(), *read("requirements-dev.in").splitlines()]
    assert len(re.findall(r"^- ", text, re.MULTILINE)) == sum("==" in line for line in pinned)


def catalogue_numbers(text):
    """The numbers of faults that a text names; "R-05 to R-14" names ten."""
    for letter, first, last in re.findall(r"\b([A-Z])-(\d\d)\b(?: to \1-(\d\d)\b)?", text):
        for number in range(int(first), int(last or first) + 1):
            yield f"{letter}-{number:02}"


def test_every_fault_that_is_named_stands_in_the_catalogue():
    """And each row of the catalogue has a test that names it."""
    catalogue = ROOT / "docs" / "fault-catalogue.md"
    rows = re.findall(r"^\| ([A-Z]-\d\d) \|", catalogue.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    named = {number for path in tests for number in catalogue_numbers(path.read_text("utf-8"))}
    code = [
        path for app in ("clinic", "conditions", "bookings") for path in (ROOT / app).rglob("*.py")
    ]
    others = {
        number
        for path in [*DOCUMENTS, *code]
        if path != catalogue
        for number in catalogue_numbers(path.read_text("utf-8"))
    }
    assert (named | others) - set(rows) == set()
    assert set(rows) - named == set()


def test_decisions_are_numbered_and_have_the_same_parts():
    files = sorted(DECISIONS.glob("[0-9]*.md"))
    for number, path in enumerate(files, start=1):
        text = path.read_text("utf-8")
        assert path.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        parts = re.findall(r"^\*\*(\w+)\.\*\* ", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Price"], path.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_inside_the_repository_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", words_of(path)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        file, _hash, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.is_relative_to(ROOT), target
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_every_test_named_exists():
    """SECURITY.md may promise only what a test backs."""
    texts = read("SECURITY.md") + read("docs/peers.md")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", texts)
    assert len(named) > 20
    for file, function in named:
        assert re.search(rf"^def {function}\(", read(file), re.MULTILINE), f"{file}::{function}"


def test_every_promise_names_a_test():
    table = read("SECURITY.md").split("| promise | tests |")[1].split("\n\n")[0]
    for row in table.splitlines()[2:]:
        assert "::test_" in row, row


def test_files_named_in_the_text_exist():
    pattern = r"`((?:clinic|conditions|bookings|tests|templates|docs)/[\w./-]*)`"
    for path in DOCUMENTS:
        for name in re.findall(pattern, path.read_text("utf-8")):
            assert (ROOT / name).exists(), f"{path.name}: {name}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_paths_of_one_machine(path):
    text = path.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|Users)/", text)
    assert str(ROOT) not in text


def test_pictures_are_small():
    pictures = list((ROOT / "docs" / "images").glob("*"))
    assert {picture.name for picture in pictures} == {"home.png", "desk.png", "architecture.svg"}
    for picture in pictures:
        assert picture.stat().st_size <= 250_000, picture.name
