"""The manage link: see, move or cancel one booking, without an account.

Opening the link trades its secret for a short-lived cookie and a clean address. Nothing changes on
GET. Name, contact and concern stay hidden, and nothing can be changed, until a second fact is given:
it gives access, as making the booking does (bookings.manage_links), and "Sign out" ends it.
A request that waits for proof of its mailbox shows one button, and nothing else can be done with it.

One file: every page asks the same cookie first and leads back to the same page.
"""

import time
from contextlib import contextmanager
from typing import NamedTuple

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import manage_links, rate_limits, times
from bookings.availability import week
from bookings.availability.search import SlotSearch
from bookings.forms import CancelForm, LostLinkForm, SecondFactForm
from bookings.lifecycle import answers, contact, errors, offers, requests, transitions
from bookings.messaging import calendars, queue
from bookings.models import Booking, ManageLink
from clinic import mail_addresses
from clinic.models import Actor
from conditions import editions
from conditions.models import Page

from . import patient_answers

COOKIE = f"{settings.COOKIE_PREFIX}manage"
COOKIE_SALT = "bookings.views.booking.manage"
LINK = "link "  # no secret of a browser's access begins so
# Known addresses take longer, and nobody shall read that off the clock.
LOST_LINK_SECONDS = 0.1


class ManageAccess(NamedTuple):
    """What this browser holds: a live row or None; whether it may change the booking, or a second
    fact is still needed; whether it came out of the mailbox, or whoever asked typed the address.
    """

    link: ManageLink | None
    identified: bool = False
    mailed: bool = False


