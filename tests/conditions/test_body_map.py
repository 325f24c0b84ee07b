"""Marks, labels and lines of the front page's figure."""

import pytest

from conditions.body_map import Place, places
from conditions.models import Edition
from tests.conditions.pages import make_page, put_live
from tests.factories import make_condition


def test_a_line_bends_toward_its_mark_or_runs_straight():
    assert Place({}, 180, 86, "left", 108).line == "M98 108h24L180 86"
    assert Place({}, 206, 70, "right", 44).line == "M260 44h-24L206 70"
    assert Place({}, 163, 40, "left", 40).line == "M98 40H163"


def test_a_label_on_the_left_stays_clear_of_its_mark():
    arm = Place({}, 102, 252, "left", 252)
    assert (arm.line, arm.look, arm.label_width) == ("M86 252H102", "left narrow", 86)
    assert Place({}, 102, 252, "right", 252).look == "right"
    assert Place({}, 163, 40, "left", 40).look == "left beside-head"


@pytest.mark.django_db
def test_places_are_sorted_top_down():
    for label_y in (372, 44, 108):
        condition = make_condition(map_x=180, map_y=100, map_side="right", map_label_y=label_y)
        put_live(make_page(condition=condition))
    put_live(make_page())  # has no place
    assert [place.label_y for place in places(Edition.objects.all())] == [44, 108, 372]
