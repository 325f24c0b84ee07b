"""What stops a page, one case a rule; and the hints, which never do."""

import copy

import pytest

from conditions import snapshot
from conditions.text_checks import gaps, overclaims, plain_words
from tests.conditions.pages import make_guide, make_page


@pytest.fixture
def complete(db):
    return snapshot.build_document(make_page())


def off_label(document):
    document["condition"] |= {"form": "off_label", "product": "", "approval_year": None}
    document["condition"]["approval_text"] = "The FDA has not approved it for this."
    return document


def drop_section(document, kind):
    document["sections"] = [s for s in document["sections"] if s["kind"] != kind]


def drop_block(document, key):
    document["safety"] = [b for b in document["safety"] if b["key"] != key]


def body(document, text):
    document["sections"][0]["body"] = f"<p>{text}</p>"


def test_a_complete_page_has_no_gap(complete):
    assert gaps.gaps(complete) == []
    assert gaps.gaps(off_label(complete)) == []


GAPS = [
    ("title", "title", lambda d: d.update(title=" ")),
    ("lead", "lead", lambda d: d.update(lead="")),
    ("description", "description", lambda d: d.update(description="")),
    ("no text", "sections", lambda d: d.update(sections=[])),
    ("approval", "condition", lambda d: d["condition"].update(approval_text="")),
    ("boxed warning", "safety", lambda d: drop_block(d, "boxed-warning")),
    ("empty boxed warning", "safety", lambda d: d["safety"][0].update(body="")),
    ("contraindications", "safety", lambda d: drop_block(d, "contraindications")),
    ("cautions", "safety", lambda d: drop_block(d, "cautions")),
    ("emergency sign", "red_flags", lambda d: d["red_flags"].update(emergency=[])),
    ("gate", "red_flags", lambda d: d.update(gate=[])),
    ("alternatives", "sections", lambda d: drop_section(d, "alternatives")),
    ("one alternative", "sections", lambda d: d["sections"][1].update(body="<p>Lifestyle</p>")),
    ("references", "references", lambda d: d.update(references=d["references"][:1])),
    ("reviewer", "reviewer", lambda d: d.update(reviewer=None)),
    ("last review", "last_reviewed", lambda d: d.update(last_reviewed="")),
    ("next review", "next_review_due", lambda d: d.update(next_review_due="")),
    ("37 months", "next_review_due", lambda d: d.update(next_review_due="2029-11-01")),
    ("backwards", "next_review_due", lambda d: d.update(next_review_due="2026-09-30")),
    ("open mark", "sections", lambda d: body(d, "It costs [CLINIC] dollars.")),
    ("open mark in a question", "faqs", lambda d: d["faqs"][0].update(question="[CLINIC: price]")),
    ("unknown reference", "sections", lambda d: body(d, "So they say. [ref:nobody-1999]")),
    ("overclaim", "sections", lambda d: body(d, "It cures the pain.")),
    ("overclaim in the lead", "lead", lambda d: d.update(lead="A miracle for your jaw.")),
    ("overclaim in an answer", "faqs", lambda d: d["faqs"][0].update(answer="<p>Painless.</p>")),
    ("approved, off-label", "sections", lambda d: body(off_label(d), "An FDA-approved drug.")),
    ("dose, off-label", "sections", lambda d: body(off_label(d), "We give 25 units a side.")),
    ("proven, off-label", "sections", lambda d: body(off_label(d), "It is proven to work.")),
]


@pytest.mark.parametrize(("field", "spoil"), [g[1:] for g in GAPS], ids=[g[0] for g in GAPS])
def test_each_gap_blocks_and_names_its_field(complete, field, spoil):
    document = copy.deepcopy(complete)
    spoil(document)
    found = gaps.gaps(document)
    assert found
    assert {gap.field for gap in found} == {field}


def test_36_months_are_allowed(complete):
    assert gaps.gaps(complete | {"next_review_due": "2029-10-01"}) == []


def test_a_guide_needs_references_unless_it_is_practical(db):
    document = snapshot.build_document(make_guide())
    assert gaps.gaps(document) == []
    bare = document | {"references": []}
    for section in bare["sections"]:
        section["body"] = "<p>Text.</p>"
    assert [gap.field for gap in gaps.gaps(bare)] == ["references"]
    assert gaps.gaps(bare | {"slug": "your-free-consultation"}) == []