def remember(response, value):
    """Keep in this browser, for half an hour, the secret of its access, or which link it opened.

    The link itself is not kept, only its key: this cookie can do less than the mail.
    """
    response.set_signed_cookie(
        COOKIE,
        value,
        salt=COOKIE_SALT,
        max_age=manage_links.ACCESS,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def opened(request):
    """Return the access of this browser."""
    try:
        value = request.get_signed_cookie(COOKIE, salt=COOKIE_SALT, max_age=manage_links.ACCESS)
    except (KeyError, BadSignature):
        return ManageAccess(None)
    if value.startswith(LINK):
        link = ManageLink.objects.open().filter(pk=value.removeprefix(LINK), browser="").first()
        return ManageAccess(link, mailed=True) if link else ManageAccess(None)
    link = manage_links.access_of(value, request.session)
    return ManageAccess(link, identified=True, mailed=link.mailed) if link else ManageAccess(None)


def _opened(request):
    """Return the same, but none before a request's mailbox is verified, except by its link."""
    access = opened(request)
    unverified = access.link and access.link.booking.is_unverified and not access.mailed
    return ManageAccess(None) if unverified else access


def _unknown(request):
    """One answer for every link that does not open: wrong, old, changed, or of nobody."""
    return render(request, "bookings/link_unknown.html", status=404)


def too_many(request, error, back=""):
    """Say which limit is reached, what to do now, and the phone; ``back`` names the step before."""
    context = {"reason": error.reason, "back": back}
    return render(request, "bookings/too_many.html", context, status=429)


def _is_fact(booking, fact):
    digits = "".join(character for character in fact if character.isdigit())
    phone = booking.phone.as_e164 if booking.phone else ""
    by_phone = len(digits) >= 4 and phone.endswith(digits[-4:]) and "@" not in fact
    typed = mail_addresses.as_stored(fact).casefold()
    return by_phone or (bool(booking.email) and typed == booking.email.casefold())


def _concern(booking):
    """Its name as a doctor signed it: today, or else when the patient was asked its signs."""
    if booking.condition is None:
        return _("Not sure, or something else")
    asked = booking.asked_edition
    card = editions.live_card(booking.condition) or (
        asked and asked.kind == Page.Kind.CONDITION and asked.card
    )
    return card["title"] if card else _("As you told us")


def shown(booking):
    """Return what every page of a booking knows: where it is, and the zones of its times."""
    location = booking.location
    return {
        "booking": booking,
        "location": location,
        "clinic": location.clinic,
        "zone": times.known_zone(booking.time_zone, location.zone),
    }


def _manage_page(request, access, status=200, form=None, problem=""):
    booking = access.link.booking
    return render(
        request,
        "bookings/manage.html",
        {
            **shown(booking),
            "concern": _concern(booking) if access.identified else "",
            "identified": access.identified,
            "form": form or SecondFactForm(),
            "problem": problem,
            "may_change": transitions.MOVE_ONLINE.allows(
                booking, now=timezone.now(), by=Actor.PATIENT
            ),
            "may_remind": queue.may_remind(booking),
            "offers": list(booking.offers.open_offers().select_related("practitioner")),
            "deadline": booking.starts_at and booking.change_deadline,
            "answer_by": booking.answer_by,
        },
        status=status,
    )


@require_safe
def open_link(request, secret):
    """Trade the secret for a cookie and an address without it. Changes nothing."""
    network = rate_limits.network_of(request)
    try:
        rate_limits.require_no_guessing(network)
        link = manage_links.look_up(secret)
        if link is None:
            rate_limits.count_unknown_link(network)
            return _unknown(request)
    except rate_limits.TooMany as error:
        return too_many(request, error)
    return remember(redirect("bookings:manage"), f"{LINK}{link.pk}")


@require_http_methods(["GET", "HEAD", "POST"])
def manage(request):
    """Show time and place to whoever has the link, and the rest after the second fact."""
    access = _opened(request)
    link, identified, mailed = access
    if link is None:
        return _unknown(request)
    if link.booking.is_unverified or link.booking.has_lapsed():
        return _verify_page(request, access)
    if request.method != "POST":
        return _manage_page(request, access)
    form = SecondFactForm(request.POST)
    if form.is_valid() and not _wrong_fact(link, form):
        secret = manage_links.admit(link.booking, request.session, mailed=mailed)
        return remember(redirect("bookings:manage"), secret)
    return _manage_page(request, access, status=422, form=form)


def _wrong_fact(link, form):
    """Whether the fact is refused; adds the error to the form."""
    right = _is_fact(link.booking, form.cleaned_data["fact"])
    try:
        rate_limits.count_fact(link, right)
    except rate_limits.TooMany:
        form.add_error("fact", _("Too many tries. Please call us, or try again in an hour."))
    else:
        if not right:
            form.add_error("fact", _("That does not match this booking. Check it and try again."))
    return bool(form.errors)


def _verify_page(request, access):
    booking = access.link.booking
    context = {"may_verify": access.mailed and not booking.has_lapsed()}
    return render(request, "bookings/verify.html", shown(booking) | context)


@require_POST
def verify(request):
    """One press on the page that the mailed link opens: the request stands."""
    link, _proven, mailed = _opened(request)
    if link is None:
        return _unknown(request)
    if mailed:
        try:
            with rate_limits.verifying(link.booking):
                requests.verify_email(link.booking)
        except rate_limits.TooMany as error:
            return too_many(request, error)
        except errors.NotAllowed:
            pass  # too late: the page says so
    return redirect("bookings:manage")


def _identified_or_redirect(request):
    """Return the access of somebody who may change the booking, or (None, where to send them)."""
    access = _opened(request)
    if access.link is None:
        return None, _unknown(request)
    if not access.identified or access.link.booking.is_unverified:
        return None, redirect("bookings:manage")
    return access, None


@contextmanager
def _counted(access):
    """Limit what changes mail to an address from which nobody has opened a link yet.

    The change is made all the same, and answered alike.
    """
    booking = access.link.booking
    if access.mailed or not booking.email or not settings.ABUSE_LIMITS:
        yield
        return
    with rate_limits.mailing(booking.email) as may_mail:
        last = booking.messages.order_by("pk").last()
        yield
        if not may_mail:
            queue.withhold(booking, after=last.pk if last else 0)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request):
    """Cancel with one press, on a page of its own."""
    access, answer = _identified_or_redirect(request)
    if access is None:
        return answer
    link = access.link
    booking = link.booking
    form = CancelForm(request.POST or None)
    if request.method == "POST" and booking.status == Booking.Status.CANCELLED:
        return _cancelled(request, booking)
    if request.method == "POST" and form.is_valid():
        try:
            with _counted(access):
                booking = answers.cancel(
                    booking, by=Actor.PATIENT, reason=form.cleaned_data["reason"]
                )
        except errors.NotAllowed as error:
            return _manage_page(request, access, status=409, problem=error.message)
        return _cancelled(request, booking)
    may = transitions.CANCEL_ONLINE.allows(booking, now=timezone.now(), by=Actor.PATIENT)
    context = shown(booking) | {"form": form, "may_change": may}
    status = 422 if form.errors else 200
    return render(request, "bookings/cancel.html", context, status=status)


