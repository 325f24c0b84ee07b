"""Text that people type: what is refused, and how it is stored (Unicode NFC)."""

import re
import unicodedata

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Controls, lone surrogates, bidirectional overrides and isolates, line and paragraph separators.
_REFUSED = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\u2028\u2029]"
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u034f\u115f\u1160\u3164\uffa0\s]")
_MARKS_PER_LETTER = 4
_CANNOT_USE = _("There is a character in it that we cannot use. Please type it again by hand.")
_EXPANDING = {"\ufdfa", "\ufdfb"}  # one letter of these becomes 18 in a compatibility form


def clean_text(value, *, lines=False):
    """Return ``value`` in NFC with outer space removed.

    Raises ValidationError for control and direction characters, for line breaks unless ``lines``,
    for text that shows nothing, and for more marks on one letter than any language uses.
    """
    value = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not value:
        return ""
    if _REFUSED.search(value) or (not lines and re.search(r"[\n\t]", value)):
        raise ValidationError(_CANNOT_USE, code="characters")
    if not _INVISIBLE.sub("", value):
        raise ValidationError(_("Please use letters that can be seen."), code="invisible")
    marks = 0
    for character in value:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MARKS_PER_LETTER or character in _EXPANDING:
            raise ValidationError(_CANNOT_USE, code="characters")
    return value


class PlainTextField(forms.CharField):
    """A text field for people's own words; ``lines`` allows line breaks."""

    def __init__(self, *, lines=False, **kwargs):
        self.lines = lines
        super().__init__(**kwargs)

    def to_python(self, value):
        value = super().to_python(value)
        # Length first: nothing below needs to read 10,000 characters.
        if self.max_length is not None and len(value) > self.max_length:
            return value
        return clean_text(value, lines=self.lines)
