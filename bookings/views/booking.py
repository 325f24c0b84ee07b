"""The steps of booking, and the pages that show free times. Each works without JavaScript.

One file: each step is a few lines, and all lead to the next and back.
"""

import uuid
from contextlib import suppress

from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bookings import manage_links, rate_limits, times
from bookings.availability import week
from bookings.availability.search import SlotSearch
from bookings.forms import CONSENT_VERSION, OTHER, CallbackForm, ConcernForm, RedFlagsForm
from bookings.lifecycle import errors, requests
from bookings.messaging import queue
from bookings.models import Booking, hashed_key
from clinic import languages
from clinic.models import WAYS, Location, Practitioner, VisitType
from conditions import editions
from conditions.models import Condition

from . import manage, patient_answers, steps

# --- the steps ------------------------------------------------------------------------------------


def _condition(answers):
    if answers.condition in ("", OTHER):
        return None
    return Condition.objects.filter(slug=answers.condition).first()


def _instead(request, answers, step=None):
    """Answer with what comes before this step, or why nothing can be booked; None lets it be shown.

    Signs that were answered are asked again when others have been signed meanwhile.
    """
    condition = _condition(answers)
    if answers.condition and condition is None and answers.condition != OTHER:
        return redirect("bookings:start")
    if answers.condition and (why := editions.why_not_bookable(condition)):
        return _closed(request, answers, why)
    if answers.red_flags_read and not editions.still_ask(
        editions.asked_in(answers.asked), condition
    ):
        answers.red_flags_read = ""
    if step and step.may_open(answers):
        return None
    return _to_next(answers)


def _to_next(answers):
    return redirect(steps.next_step(answers).address)


def _closed(request, answers, why, status=409):
    return _page(
        request, steps.START, answers, template="bookings/closed.html", status=status, why=why
    )


def _zone(answers, location):
    return times.known_zone(answers.zone, location.zone)


def _page(request, step, answers, *, template="", status=200, **context):
    """Render a step with what its side panel says: the consultation so far.

    Refused input (a bound form with errors) is answered with 422.
    """
    location = context.get("location") or Location.objects.current()
    condition = context.setdefault("condition", _condition(answers))
    zone = context.setdefault("zone", _zone(answers, location))
    context |= {
        "step": step,
        "progress": steps.progress(step),
        "answers": answers,
        "concern": _name(condition)
        if condition
        else (answers.condition and _("Something else, or not sure")),
        "how": VisitType(answers.visit_type).label if answers.visit_type else "",
        "when": times.when(answers.starts_at, zone, "l j F") if answers.start else "",
        "minutes": location.clinic.minutes_for(condition),
        "location": location,
        "clinic": location.clinic,
    }
    refused = "form" in context and context["form"].errors
    return render(request, template or step.template, context, status=422 if refused else status)


def _name(condition):
    """As a doctor signed it, never as the record says now."""
    card = editions.live_card(condition)
    return card["title"] if card else ""


def _visit_types():
    offered = {kind for person in Practitioner.objects.bookable() for kind in person.visit_types}
    return [kind for kind in VisitType.values if kind in offered]


@require_http_methods(["GET", "HEAD", "POST"])
def start(request):
    """Ask for the concern and how to talk. ``?condition=<slug>`` chooses the concern."""
    answers = patient_answers.load(request)
    concerns = editions.bookable()
    asked_for = editions.condition_at(request.GET.get("condition", ""))
    why = editions.why_not_bookable(asked_for) if asked_for else ""
    chosen = asked_for.slug if asked_for and not why else answers.condition
    form = ConcernForm(
        request.POST or None,
        concerns=concerns,
        or_other=not editions.why_not_bookable(None),
        visit_types=_visit_types(),
        initial={"condition": chosen, "visit_type": answers.visit_type},
    )
    if request.method == "POST" and form.is_valid():
        if answers.visit_type != form.cleaned_data["visit_type"] or (
            answers.condition != form.cleaned_data["condition"]
        ):
            answers.start = answers.practitioner = ""
        answers.condition = form.cleaned_data["condition"]
        answers.visit_type = form.cleaned_data["visit_type"]
        answers.began = answers.began or timezone.now().timestamp()
        patient_answers.save(request, answers)
        return redirect(steps.RED_FLAGS.address)  # also when they were answered before
    if not form.fields["condition"].choices:
        # Who only opens the page asked for nothing that was refused.
        status = 409 if request.method == "POST" else 200
        return _closed(request, patient_answers.Answers(), editions.NOTHING, status)
    tiles = {c.slug: c for c in concerns}
    return _page(request, steps.START, answers, form=form, tiles=tiles, why=why, ways=WAYS)


