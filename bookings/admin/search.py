"""Search in the list of bookings without reading a million rows.

A reference or an e-mail address is looked up in its index, whatever its age. Names and phone
numbers have no index that serves a search inside a word, so these are looked for among the newest
bookings, as many as the list can page through.
"""

import re
import unicodedata

from django.db.models import Q

from bookings.models import REFERENCE_ALPHABET, Booking
from clinic import mail_addresses
from clinic.admin.paginator import BoundedPaginator

HELP = (
    "A reference or its beginning (KX74-MPQR or kx74), a whole e-mail address; or, among the newest "
    f"{BoundedPaginator.LIMIT} bookings, part of a name or at least four digits of a phone number."
)
REFERENCE = re.compile(rf"[{REFERENCE_ALPHABET}]{{4,8}}")
LONGEST = 80  # characters
MOST = 500  # rows; whoever finds more narrows the search


def search(queryset, term):
    """Return the rows of ``queryset`` that match what was typed.

    Keys are looked up first, each kind through its own index: one condition with OR would make a
    database walk through all rows in the order of the list.
    """
    term = unicodedata.normalize("NFC", term).strip()[:LONGEST]
    if not term:
        return queryset
    if "@" in term:
        stored = mail_addresses.as_stored(term)
        return queryset.filter(email__in={term, stored, stored.lower()})
    keys = _keys(queryset, _by_reference(term))
    if not (keys and len(_reference(term)) == 8):
        keys += _keys(queryset, _among_newest(term))
    return queryset.filter(pk__in=keys)


def _keys(queryset, condition):
    if condition is None:
        return []
    found = queryset.filter(condition).order_by("-created_at", "-pk")
    return list(found.values_list("pk", flat=True)[:MOST])


def _reference(term):
    return re.sub(r"[\s-]", "", term).upper()


def _by_reference(term):
    """Return a range of references (LIKE would not use every database's index), or None."""
    reference = _reference(term)
    if not REFERENCE.fullmatch(reference):
        return None
    last = REFERENCE_ALPHABET[-1] * (8 - len(reference))
    return Q(reference__gte=reference, reference__lte=reference + last)


def _among_newest(term):
    newest = Booking.objects.order_by("-created_at", "-pk").values_list("created_at", flat=True)
    oldest_of_them = newest[BoundedPaginator.LIMIT - 1 : BoundedPaginator.LIMIT].first()
    matches = Q()
    for word in term.split():
        # Not every database folds the case of other letters than ASCII.
        spellings = [word] if word.isascii() else {word, word.lower(), word.upper(), word.title()}
        matches &= Q(*(("name__icontains", spelling) for spelling in spellings), _connector=Q.OR)
    digits = re.sub(r"\D", "", term)
    if len(digits) >= 4 and not re.search(r"[^\W\d_]", term):
        matches |= Q(phone__contains=digits)
    return matches & Q(created_at__gte=oldest_of_them) if oldest_of_them else matches
