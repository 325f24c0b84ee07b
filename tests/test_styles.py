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
SHEETS_OF = {
    "base.html": {"site", "content"},
    "base_short.html": {"site", "booking"},
    "allauth/layouts/base.html": {"site", "account"},
    "allauth/layouts/manage.html": {"site", "account"},
    "error.html": {"site"},
}
TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{[^{}%]*\}", re.DOTALL)
CLASS = re.compile(r"""class=("|')((?:\{%.*?%\}|\{\{.*?\}\}|(?!\1).)*)\1""", re.DOTALL)


def rules(text):
    """The selectors of a style sheet, without comments, strings and addresses."""
    text = re.sub(r'/\*.*?\*/|url\([^)]*\)|"[^"]*"', "", text, flags=re.DOTALL)
    return re.findall(r"([^{};]+)\{", text)


def classes(text):
    """The classes in a text; what a variable completes ends in an asterisk."""
    return {
        one
        for _, value in CLASS.findall(re.sub(r'"class":? "', 'class="', text))
        for one in TAG.sub(lambda tag: " " if tag[0][1] == "%" else "*", value).split()
        if one != "*"
    }


def written():
    """Patterns of the classes that templates, drawings and Python write, by their own text."""
    return {
        re.escape(one).replace(r"\*", ".+")
        for app in (*APPS, "templates")
        for path in (ROOT / app).rglob("*")
        if path.suffix in (".html", ".svg", ".py")
        for one in classes(path.read_text("utf-8"))
    }


def ruled(name):
    selectors = rules((ROOT / "clinic/static/clinic" / f"{name}.css").read_text("utf-8"))
    return set(re.findall(r"\.(-?[A-Za-z_][\w-]*)", " ".join(selectors)))


def family(path):
    """The base that a public template stands on; None for partials, mails and the admin."""
    parent = re.search(r'\{% extends "([^"]+)" %\}', path.read_text("utf-8"))
    if parent is None or parent[1] in SHEETS_OF:
        return parent and parent[1]
    above = ROOT / "templates" / parent[1]
    if above.exists() and above != path:
        return family(above)
    return "allauth/layouts/base.html" if parent[1].startswith(("account/", "mfa/")) else None


def with_partials(path):
    """The text of a template and of what it includes; a library's own parts are left out."""
    text = path.read_text("utf-8") if path.exists() else ""
    included = re.findall(r'\{% include "([^"]+)"', text)
    return text + "".join(with_partials(ROOT / "templates" / name) for name in included)


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


def test_a_page_loads_the_sheet_that_has_the_rules_of_its_classes():
    sheets = {name: ruled(name) for name in set().union(*SHEETS_OF.values())}
    anywhere, lost = set().union(*sheets.values()), []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        if base := family(path):
            loaded = set().union(*(sheets[name] for name in SHEETS_OF[base]))
            lost += [(path.name, one) for one in classes(with_partials(path)) & anywhere - loaded]
    assert lost == []


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