@require_http_methods(["GET", "HEAD", "POST"])
def red_flags(request):
    """Nobody in an emergency is sent to a calendar."""
    answers = patient_answers.load(request)
    answers.red_flags_read = ""  # they can be read and answered again
    if instead := _instead(request, answers, steps.RED_FLAGS):
        return instead
    asked = editions.emergency_signs(_condition(answers))
    form = RedFlagsForm(request.POST or None, asked=asked)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["signs"] == "yes":
            patient_answers.forget(request)
            return redirect("bookings:urgent")
        answers.red_flags_read, answers.asked = answers.condition, asked.edition.pk
        patient_answers.save(request, answers)
        return _to_next(answers)
    return _page(request, steps.RED_FLAGS, answers, form=form, asked=asked)


@require_safe
def urgent(request):
    """Who to call. No form, no times, nothing stored."""
    return render(request, "bookings/urgent.html")


def _chosen_practitioner(request, answers):
    slug = request.GET.get("with", answers.practitioner)
    return (
        Practitioner.objects.bookable(answers.visit_type).filter(slug=slug).first()
        if slug
        else None
    )


@require_http_methods(["GET", "HEAD", "POST"])
def time(request):
    """Offer real free times, in the clinic's zone or the visitor's."""
    answers = patient_answers.load(request)
    if instead := _instead(request, answers, steps.TIME):
        return instead
    if request.method == "POST":
        return _take_time(request, answers)
    return _show_times(request, answers)


def _take_time(request, answers):
    at = times.parse_start(request.POST.get("start"))
    if at is None:
        return _show_times(request, answers, error=_("Choose a time"), status=422)
    location = Location.objects.current()
    condition = _condition(answers)
    who = Practitioner.objects.bookable(answers.visit_type).filter(
        slug=request.POST.get("practitioner", "")
    ).first()  # fmt: skip
    search = SlotSearch(
        location=location, condition=condition, visit_type=answers.visit_type, practitioner=who
    )
    if search.at(at) is None:
        return _gone(request, answers, at, condition, location)
    answers.start = times.value_of(at)
    answers.practitioner = who.slug if who else ""
    patient_answers.save(request, answers)
    return _to_next(answers)


def _gone(request, answers, at, condition, location):
    """Say that the time has gone and offer the nearest three; everything typed is kept."""
    search = SlotSearch(location=location, condition=condition, visit_type=answers.visit_type)
    answers.start = ""
    patient_answers.save(request, answers)
    zone = _zone(answers, location)
    return _page(
        request, steps.TIME, answers, template="bookings/gone.html", status=409,
        location=location, condition=condition, gone_at=at,
        nearest=times.by_instant(search.nearest(at), zone, location.zone),
    )  # fmt: skip


def _show_times(request, answers, error="", status=200):
    location, now = Location.objects.current(), timezone.now()
    if "zone" in request.GET:
        answers.zone = request.GET["zone"] if times.known_zone(request.GET["zone"], None) else ""
        patient_answers.save(request, answers)
    zone, condition = _zone(answers, location), _condition(answers)
    who = _chosen_practitioner(request, answers)
    search = SlotSearch(
        location=location,
        condition=condition,
        visit_type=answers.visit_type,
        practitioner=who,
        now=now,
    )
    earliest = search.next()
    shown = week.week_page(
        search, zone=zone, asked_day=request.GET.get("day"),
        default_at=answers.starts_at or (earliest and earliest.starts_at),
    )  # fmt: skip
    return _page(
        request, steps.TIME, answers, status=status, condition=condition, zone=zone,
        location=location, error=error, earliest=earliest, practitioner=who,
        earliest_value=earliest and times.value_of(earliest.starts_at),
        earliest_label=earliest and times.near_day(earliest.starts_at, zone, now),
        zones=week.zones_to_choose(location.zone, zone), now=now,
        practitioners=Practitioner.objects.who_see(condition, answers.visit_type),
        **shown,
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request, step):
    """Show a step that is one form, such as who is coming. Nothing is asked twice."""
    answers = patient_answers.load(request)
    if instead := _instead(request, answers, step):
        return instead
    location = Location.objects.current()
    form = step.form(request.POST or None, answers, location.clinic)
    if request.method == "POST" and form.is_valid():
        answers.said[step.name] = _storable(form.cleaned_data)
        patient_answers.save(request, answers)
        return _to_next(answers)
    return _page(request, step, answers, location=location, form=form)


def _storable(cleaned):
    return {
        name: value if isinstance(value, bool) else str(value) for name, value in cleaned.items()
    }


@require_http_methods(["GET", "HEAD", "POST"])
def check(request):
    """Everything once more, then one press that books."""
    answers = patient_answers.load(request)
    if made := _made_before(request, answers.key if answers.details else ""):
        return _finish(request, made, manage_links.admit_who_made(made, request.session))
    if instead := _instead(request, answers, steps.CHECK):
        return instead
    if request.method == "POST":
        return _book(request, answers)
    return _page(request, steps.CHECK, answers, practitioner=_picked(answers))


