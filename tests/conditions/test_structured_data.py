"""No text can leave the JSON block, whatever somebody types."""

import json

import pytest

from conditions.structured_data import as_script

HOSTILE = "</script><script>alert(1)</script><!--\u2028\u2029 & \" ' \\"


def test_no_text_closes_the_script_element():
    script = as_script({"name": HOSTILE})
    inside = script.removeprefix('<script type="application/ld+json">').removesuffix("</script>")
    assert not [c for c in "<>&\u2028\u2029" if c in inside]
    assert json.loads(inside) == {"name": HOSTILE}


@pytest.mark.parametrize("text", ["Sofía", "ağrı", "日本"])
def test_other_letters_stay_readable(text):
    assert text in as_script({"name": text})