def _cancelled(request, booking):
    """Shown only after the row was read again and is cancelled."""
    booking.refresh_from_db(fields=["status", "cancelled_at"])
    return render(request, "bookings/cancelled.html", shown(booking))


@require_http_methods(["GET", "HEAD", "POST"])
def reschedule(request):
    """Choose another time; the old one stays until the new one is stored."""
    access, answer = _identified_or_redirect(request)
    if access is None:
        return answer
    link = access.link
    booking, now = link.booking, timezone.now()
    if not transitions.MOVE_ONLINE.allows(booking, now=now, by=Actor.PATIENT):
        return _manage_page(request, access, status=409)
    problem = ""
    if request.method == "POST":
        at = times.parse_start(request.POST.get("start"))
        try:
            if at is None:
                raise errors.SchedulingError(_("Choose a time"))
            with rate_limits.moving(booking), _counted(access):
                answers.reschedule(booking, start=at, by=Actor.PATIENT, link=link, now=now)
        except rate_limits.TooMany as error:
            return too_many(request, error)
        except errors.SchedulingError as error:
            problem = error.message
        else:
            return redirect("bookings:manage")
    return _times_page(request, booking, now, problem)


def _times_page(request, booking, now, problem):
    search = SlotSearch.for_booking(booking, moving=booking, now=now)
    zone = times.known_zone(request.GET.get("zone") or booking.time_zone, search.zone)
    context = shown(booking) | {"zone": zone, "problem": problem, "now": now}
    context["zones"] = week.zones_to_choose(search.zone, zone)
    context |= week.week_page(
        search, zone=zone, asked_day=request.GET.get("day"), default_at=booking.starts_at
    )
    return render(request, "bookings/reschedule.html", context, status=409 if problem else 200)


@require_POST
def choose(request):
    """Take one of the times that the clinic offers; the others are free at once."""
    access, answer = _identified_or_redirect(request)
    if access is None:
        return answer
    link = access.link
    held = {str(offered.uid): offered for offered in link.booking.offers.all()}
    try:
        if (wanted := request.POST.get("offer", "")) not in held:
            raise errors.SchedulingError(_("Choose one of the times"))
        offers.choose(link.booking, offered=held[wanted], link=link)
    except errors.SchedulingError as error:
        return _manage_page(request, access, status=409, problem=error.message)
    return redirect("bookings:manage")


@require_POST
def sign_out(request):
    """End this browser's visits and forget its answers; what the mailbox holds goes on working."""
    manage_links.leave(request.session)
    patient_answers.forget(request)
    response = render(request, "bookings/signed_out.html")
    response.delete_cookie(COOKIE, path="/", samesite="Lax")
    return response


@require_POST
def reminders(request):
    """Reminder mails of this visit, on or off; whoever came from the mailbox need not say more."""
    link = _opened(request).link
    if link is None:
        return _unknown(request)
    if not link.booking.is_unverified:
        wanted = request.POST.get("wanted") == "yes"
        queue.set_reminders(link.booking, wanted=wanted, by=Actor.PATIENT)
    return redirect("bookings:manage")


@require_safe
def calendar(request):
    """Give the calendar file of the opened booking; its words say nothing about health."""
    link = _opened(request).link
    if link is None or link.booking.starts_at is None:
        return _unknown(request)
    response = HttpResponse(
        calendars.booking_calendar(link.booking), content_type="text/calendar; charset=utf-8"
    )
    response.headers["Content-Disposition"] = 'attachment; filename="consultation.ics"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def lost_link(request):
    """Mails a new link to an address that has a booking; says the same when it has none."""
    form = LostLinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        began = time.monotonic()
        contact.mail_lost_links(form.cleaned_data["email"])
        time.sleep(max(0, began + LOST_LINK_SECONDS - time.monotonic()))
        return render(request, "bookings/lost_link_sent.html")
    return render(
        request,
        "bookings/lost_link.html",
        {"form": form},
        status=422 if form.errors else 200,
    )