# Our own short sentences in the manner of the 22 wrong claims of the old marketing texts. The two
# that are wrong by silence (no warning, no alternatives) are gaps above.
LEDGER = [
    ("advice", "Jaw injections greatly reduce apnea."),
    ("advice", "Injecting the soft palate reduces apnea."),
    ("advice", "Botulinum toxin relieves apnea in cerebral palsy."),
    ("approved", "Side effects are usually mild and temporary."),
    ("approved", "Chronic migraine is often linked to TMJ stress."),
    ("approved", "It has an FDA license, but the benefits don't stop there."),
    ("approved", "Botox treats migraines."),
    ("approved", "In spasticity it improves mobility."),
    ("off_label", "TMJ patients get significant relief."),
    ("off_label", "There is no effect on chewing."),
    ("off_label", "It works where other treatments failed."),
    ("advice", "There has been some success in restless legs."),
    ("approved", "The effect lasts 3–4 months."),
    ("approved", "A quick and relatively painless visit."),
    ("approved", "Its secret superpower is pain relief."),
    ("approved", "A game-changer for headaches."),
    ("approved", "It can transform lives."),
    ("approved", "Meet Emma, who can work again."),
    ("approved", "The safest choice."),
    ("approved", "The most cost-effective choice."),
    ("approved", "A non-invasive procedure."),
    ("approved", "It treats night-time urination."),
    ("approved", "Neck spasms (cervical dystonia) respond well."),
]
WORDS = [
    ("approved", sentence)
    for sentence in [
        "A cure for migraine.",
        "It permanently ends pain.",
        "The shots are painless.",
        "It is safe.",
        "Botox is completely safe for everyone.",
        "Results are guaranteed.",
        "A miracle.",
        "A breakthrough in pain care.",
        "The best treatment.",
        "There are no side effects.",
        "You have no downtime.",
        "It is clinically proven.",
        "It eliminates headaches.",
        "It stops grinding.",
        "It dramatically improves sleep.",
        "There is no doubt that it cures pain.",
        "It does not hurt, and it cures pain.",
    ]
]


# Promises in other words: by an absolute, by comparison, by a story, by a denied doubt.
UNSEEN = [
    ("approved", sentence)
    for sentence in [
        "It heals migraine.",
        "Your pain is gone for good.",
        "You will never have a headache again.",
        "It works for everyone.",
        "It is 100% effective.",
        "A risk-free visit.",
        "There are no risks.",
        "It comes without any risks.",
        "The gold standard for headaches.",
        "It ends grinding.",
        "The effect lasts a lifetime.",
        "It works better than tablets.",
        "One of our patients, Emma, sleeps again.",
        "Emma got her life back.",
        "No other treatment cures migraine.",
        "No wonder it cures migraine.",
        "It cannot fail to cure migraine.",
        "It gives relief where other treatments have failed.",
        "Did you know that it is a superpower against pain?",
        "It made all the difference: a turning point.",
        "Toxin has been shown to provide relief.",
        "A powerful, unique treatment.",
        "The effects typically last about 3-4 months.",
        "It relaxes the jaw without having negative effects on chewing.",
    ]
] + [
    ("advice", "Toxin in the masseter makes sleep apnea better."),
    ("advice", "It opens the airway."),
    ("advice", "Injections of the palate gave a reduction in apnea."),
    ("advice", "An injection of the tongue base, reducing apnea."),
    ("off_label", "An approved treatment for grinding."),
    ("off_label", "The FDA has cleared it for grinding."),
    ("off_label", "A first-line choice."),
]  # fmt: skip
DISGUISED = [
    ("approved", "It cu\u200bres migraine."),
    ("approved", "It \uff43\uff55\uff52\uff45\uff53 migraine."),
    ("approved", "It c\u0443res migraine.".replace("\u0443", "u\u00ad")),
    ("approved", "A mir\u0430cle for headaches."),
    ("approved", "It is completely s\u0430f\u0435."),
]


