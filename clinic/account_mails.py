"""Mails about staff accounts: written while the page is made, sent by the worker like all others.

A mail server that is down, slow or wrong thus breaks no page. Their text may hold a link that sets
a password, so it is stored encrypted, and is gone once the mail is sent or given up.
"""

import json
import uuid
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from .encryption import decrypt, encrypt
from .models import AccountMail, Clinic

PURPOSE = "account mail"
KEPT = timedelta(days=30)  # to see whether somebody's mail was sent


def queue(mail, kind, now=None):
    """Store a written mail to one person in the outbox; ``kind`` says what it is about."""
    now = now or timezone.now()
    [to] = mail.to
    html = [content for content, kind in getattr(mail, "alternatives", []) if kind == "text/html"]
    content = {"subject": mail.subject, "text": mail.body, "html": html[0] if html else ""}
    return AccountMail.objects.create(
        to=to,
        kind=kind,
        content=encrypt(json.dumps(content), PURPOSE),
        created_at=now,
        due_at=now,
        message_id=f"<{uuid.uuid4()}@{settings.SITE_HOST or 'localhost'}>",
    )


def compose(row):
    """Return the stored mail as it is sent."""
    content = json.loads(decrypt(row.content, PURPOSE))
    mail = EmailMultiAlternatives(
        subject=content["subject"],
        body=content["text"],
        from_email=Clinic.objects.current().sender,
        to=[row.to],
        headers={"Message-ID": row.message_id, "Auto-Submitted": "auto-generated"},
    )
    if content["html"]:
        mail.attach_alternative(content["html"], "text/html")
    return mail


def purge(now):
    """Delete the rows of mails that were sent or given up long ago."""
    AccountMail.objects.exclude(state=AccountMail.State.QUEUED).filter(
        created_at__lt=now - KEPT
    ).delete()
