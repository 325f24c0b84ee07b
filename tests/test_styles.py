"""Our style sheets: no rule without a reader, indented as they nest, at most 120 columns wide."""

import re

from tests.sources import ROOT

APPS = "clinic", "conditions", "bookings"
SHEETS = sorted(path for app in APPS for path in (ROOT / app / "static").rglob("*.css"))
FROM_LIBRARIES = {
    # django-crispy-forms with crispy-bootstrap5
    "alert", "form-check", "form-check-input", "form-check-label", "mb-3",
    # Django's admin
    "button", "change-list", "closelink", "current-app", "dashboard", "deletelink", "errorlist",
    "fieldset-heading", "help", "inline-group", "inline-heading", "messagelist", "mini", "module",
    "object-tools", "paginator", "section", "small", "submit-row", "this-page", "vTextField",
    # the editor of prose
    "ProseMirror", "ProseMirror-focused", "ProseMirror-gapcursor", "ProseMirror-hideselection",
}  # fmt: skip
COMPUTED = (
    r"(added|removed|same)",  # the marks of conditions.comparison
    r"field-\w+",  # a column of one of our lists in the admin
    r"left|right|narrow|beside-head",  # the look of a place in conditions.body_map
    r"art|icon|mark|signal",  # the drawings of clinic.templatetags.artwork
    r"desk-page",  # the block "bodyclass" of Django's admin
)
TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{[^{}%]*\}", re.DOTALL)
CLASS = re.compile(r"""class=("|')((?:\{%.*?%\}|\{\{.*?\}\}|(?!\1).)*)\1""", re.DOTALL)


def rules(text):
    """The selectors of a style sheet, without comments, strings and addresses."""
    text = re.sub(r'/\*.*?\*/|url\([^)]*\)|"[^"]*"', "", text, flags=re.DOTALL)
    return re.findall(r"([^{};]+)\{", text)


def written():
    """Patterns of the classes that templates, drawings and Python write, by their own text."""
    found = set()
    for app in (*APPS, "templates"):
        for path in (ROOT / app).rglob("*"):
            if path.suffix in (".html", ".svg", ".py"):
                text = path.read_text("utf-8")
                text = re.sub(r'"class":? "', 'class="', text)
                for _, value in CLASS.findall(text):
                    values = TAG.sub(lambda tag: " " if tag[0][1] == "%" else "*", value).split()
                    found |= {re.escape(one).replace(r"\*", ".+") for one in values if one != "*"}
    return found


def test_every_class_with_a_rule_is_written_somewhere():
    patterns = re.compile("|".join([*written(), *COMPUTED]))
    dead = [
        f"{path.name}: .{name}"
        for path in SHEETS
        for selector in rules(path.read_text("utf-8"))
        for name in re.findall(r"\.(-?[A-Za-z_][\w-]*)", selector)
        if name not in FROM_LIBRARIES and not patterns.fullmatch(name)
    ]
    assert dead == []


def test_style_sheets_are_indented_and_at_most_120_columns_wide():
    wrong = []
    for path in SHEETS:
        depth, before, goes_on = 0, "", False
        lines = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL).splitlines()
        for number, line in enumerate(lines, 1):
            bare = line.strip()
            closes = bare.startswith(("}", ")"))
            goes_on = before.endswith(",") and (goes_on or ":" in before)  # a value over lines
            indent = len(line) - len(line.lstrip())
            if len(line) > 120 or (bare and not goes_on and indent != 2 * (depth - closes)):
                wrong.append(f"{path.name}:{number}: {bare}")
            depth += sum(map(bare.count, "{(")) - sum(map(bare.count, "})"))
            before = bare
    assert wrong == []