@pytest.mark.parametrize(("form", "sentence"), LEDGER + WORDS + UNSEEN + DISGUISED)
def test_an_overclaim_is_found(form, sentence):
    assert overclaims.overclaims(sentence, form), sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "It is not a cure.",
        "Botulinum toxin does not cure migraine.",
        "It will not stop the grinding for good.",
        "There is no permanent effect.",
        "It is not known whether it is safe in pregnancy.",
        "Is it safe?",
        "It can't be guaranteed.",
        "It has not been proven.",
        "The effect is small at best.",
        "This procedure is secure.",
        "Drive only when you can do so safely.",
        "Nothing works best for all.",
        "No treatment is without risk.",
        "It does not work for everyone.",
        "The pain is not gone for good.",
        "It is not known to work better than tablets.",
        "It is not a first-line choice.",
        "It is not an approved treatment for grinding.",
        "There is no risk of addiction.",
        "Whether injections help is not known.",
        "The wound heals in a week.",
        "In one man an injection helped.",
    ],
)
@pytest.mark.parametrize("form", ["off_label", "advice"])
def test_honest_words_pass(sentence, form):
    assert overclaims.overclaims(sentence, form) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [("We give 25 units.", 1), ("Up to 1,000 U a visit.", 1), ("75 ng/mL of iron", 0),
     ("5 mg per tablet", 0), ("10 mg at night", 1), ("22 people", 0)],
)  # fmt: skip
def test_doses_are_found_on_off_label_pages(complete, text, count):
    document = off_label(complete)
    body(document, text)
    assert len(gaps.gaps(document)) == count


@pytest.mark.parametrize(
    ("sentence", "phrases"),
    [
        ("It cures everybody for good.", ["cures", "for good"]),
        ("The results are gone for good.", ["gone for good"]),
        ("It is our safest and best care.", ["safest", "best"]),
        ("An FDA-approved treatment for pain.", ["FDA-approved treatment for"]),
        ("It gives some success where tablets failed.", ["some success where tablets failed"]),
    ],
)
def test_each_promise_is_told_once_in_its_own_words(complete, sentence, phrases):
    """Two patterns that know the same words are one thing to mend; two promises are two."""
    assert [claim.phrase for claim in overclaims.overclaims(sentence, "off_label")] == phrases
    body(off_label(complete), sentence)
    assert len(gaps.gaps(complete)) == len(phrases)


def test_invisible_signs_are_named(complete):
    """One turns the direction in which the rest of the line is read."""
    complete["title"] = "Jaw\u202epain"
    (gap,) = gaps.gaps(complete)
    assert gap.field == "title"
    assert "U+202E" in gap.message


def test_hints_do_not_block(complete):
    long = "word " * 21
    body(complete, f"{long}. One. Two. Three. It helped 14% of people.")
    messages = " ".join(hint.message for hint in plain_words.hints(complete))
    assert "21 words" in messages
    assert "percentage" in messages
    assert "More than 3 sentences" in messages
    assert gaps.gaps(complete) == []


def test_hints_name_a_retired_reference(complete):
    complete["references"][0]["status"] = "retired"
    assert [hint.field for hint in plain_words.hints(complete)] == ["references"]


def test_a_page_in_a_language_without_checks_says_so_to_its_editor(complete):
    """Nothing in it is found, so nobody may think that nothing is there."""
    body(complete, "It cures everybody for good. It helped 14% of people.")
    complete["language"] = "pt-br"
    assert gaps.gaps(complete) == []
    (hint,) = plain_words.hints(complete)
    assert "there are no checks for “pt”" in hint.message


def test_each_language_that_is_checked_for_claims_is_checked_for_plain_words():
    assert set(overclaims.TABLES) == plain_words.LANGUAGES


def test_average_and_sentences():
    assert plain_words.sentences("Dr. Lee saw it. It grew!\nA line without a stop") == [
        "Dr Lee saw it.", "It grew!", "A line without a stop"
    ]  # fmt: skip
    assert plain_words.word_count("It's a 3-month, well-known fact (1.5 of 2).") == 8
    assert plain_words.average_sentence(["One two. One two three four."]) == 3
    assert plain_words.average_sentence([]) == 0


def test_months_after_keeps_to_the_month():
    from datetime import date

    assert gaps.months_after(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert gaps.months_after(date(2027, 12, 31), 2) == date(2028, 2, 29)
    assert gaps.months_after(date(2026, 10, 12), 36) == date(2029, 10, 12)
