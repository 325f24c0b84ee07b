"""schema.org data of a page, for search engines: only what is visible on the page."""

import json

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from .snapshot import plain_text

# "</script" ends the element, whatever its type; U+2028 and U+2029 end a line in old parsers.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page_data(document, checked, *, path, clinic):
    """Return the page and who checked it as a JSON-LD script element: data, never run."""
    url = f"{settings.SITE_URL}{path}"
    graph = [_web_page(document, checked, url, clinic)]
    if document["faqs"]:
        graph.append(_questions(document, url))
    return as_script({"@context": "https://schema.org", "@graph": graph})


def as_script(data):
    """Return ``data`` as a JSON script element that no text can close."""
    text = json.dumps(data, ensure_ascii=False).translate(_ESCAPES)
    return format_html('<script type="application/ld+json">{}</script>', mark_safe(text))


def _web_page(document, checked, url, clinic):
    page = {
        "@type": "MedicalWebPage",
        "@id": f"{url}#page",
        "url": url,
        "name": document["title"],
        "description": document["description"],
        "inLanguage": document["language"],
        "audience": {"@type": "PeopleAudience", "audienceType": "Patient"},
        "publisher": {"@type": "MedicalClinic", "name": clinic.name, "url": settings.SITE_URL},
        "citation": [entry["citation"] for entry in document["references"]],
    }
    if document["last_reviewed"]:
        page["lastReviewed"] = document["last_reviewed"]
    people = _people(document, checked)
    if people:
        page["reviewedBy"] = people if len(people) > 1 else people[0]
    condition = document["condition"]
    if condition:
        names = [condition["medical_name"], *condition["synonyms"]]
        page["about"] = {
            "@type": "MedicalCondition",
            "name": condition["name"],
            "alternateName": [name for name in names if name and name != condition["name"]],
        }
    return page


def _people(document, checked):
    """Return who reviewed the page as a whole, and who signed this text if somebody else did."""
    reviewer, people = document["reviewer"], []
    if reviewer:
        people.append(_person(reviewer["name"], reviewer["credentials"], reviewer["role"]))
    if checked and (reviewer is None or checked.slug != reviewer["slug"]):
        people.append(_person(checked.name, checked.credentials))
    return people


def _person(name, credentials, role=""):
    person = {
        "@type": "Person", "name": name, "honorificSuffix": credentials, "jobTitle": role
    }  # fmt: skip
    return {key: value for key, value in person.items() if value}


def _questions(document, url):
    return {
        "@type": "FAQPage",
        "@id": f"{url}#questions",
        "mainEntity": [
            {
                "@type": "Question",
                "name": faq["question"],
                "acceptedAnswer": {"@type": "Answer", "text": plain_text(faq["answer"])},
            }
            for faq in document["faqs"]
        ],
    }
