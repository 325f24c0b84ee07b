"""What people type, and in which words it is refused."""

import pytest
from django.core.exceptions import ValidationError

from clinic.models import VisitType
from clinic.plain_text import clean_text


@pytest.mark.parametrize("typed", ["a\x00b", "a\nb", "\u200b", "a" + "\u0301" * 6, "\ufdfa"])
def test_refusals_can_be_translated(pseudo_language, typed):
    with pytest.raises(ValidationError) as refused:
        clean_text(typed)
    assert refused.value.messages[0].startswith("«")


def test_ways_to_meet_can_be_translated(pseudo_language):
    assert all(str(label).startswith("«") for label in VisitType.labels)