def _made_before(request, unsent):
    """Return what the pressed button has made before in this very browser, else None.

    ``unsent`` is the key of answers that are still here: these are looked at as if for the first
    time. In any other browser a key is nobody's.
    """
    with suppress(ValueError):
        key = uuid.UUID(request.POST.get("key", ""))
        made = Booking.objects.made_with(key).first() if str(key) != unsent else None
        return made if made and manage_links.had_access(made, request.session) else None
    return None


def _picked(answers):
    return Practitioner.objects.filter(slug=answers.practitioner).first()


def _finish(request, booking, secret):
    """Drop the answers and show the confirmation; ``secret`` is None where the access has ended."""
    if hashed_key(uuid.UUID(patient_answers.load(request).key)) == booking.idempotency_key:
        patient_answers.forget(request)  # else they belong to another booking, in another tab
    if secret is None:
        return redirect("bookings:lost_link")
    return manage.remember(redirect("bookings:done"), secret)


def _book(request, answers):
    location = Location.objects.current()
    condition = _condition(answers)
    try:
        with _admitted(request, answers, answers.details) as admission:
            booking = requests.request(
                _person(answers, answers.details),
                _wanted(answers, location, start=answers.starts_at, practitioner=_picked(answers)),
                verify_within=admission.verify_within,
            )
            if not admission.may_mail:
                queue.withhold(booking)
            secret = manage_links.admit_who_made(booking, request.session)
    except rate_limits.TooMany as error:
        return manage.too_many(request, error, back="bookings:check")
    except errors.NotAllowed:
        return _instead(request, answers)
    except errors.SlotTaken:
        return _gone(request, answers, answers.starts_at, condition, location)
    except errors.KeyReused as error:
        answers.key = patient_answers.Answers().key
        patient_answers.save(request, answers)
        return _page(
            request, steps.CHECK, answers, practitioner=_picked(answers),
            problem=error.message, status=409,
        )  # fmt: skip
    return _finish(request, booking, secret)


def _admitted(request, answers, person, **options):
    """Put the limits around one request.

    It looks scripted when it is faster than people or fills the field that they do not see.
    """
    seconds = timezone.now().timestamp() - answers.began if answers.began else None
    hurried = seconds is not None and seconds < rate_limits.HUMAN_SECONDS
    return rate_limits.admitted(
        network=rate_limits.network_of(request),
        email=person["email"],
        key=uuid.UUID(answers.key),
        scripted=hurried or person.get("website", False),
        **options,
    )


def _person(answers, said):
    return requests.Person.of(said, language=languages.active(), time_zone=answers.zone)


def _wanted(answers, location, **time):
    return requests.Request(
        location=location,
        condition=_condition(answers),
        visit_type=answers.visit_type,
        asked=editions.asked_in(answers.asked),
        consent_version=CONSENT_VERSION,
        key=uuid.UUID(answers.key),
        **time,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def call(request):
    """Ask us to call: no time needed."""
    answers = patient_answers.load(request)
    if made := _made_before(request, answers.key if answers.call else ""):
        return _finish(request, made, manage_links.admit_who_made(made, request.session))
    if instead := _instead(request, answers, steps.TIME):
        return instead
    location = Location.objects.current()
    form = CallbackForm(
        request.POST or None,
        initial=answers.call or answers.details or None,
        languages=location.clinic.spoken_languages,
    )
    if request.method == "POST" and form.is_valid():
        answers.said["call"] = _storable(form.cleaned_data)
        patient_answers.save(request, answers)
        try:
            return _finish(request, *_ask_for_call(request, answers, location))
        except rate_limits.TooMany as error:
            return manage.too_many(request, error, back="bookings:call")
        except errors.NotAllowed:
            return _instead(request, answers)
        except errors.KeyReused as error:
            answers.key = patient_answers.Answers().key
            patient_answers.save(request, answers)
            form.add_error(None, error.message)
    return _page(
        request, steps.DETAILS, answers, template="bookings/call.html", location=location, form=form
    )


def _ask_for_call(request, answers, location):
    with _admitted(request, answers, answers.call, holds_time=False) as admission:
        booking = requests.request_callback(
            _person(answers, answers.call), _wanted(answers, location)
        )
        if not admission.may_mail:
            queue.withhold(booking)
        return booking, manage_links.admit_who_made(booking, request.session)


@require_safe
def done(request):
    """Confirm what the database holds, read again: what is not stored is never confirmed."""
    access = manage.opened(request)
    if not access.identified:
        return redirect("bookings:lost_link")
    booking = access.link.booking
    context = manage.shown(booking) | {"answer_by": booking.answer_by}
    if booking.has_lapsed():
        return render(request, "bookings/verify.html", context)
    if booking.is_unverified:  # whoever asked may manage it once the mailbox is verified
        return render(request, "bookings/unverified.html", context)
    return render(request, "bookings/done.html", context)
