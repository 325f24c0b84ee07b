"""U-02: the lists of the desk stay in order, whatever somebody is called."""

from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.staging import NAMES

# Of each row that names somebody: how tall it is, how many lines its name takes, and whether the
# name leaves its place or covers what is beside it. ``words`` is what clips the name.
ROWS = """([rows, cell, words]) => [...document.querySelectorAll(rows)]
  .filter(row => row.querySelector('bdi')?.closest(words)).map(row => {
    const text = row.querySelector('bdi'), name = text.closest(words), box = e => e.getBoundingClientRect();
    const [n, c, r] = [name, name.closest(cell), row].map(box);
    const tall = e => { const s = getComputedStyle(e); return e.getBoundingClientRect().height
      - parseFloat(s.paddingTop) - parseFloat(s.paddingBottom) - parseFloat(s.borderTopWidth); };
    const within = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1
      && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
    const over = b => b.width && b.height && n.left < b.right - 1 && b.left < n.right - 1
      && n.top < b.bottom - 1 && b.top < n.bottom - 1;
    const beside = [...row.querySelectorAll('td, th, a, button, small, .age, .nowrap, time, svg')]
      .filter(e => !e.contains(name) && !name.contains(e) && !e.closest('.visually-hidden'));
    const style = getComputedStyle(name), line = parseFloat(style.lineHeight);
    return {name: text.textContent, height: tall(row), line, lines: n.height / line,
      clipped: style.overflowX === 'hidden', within: within(n, c) && within(c, r),
      covers: beside.filter(e => over(box(e))).map(e => e.outerHTML.slice(0, 60))};
  })"""

LISTS = {  # a row, the place of the name in it, what clips the name, how many lines it may take
    "list": ("#result_list tbody tr", "td", "bdi", 2),
    "board": (".schedule li.slot", ".appointment", "b", 1),
    "waiting": ("section[aria-labelledby=waiting] .requests li", ".requests li > div", "b", 2),
    "unreachable": (
        "section[aria-labelledby=unreachable] .requests li",
        ".requests li > div",
        "b",
        2,
    ),
}


def check(page, which):
    """Every row is at most one line taller than that of an ordinary name; returns the names."""
    *selectors, most = LISTS[which]
    rows = [row for row in page.evaluate(ROWS, selectors) if row["name"] in NAMES.values()]
    ordinary = min(row["height"] for row in rows if row["name"] == NAMES["ordinary"])
    for row in rows:
        assert row["clipped"], (which, row)
        assert row["lines"] <= most + 0.1, (which, row)
        assert row["height"] <= ordinary + row["line"] * (most - 1) + 1, (which, row)
        assert row["within"], (which, row)
        assert row["covers"] == [], (which, row)
    return {row["name"] for row in rows}


def test_the_lists_of_the_desk_bear_every_name(visit, stage):
    day = stage("named()")
    on_the_board = set(list(NAMES.values())[:8])
    for size in (DESKTOP, PHONE):
        watched = visit(size, user="frontdesk")
        watched.open(f"/admin/bookings/booking/desk/?day={day}")
        watched.fits()
        assert check(watched.page, "board") == set(NAMES.values())
        assert check(watched.page, "waiting") == on_the_board
        assert check(watched.page, "unreachable") == on_the_board
        watched.open("/admin/bookings/booking/")
        watched.fits()
        assert check(watched.page, "list") == set(NAMES.values())
    # What a list cuts short is whole on the booking's own page.
    watched.page.locator("tr", has_text=NAMES["wide"][:20]).first.locator("th a").click()
    expect(watched.page.get_by_label("Name", exact=False).first).to_have_value(NAMES["wide"])
    watched.fits()
