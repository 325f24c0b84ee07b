"""Opening hours and closures of people: when somebody is open on a date."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, time

from django.db.models import Q

from clinic.hours import Periods, intersect, open_periods
from clinic.models import Closure, Location, OpeningHours, Weekday

ALWAYS = [OpeningHours(weekday=day, opens=time(), closes=time()) for day in Weekday]


class Rules:
    """Opening hours of a place, and the closures that touch some local dates, by practitioner key.

    Those of the whole clinic are under None. ``people`` are the keys whose own rules are read, None
    reads all. Two queries.
    """

    def __init__(
        self,
        location: Location,
        first_day: date,
        last_day: date,
        people: Iterable[int] | None = None,
    ) -> None:
        here = Q(location=location)
        if people is not None:
            here &= Q(practitioner=None) | Q(practitioner__in=people)
        self.zone = location.zone
        self.hours: dict[int | None, list[OpeningHours]] = defaultdict(list)
        self.closures: dict[int | None, list[Closure]] = defaultdict(list)
        for rule in OpeningHours.objects.filter(here).order_by():
            self.hours[rule.practitioner_id].append(rule)
        for closure in Closure.objects.touching(first_day, last_day).filter(here).order_by():
            self.closures[closure.practitioner_id].append(closure)
        self._clinic_open: dict[date, Periods] = {}

    def open_on(self, day: date, practitioner_pk: int) -> Periods:
        """Return when one practitioner gives consultations on one local date: UTC periods, merged.

        Who has no hours of their own has the clinic's; where there are none at all, nobody is open.
        """
        own, own_closures = self.hours.get(practitioner_pk), self.closures.get(practitioner_pk, ())
        if not own and not self.hours.get(None):
            return []
        if day not in self._clinic_open:
            self._clinic_open[day] = open_periods(
                day, self.hours.get(None) or ALWAYS, self.closures.get(None, ()), self.zone
            )
        if not own and not own_closures:
            return self._clinic_open[day]
        theirs = open_periods(day, own or ALWAYS, own_closures, self.zone)
        return intersect(self._clinic_open[day], theirs)
