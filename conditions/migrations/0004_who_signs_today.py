"""Nobody who signs today is locked out, and each page names who marked it as reviewed."""

from django.db import migrations

STARTER_SIGNATURE = "Starter content: fictitious reviewer"


def keep_who_signs(apps, schema_editor):
    Page = apps.get_model("conditions", "Page")
    Edition = apps.get_model("conditions", "Edition")
    SigningRight = apps.get_model("conditions", "SigningRight")
    for page in Page.objects.all():
        reviewer = _who_marked(apps, page)
        if reviewer != page.reviewer_id:
            Page.objects.filter(pk=page.pk).update(reviewer=reviewer)
            page.reviewer_id = reviewer
        signed = Edition.objects.filter(page=page).exclude(signed_by=None)
        for practitioner in {page.reviewer_id, *signed.values_list("signed_by", flat=True)} - {None}:
            SigningRight.objects.get_or_create(
                practitioner_id=practitioner, condition_id=page.condition_id
            )


def _who_marked(apps, page):
    """The key of who marked the page as reviewed last; editors could choose another name."""
    Edition = apps.get_model("conditions", "Edition")
    AuditEvent = apps.get_model("clinic", "AuditEvent")
    Practitioner = apps.get_model("clinic", "Practitioner")
    marked = AuditEvent.objects.filter(
        action="page.reviewed", object_type="conditions.page", object_key=str(page.pk)
    )
    last = marked.exclude(actor=None).order_by("-at", "-pk").first()
    if last:
        people = Practitioner.objects.filter(user=last.actor_id)
        return people.values_list("pk", flat=True).first() or page.reviewer_id
    starter = Edition.objects.filter(page=page, signed_as=STARTER_SIGNATURE).order_by("number")
    return starter.values_list("signed_by", flat=True).first() or page.reviewer_id


class Migration(migrations.Migration):

    dependencies = [("conditions", "0003_signing_rights")]

    operations = [migrations.RunPython(keep_who_signs, migrations.RunPython.noop, elidable=True)]
