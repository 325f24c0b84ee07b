"""R-01 to R-04 on real processes: one press, many requests, one booking that its owner sees."""

import pytest

from tests.faults.crowd import at_check, made_with, reference, same_browser, together


def rounds(gate, night):
    return pytest.mark.parametrize("rounds", [gate, pytest.param(night, marks=pytest.mark.night)])


@rounds(5, 100)
def test_pressed_twice_at_once(server, times, tally, rounds):
    """R-01: two tabs press with one key, and a third much later: one booking, shown to all."""
    for number, start in enumerate(times.many(rounds)):
        [visitor] = at_check(server, [start], [number])
        key, late = visitor.key, same_browser(visitor)
        tabs = [visitor, same_browser(visitor)]
        answers = together([tab.book for tab in tabs])
        assert [answer.location for answer in answers] == ["/book/done/"] * 2
        seen = {reference(tab.get("/book/done/")) for tab in tabs}
        assert late.book().location == "/book/done/"
        seen.add(reference(late.get("/book/done/")))
        assert len(seen) == 1
        assert None not in seen
        assert made_with(server, key) == (1, 1)
        tally.add(rounds=1, bookings=1)


@rounds(8, 100)
def test_gone_before_the_answer(server, times, tally, rounds):
    """R-03: the connection breaks after the press; pressing again shows one's own booking."""
    for number, start in enumerate(times.many(rounds)):
        [visitor] = at_check(server, [start], [number])
        key, again = visitor.key, same_browser(visitor)
        assert visitor.book(stay=False) is None
        answer = again.book()
        assert (answer.status, answer.location) == (302, "/book/done/"), answer.text[:300]
        assert reference(again.get("/book/done/"))
        assert made_with(server, key) == (1, 1)
        tally.add(rounds=1, own_booking_shown=1)


def test_other_answers_with_a_used_key(server, times):
    """R-02: a tab that was slower than the press saves its answers again, with another time."""
    first, second = times.many(2)
    [visitor] = at_check(server, [first], [1])
    key, session = visitor.key, visitor.cookies["session"]
    where = f"WHERE session_key = '{session}'"
    [[before]] = server.rows(f"SELECT session_data FROM django_session {where}")
    assert visitor.book().status == 302
    server.rows(f"UPDATE django_session SET session_data = '{before}' {where}")
    page = visitor.up_to_check_again(second)
    assert "Check your answers" in page.text
    assert visitor.key == key
    refused = visitor.book()
    assert refused.status == 409
    assert "already sent with other answers" in refused.text
    assert made_with(server, key) == (1, 1)
    assert visitor.key != key


def test_a_stale_tab_shows_its_own_booking(server, times):
    """R-04: "Book" in a tab from before never books what another tab is still preparing."""
    first, second = times.many(2)
    [visitor] = at_check(server, [first], [1])
    stale = same_browser(visitor)
    assert visitor.book().status == 302
    mine = reference(visitor.get("/book/done/"))
    at_check(server, [second], [2], [visitor])
    key = visitor.key
    stale.cookies = dict(visitor.cookies)
    assert stale.book().location == "/book/done/"
    assert reference(stale.get("/book/done/")) == mine
    assert made_with(server, key) == (0, 0)
    assert "Check your answers" in visitor.get("/book/check/").text, "the other tab goes on"
