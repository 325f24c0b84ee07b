"""Offering other times for a request: up to three, gathered over as many days as staff look at.

What is ticked travels in the form itself, as a start and whose it is: "2027-01-06T17:00:00Z one",
with nothing after the space for anybody who is free then.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib import messages
from django.shortcuts import redirect

from bookings import times
from bookings.availability import week
from bookings.availability.search import SlotSearch
from bookings.lifecycle import errors, offers, transitions
from clinic.models import Practitioner

from .actions import allowed_booking, booking_page

MOST_CARRIED = 12  # ticks that are carried on; more than MOST_OFFERS, so that too many are refused


@dataclass(frozen=True)
class Choice:
    """One ticked time; a practitioner of None means anybody who is free."""

    start: datetime
    practitioner: Practitioner | None
    gone: bool = False  # somebody else has it by now

    @property
    def value(self):
        slug = self.practitioner.slug if self.practitioner else ""
        return f"{times.value_of(self.start)} {slug}"


def offer(model_admin, request, pk):
    """Show free times and what is ticked; the last button offers it, the others keep it."""
    booking = allowed_booking(model_admin, request, pk)
    people = list(Practitioner.objects.bookable(booking.visit_type))
    asked = request.POST if request.method == "POST" else request.GET
    if request.method == "POST":
        chosen = _chosen(request.POST.getlist("times"), people)
    else:
        chosen = _offered_now(booking, people)
    if asked.get("step") == "offer" and request.method == "POST":
        try:
            pairs = [(choice.start, choice.practitioner) for choice in chosen]
            offers.offer(booking, times=pairs, by=request.user)
        except errors.SchedulingError as error:
            messages.error(request, f"{booking}: {error.message}")
            if isinstance(error, errors.SlotTaken):
                chosen = _marked(chosen, booking)
        else:
            messages.success(
                request,
                f"{booking}: offered and held. The patient chooses on the manage page.",
            )
            return redirect("admin:bookings_booking_change", booking.pk)
    return _page(model_admin, request, booking, asked, people, chosen)


def _chosen(texts, people):
    """Read what the form says is ticked, in order of time; nonsense is left out."""
    by_slug = {"": None} | {person.slug: person for person in people}
    found = set()
    for text in texts[:MOST_CARRIED]:
        start, _space, slug = text.partition(" ")
        start = times.parse_start(start)
        if start and slug in by_slug:
            found.add(Choice(start, by_slug[slug]))
    return sorted(found, key=lambda choice: choice.value)


def _offered_now(booking, people):
    """Return the times that are offered already: ticked, so that adding one keeps the others."""
    rows = booking.offers.open_offers().select_related("practitioner")
    return [Choice(row.starts_at, row.practitioner) for row in rows if row.practitioner in people]


def _marked(chosen, booking):
    """Return the choices, with those that were the reason for a refusal marked as gone."""
    search = SlotSearch.for_booking(booking)
    held = set(booking.offers.open_offers(search.now).values_list("starts_at", flat=True))

    def is_gone(choice):
        free = replace(search, practitioner=choice.practitioner).at(choice.start)
        return free is None and choice.start not in held

    return [Choice(choice.start, choice.practitioner, is_gone(choice)) for choice in chosen]


def _first_day(booking, chosen, search):
    """Choose an instant on the day to show first: the time asked for, one ticked, the next free."""
    coming = [
        at for at in (booking.starts_at, *(c.start for c in chosen)) if at and at > search.now
    ]
    if coming:
        return coming[0]
    slot = search.next()
    return slot.starts_at if slot else None


def _page(model_admin, request, booking, asked, people, chosen):
    who = next((person for person in people if person.slug == asked.get("who")), None)
    search = SlotSearch.for_booking(booking, practitioner=who)
    shown = week.week_page(
        search,
        zone=search.zone,
        asked_day=asked.get("day"),
        default_at=None if asked.get("day") else _first_day(booking, chosen, search),
    )
    listed = {time.starts_at for part in shown["parts"] for time in part.times}
    ticked = [c for c in chosen if c.practitioner == who and c.start in listed]
    return booking_page(
        model_admin,
        request,
        "offer",
        booking,
        title=f"Offer times: {booking}",
        people=people,
        who=who,
        can_offer="offer" in transitions.allowed(booking, search.now),
        waits=booking.is_waiting(search.now),
        most=offers.MOST_OFFERS,
        hold_hours=int(offers.OFFER_HOLD.total_seconds() // 3600),
        ticked=[choice.value for choice in ticked],
        elsewhere=[choice for choice in chosen if choice not in ticked],
        suffix=f" {who.slug if who else ''}",
        **shown,
    )
