"""Words about people and places promise no more than a medical page may."""

from itertools import chain

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from clinic import starter_clinic
from clinic.models import Clinic, Closure, Location, Practitioner
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import here, make_clinic, make_practitioner, make_user

pytestmark = pytest.mark.django_db

CLAIM = "She cures migraine."


@pytest.mark.parametrize(
    "row",
    [
        lambda: Practitioner(name="Dr. A", slug="a", bio=CLAIM),
        lambda: Practitioner(name="Dr. A", slug="a", role="The best neurologist"),
        lambda: Practitioner(name="Dr. A", slug="a", credentials="MD, proven results"),
        lambda: Closure(first_day="2027-01-04", last_day="2027-01-04", public_note=CLAIM),
        lambda: Location(access_note=CLAIM),
        lambda: Clinic(video_note="Guaranteed relief, by video."),
    ],
)
def test_a_claim_is_refused_beside_its_field(row):
    with pytest.raises(ValidationError) as refused:
        row().full_clean()
    assert "more than the evidence holds" in str(refused.value)


def test_a_bio_that_claims_too_much_is_not_saved(client):
    roles.apply_roles()
    make_clinic()
    doctor = make_practitioner(bio="She sees people with migraine.")
    manager = make_user(roles.MANAGER)
    manager.groups.add(manager.groups.model.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(manager)
    address = reverse("admin:clinic_practitioner_change", args=[doctor.pk])
    values = client.get(address).context["adminform"].form.initial
    form = {name: value for name, value in values.items() if value not in (None, False)}
    for formset in client.get(address).context["inline_admin_formsets"]:
        form |= {f"{formset.formset.prefix}-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    response = client.post(address, form | {"bio": CLAIM})
    assert "says more than the evidence holds: “cures”" in response.content.decode()
    doctor.refresh_from_db()
    assert doctor.bio == "She sees people with migraine."
    assert client.post(address, form | {"bio": "It is not a cure."}).status_code == 302


def test_the_starters_own_words_pass():
    starter_clinic.load()
    rows = Practitioner.objects.all(), Closure.objects.all(), Clinic.objects.all(), [here()]
    for row in chain.from_iterable(rows):
        row.clean()
