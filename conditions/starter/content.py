"""Loads the starter texts (conditions/starter/) into an empty or half-filled database.

Creates only what is missing: a row that exists, whatever staff made of it, is left alone.
"""

import tomllib
from pathlib import Path

from django.db import transaction

from clinic.models import Practitioner
from conditions import publishing
from conditions.document import names
from conditions.models import (
    Citation,
    Condition,
    Faq,
    Page,
    RedFlag,
    Reference,
    Section,
    SharedBlock,
    SigningRight,
)

FOLDER = Path(__file__).resolve().parent
TIMING = [f"{key}{end}" for key in ("onset", "peak", "duration", "session", "repeat")
          for end in ("", "_note", "_source")]  # fmt: skip
CONDITION_FIELDS = [
    "position", "name", "medical_name", "body_area", "summary", "status", "service", "product",
    "approval_text", "evidence", "evidence_note", "specialty", "adults_only",
    "consultation_minutes", *TIMING,
]  # fmt: skip
MAP_FIELDS = ["map_x", "map_y", "map_side", "map_label_y"]
LANGUAGE = "en"  # of the starter texts
PAGE_FIELDS = ["title", "description", "lead", "last_reviewed", "next_review_due"]
CHART_FIELDS = names("sections[].chart")


class StarterContentError(Exception):
    """A starter file names something that does not exist."""


def read(folder=FOLDER):
    """Return the files as (shared, conditions, guides): one dict, two lists of dicts in order."""

    def parsed(pattern):
        files = [tomllib.loads(path.read_text("utf-8")) for path in sorted(folder.glob(pattern))]
        return sorted(files, key=lambda content: (content["position"], content["slug"]))

    shared = tomllib.loads((folder / "shared.toml").read_text("utf-8"))
    return shared, parsed("conditions/*.toml"), parsed("guides/*.toml")


@transaction.atomic
def load(stdout=None, *, as_drafts=False):
    """Create what is missing of the starter content, and publish the pages made here.

    Needs the starter's practitioners. Raises StarterContentError when one is missing, and
    PublishingError when a text has gaps. ``as_drafts`` publishes nothing and names nobody: the
    texts wait for the clinic's own people.
    """
    shared, conditions, guides = read()
    if as_drafts:
        conditions, guides = _of_nobody(conditions), _of_nobody(guides)
    people = _people(conditions + guides)
    _load_shared(shared)
    made = [content for content in conditions if _load_condition(content, people)]
    by_slug = {condition.slug: condition for condition in Condition.objects.all()}
    for content in made:
        by_slug[content["slug"]].related.set(_named(by_slug, content["related"]))
    pages = []
    for content in conditions:
        pages.append(_load_page(content, people, condition=by_slug[content["slug"]]))
    for content in guides:
        page = _load_page(content, people)
        if page:
            page.related.set(_named(by_slug, content.get("related", [])))
        pages.append(page)
    published = [publishing.publish_starter(page) for page in pages if page and not as_drafts]
    if stdout:
        stdout.write(f"Starter content: {len(made)} conditions and {len(published)} pages made.")


def _of_nobody(contents):
    """Return the texts without the fictitious people and their reviews."""
    unread = {"reviewer": None, "last_reviewed": None, "next_review_due": None}
    return [
        content | {"practitioners": [], "signers": [], "page": content["page"] | unread}
        for content in contents
    ]


def _people(contents):
    found = {person.slug: person for person in Practitioner.objects.all()} | {None: None}
    wanted = {content["page"]["reviewer"] for content in contents}
    for lists in ("practitioners", "signers"):
        wanted |= {slug for content in contents for slug in content.get(lists, [])}
    missing = sorted(wanted - set(found))
    if missing:
        raise StarterContentError(
            f"Load the starter clinic first: there is no practitioner {', '.join(missing)}."
        )
    return found


def _named(by_slug, slugs):
    missing = [slug for slug in slugs if slug not in by_slug]
    if missing:
        raise StarterContentError(f"There is no condition {', '.join(missing)}.")
    return [by_slug[slug] for slug in slugs]


def _load_shared(shared):
    for position, block in enumerate(shared["blocks"]):
        SharedBlock.objects.get_or_create(
            key=block["key"],
            defaults={
                "title": block["title"],
                "body": block["body"],
                "position": block.get("position", position),
                "off_label_only": block.get("off_label_only", block["key"] == "off-label"),
            },
        )
    # These have no key, so they are made once, all together.
    if not RedFlag.objects.filter(condition=None).exists():
        general = [
            {"level": "emergency", "asked_before_booking": True, **sign}
            for sign in shared["asked_before_booking"]
        ]
        make_flags(None, shared["after_treatment"] + general)
    if not Faq.objects.filter(page=None).exists():
        make_faqs(None, shared["faqs"])


def _load_condition(content, people):
    """Make the condition; whether it was missing."""
    values = {name: content[name] for name in CONDITION_FIELDS}
    values["approval_year"] = content.get("approval_year")
    values |= {name: content[name] for name in MAP_FIELDS if name in content}
    values["synonyms"] = "; ".join(content["synonyms"])
    condition, made = Condition.objects.get_or_create(slug=content["slug"], defaults=values)
    if made:
        condition.practitioners.set([people[slug] for slug in content["practitioners"]])
        _let_sign([people[slug] for slug in content["signers"]], condition)
        make_flags(condition, content["red_flags"])
    return made


def _load_page(content, people, condition=None):
    """Make the page with its children; None when it exists."""
    words = content["page"]
    kind = Page.Kind.CONDITION if condition else Page.Kind.GUIDE
    values = {name: words[name] for name in PAGE_FIELDS} | {
        "condition": condition,
        "position": content["position"],
        "summary": "" if condition else content["summary"],
        "reviewer": people[words["reviewer"]],
    }
    page, made = Page.objects.get_or_create(
        kind=kind, slug=content["slug"], language=LANGUAGE, defaults=values
    )
    if not made:
        return None
    if page.reviewer and condition is None:
        _let_sign([page.reviewer], None)
    make_sections(page, words["sections"])
    make_faqs(page, content["faqs"])
    for position, entry in enumerate(content.get("references", [])):
        reference, _ = Reference.objects.get_or_create(
            key=entry["key"],
            defaults={k: entry[k] for k in ("citation", "year", "url", "kind", "status")}
            | {"checked_on": entry.get("checked_on")},
        )
        Citation.objects.create(page=page, reference=reference, position=position)
    return page


def _let_sign(practitioners, condition):
    for practitioner in practitioners:
        SigningRight.objects.get_or_create(practitioner=practitioner, condition=condition)


def make_sections(page, sections):
    Section.objects.bulk_create(
        Section(
            page=page,
            position=position,
            kind=section["kind"],
            heading=section["heading"],
            body=section["body"],
            **_chart(section),
        )
        for position, section in enumerate(sections)
    )


def _chart(section):
    chart = section.get("chart", {})
    return {f"chart_{name}": chart[name] for name in CHART_FIELDS if name in chart}


def make_flags(condition, entries):
    RedFlag.objects.bulk_create(
        RedFlag(
            condition=condition,
            level=entry["level"],
            text=entry["text"],
            asked_before_booking=entry.get("asked_before_booking", False),
            position=position,
        )
        for position, entry in enumerate(entries)
    )


def make_faqs(page, entries):
    Faq.objects.bulk_create(
        Faq(page=page, question=entry["question"], answer=entry["answer"], position=position)
        for position, entry in enumerate(entries)
    )
