"""What stops a page from being published, and hints toward plainer words. Pure: documents in.

Gaps block: something that must be there is missing, or a claim goes further than the evidence.
Hints never block.
"""

import re
import unicodedata
from datetime import date
from typing import NamedTuple

from .document import Kind, leaves
from .snapshot import BOXED_WARNING, CITED, plain_text

# Guides that make no medical claim and so need no references.
PRACTICAL_GUIDES = {"your-free-consultation"}
# What a page needs when the clinic may inject: who must not have it, and what to tell first.
TREATMENT_BLOCKS = {"contraindications", "cautions"}
LONGEST_REVIEW_MONTHS = 36
FEWEST_REFERENCES = 2
# Texts that many pages share: they may name a dose, as a limit.
GENERAL = {"safety", "after_treatment"}
# What is no sentence of the page's own, so nobody is asked to make it plainer.
NOT_PROSE = {
    "safety",
    "after_treatment",
    "description",
    "slug",
    "references",
    "reviewer",
    "related",
    "gate",
}
FEWEST_ALTERNATIVES = 2
LONGEST_SENTENCE = 20  # words
LONGEST_PARAGRAPH = 3  # sentences


class Gap(NamedTuple):
    """Why a page cannot be published; ``field`` names where to mend it."""

    message: str
    field: str


class Overclaim(NamedTuple):
    phrase: str
    sentence: str


class Hint(NamedTuple):
    message: str
    field: str


# --- gaps ---------------------------------------------------------------------------------------
def gaps(document):
    """Everything that stops this document from being published, as a list of Gap."""
    found = [
        *_missing_words(document),
        *_missing_safety(document),
        *_missing_evidence(document),
        *_review_gaps(document),
    ]
    for leaf, text in seen_texts(document):
        place = leaf.field.place
        found += _marks(text, place)
        found += [
            Gap(f"Says more than the evidence: “{claim.phrase}” in “{claim.sentence}”", place)
            for claim in overclaims(text, _form_at(document, leaf))
        ]
        if place not in GENERAL:
            found += _doses(document, text, place)
    return list(dict.fromkeys(found))


def form_of(document):
    """ "approved", "off_label" or "advice"; "guide" for a guide."""
    return document["condition"]["form"] if document["condition"] else "guide"


def texts(document):
    """Every (place where it is mended, plain text) that a reader sees."""
    for leaf, text in seen_texts(document):
        yield leaf.field.place, text


def seen_texts(document):
    """Every (Leaf, plain text) that a reader sees; an address as the words that it is made of."""
    for leaf in leaves(document):
        field, value = leaf.field, leaf.value
        if not field.seen or not isinstance(value, str):
            continue
        if field.kind is Kind.HTML:
            yield leaf, plain_text(value)
        elif field.kind is Kind.WORDS:
            yield leaf, value
        elif field.kind is Kind.SLUG:
            yield leaf, value.replace("-", " ")


def _form_at(document, leaf):
    """A card of another page stands for that page, whose use may be approved where this is not."""
    if leaf.keys[0] == "related":
        return document["related"][leaf.keys[1]].get("form", "guide")
    return form_of(document)


def _missing_words(document):
    names = {"title": "title", "description": "description", "lead": "lead"}
    for field, name in names.items():
        if not document[field].strip():
            yield Gap(f"The {name} is empty.", field)
    if not document["sections"]:
        yield Gap("There is no text yet.", "sections")
    if document["condition"] and not document["condition"]["approval_text"].strip():
        yield Gap("The approval is not described.", "condition")


def _missing_safety(document):
    blocks = {block["key"] for block in document["safety"] if block["body"]}
    if BOXED_WARNING not in blocks:
        yield Gap("The boxed warning is missing.", "safety")
    if form_of(document) in {"approved", "off_label"}:
        for key in sorted(TREATMENT_BLOCKS - blocks):
            yield Gap(f"The shared text “{key}” is missing.", "safety")
    flags = document["red_flags"] if document["condition"] else document["after_treatment"]
    if not flags["emergency"]:
        yield Gap("There is no emergency sign.", "red_flags")
    if document["condition"] and not document["gate"]:
        yield Gap("No emergency sign is asked before booking.", "red_flags")


def _missing_evidence(document):
    if document["condition"]:
        for fact in document["condition"]["timing"]:
            if fact.get("source") == "":  # before schema 2 there was none
                yield Gap(f"“{fact['label']}” does not say where it is known from.", "condition")
        named = sum(
            len(re.findall(r"<li>|<dt>|<tr>.*?<td", section["body"]))
            for section in document["sections"]
            if section["kind"] == "alternatives"
        )
        if not any(section["kind"] == "alternatives" for section in document["sections"]):
            yield Gap("There is no section on other treatments.", "sections")
        elif named < FEWEST_ALTERNATIVES:
            yield Gap("Name at least two other treatments, one a line.", "sections")
    practical = document["kind"] == "guide" and document["slug"] in PRACTICAL_GUIDES
    if not practical and len(document["references"]) < FEWEST_REFERENCES:
        yield Gap("A page needs at least two references.", "references")


def _review_gaps(document):
    if not document["reviewer"]:
        yield Gap("No reviewer is named.", "reviewer")
    last, due = document["last_reviewed"], document["next_review_due"]
    if not last:
        yield Gap("The page was never marked as reviewed.", "last_reviewed")
    if not due:
        yield Gap("There is no date for the next review.", "next_review_due")
    if last and due:
        if due <= last:
            yield Gap("The next review is due before the last one was made.", "next_review_due")
        elif date.fromisoformat(due) > months_after(
            date.fromisoformat(last), LONGEST_REVIEW_MONTHS
        ):
            yield Gap("The next review is more than 36 months after the last.", "next_review_due")


def months_after(day, months):
    """The same day of the month ``months`` later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    raise ValueError(f"no such day: {year}-{month + 1}")


def _marks(text, field):
    hidden = sorted(
        {f"U+{ord(c):04X}" for c in text if unicodedata.category(c) == "Cf"} - {"U+00AD"}
    )
    if hidden:
        yield Gap(f"Invisible signs ({', '.join(hidden)}) change how this is read.", field)
    if "[CLINIC" in text.upper():
        yield Gap("A [CLINIC] mark is open: only the clinic knows this.", field)
    for match in CITED.finditer(text):
        yield Gap(f"[ref:{match[1]}] is not among the page's references.", field)


_DOSE = re.compile(r"\b\d[\d,.]*\s*(?:units?|IU|U|mg|mcg|micrograms?|µg)\b(?!\s*(?:/|per\b))", re.I)


def _doses(document, text, field):
    if form_of(document) not in {"off_label", "advice"}:
        return
    for match in _DOSE.finditer(text):
        yield Gap(f"An off-label page gives no dose: “{match[0]}”", field)


# --- overclaims ---------------------------------------------------------------------------------
_NEGATED = re.compile(
    r"\b(?:not|no|none|nothing|nobody|never|nor|neither|cannot|without|whether"
    r"|(?:know|clear|sure|say|tell|ask) if)\b"
    r"|n['’]t\b|^claims that\b",
    re.I,
)
_NOT_REALLY = re.compile(
    r"\b(?:no (?:doubt|question|wonder|surprise)|not only|without (?:a )?doubt|(?:cannot|never) fails?"
    r"|nothing (?:but|less))\b",
    re.I,
)
_ILLS = (
    r"(?:migraines?|headaches?|pain|aches?|bruxism|grinding|clenching|(?:sleep )?apnea|snoring|leaks?"
    r"|spasms?|spasticity|dystonia|TMJ|restless legs|tension|urges?|symptoms?)\b"
)
_REACH = 8  # words before a claim in which a denial still belongs to it
_EVERYWHERE = (
    r"\bcur(?:e|es|ed|ing|ative)\b",
    r"\bpermanent(?:ly)?\b",
    r"\bpain(?:less(?:ly)?|[- ]free (?:treatment|injections?|procedure))\b",
    r"\bsafe\b",
    r"\bsafely and\b",
    r"\bguarantee[ds]?\b",
    r"\bmiracles?\b",
    r"\bgame[- ]chang\w+",
    r"\bbreakthroughs?\b",
    r"\bsuperpowers?\b",
    r"\btransform(?:s|ed|ing|ative)?\b",
    r"\bbest\b",
    r"\beliminat\w+",
    r"\bstops? (?:the |your |teeth )?(?:grinding|clenching|migraines?|headaches?)\b",
    r"\b(?:greatly|dramatically|drastically|massively|hugely) \w+",
    r"\bsignificant(?:ly)? (?:pain )?(?:relief|improve\w*|reduc\w*|eas\w*)",
    r"\bclinically proven\b",
    r"\b(?:treats|ends|reverses) (?:your )?migraines?\b",
    r"\b(?:improv|restor)\w+ (?:your )?(?:mobility|movement|function)\b",
    r"\b(?:works?|helps?) (?:where|when) .{0,30}\bfail\w*",
    r"\b(?:some|great|good) success\b",
    r"\beffects? (?:usually |typically )?lasts? (?:for |about |around )?3(?: to | ?[–-] ?)4 months\b",
    r"\bchang\w+ (?:my|your|his|her|their|our) li(?:fe|ves)\b",
    r"\bmeet [A-Z][a-z]+,",
    r"\bmost (?:cost-)?effective\b",
    r"\bnon-?invasive\b",
    r"\bmild and (?:temporary|short)\b",
    r"\bmigraines? .{0,40}\b(?:linked to|caused by|due to|comes? from) .{0,30}\b(?:TMJ|jaw)\b",
    r"\b(?:treats?|stops?|reduces?) (?:night-?time (?:urination|peeing)|nocturia)\b",
    r"\bneck spasms? \(cervical dystonia\)",
    rf"\b(?:heals?|healed|healing|ends?|ended|ending|banish\w*) (?:(?:the|your|all|any) )?{_ILLS}",
    r"\b(?:gone )?for good\b(?! reason)",
    r"\bforever\b",
    r"\b(?:a |your )lifetime\b",
    r"\b(?:works?|helps?|effective|relief) (?:for |in )?(?:everyone|everybody|every patient|all patients)\b",
    r"\b100 ?(?:%|percent|per cent) (?:effective|success\w*|sure|certain\w*|natural|reliable)\b",
    r"\b(?:risk|side[- ]effect)[- ]free\b",
    r"\bgold[- ]standard\b",
    r"\b(?:relief|success|results?) (?:where|when) .{0,30}\bfail\w*",
    r"\b(?:works?|is|are) (?:much |far |even )?better than (?:tablets?|pills?|medicines?|drugs?|surgery"
    r"|any|all|other|a splint|splints)\b",
    r"\bone of our (?:patients|clients)\b",
    r"\b(?:got|get|gets|have|has|had|gave|give|gives) .{0,20}\bli(?:fe|ves) back\b",
    r"\bworld[- ]class\b",
    r"\b(?:magic\w*|amazing\w*|revolution\w*|powerful|holistic|unique\w*|state[- ]of[- ]the[- ]art)\b",
    r"\bturning point\b",
    r"\bmakes? (?:a|the|all the) (?:big|huge|real|world of)? ?difference\b",
    r"\bless invasive\b",
    r"\b(?:shown|known) to (?:provide|bring|give) relief\b",
    r"\bmost advanced\b",
)
# These are claims although they hold a word that denies: "no side effects".
_DENIALS = (
    r"\b(?:no|zero|without(?: any)?) side[- ]effects?\b",
    r"\b(?:no|zero|without(?: any)?) downtime\b",
    r"\bsafest\b",
    r"\b(?:no|without) (?:an? )?(?:effect|impact) on chewing\b",
    r"\bbenefits? (?:do|does)(?:n['’]t| not) (?:stop|end) there\b",
    r"\bno other (?:treatment|medicine|therapy|drug|clinic)\b",
    r"\b(?:never|cannot|can['’]t) fails?\b",
    r"\byou(?:['’]ll| will) never\b.{0,40}\bagain\b",
    r"\b(?:there (?:are|is)|has|have|carr(?:y|ies)) (?:no|zero) (?:known |real )?risks?\b(?! (?:of|factors?))",
    r"\bwithout (?:any )?risks?\b(?! (?:of|factors?))",
    r"\bwithout (?:having )?(?:any )?(?:negative|bad|adverse|harmful|side)[- ]?effects? on\b",
    r"\bnothing (?:works|helps) better\b",
)
_OFF_LABEL = (
    r"\bproven\b",
    r"\bfirst[- ]line\b",
    r"\bapproved (?:treatment|therapy|cure) (?:for|of)\b",
    r"\bFDA (?:has |have )?(?:cleared|approved|licensed|endorsed) (?:it|this|botox|botulinum toxin)"
    rf" (?:for|to treat) (?:this|{_ILLS})",
)
_FDA = r"\bFDA[- ]approved\b"
# Where the clinic does not treat, no sentence may promise that an injection helps.
_ADVICE = (
    r"\b(?:botulinum toxin|botox|toxin|inject\w+)\b.{0,80}"
    r"\b(?:reduc|reliev|improv|treat|eas|help|lessen|stop)(?:e|es|s|ing)?\b",
    r"\b(?:botulinum toxin|botox|toxin|inject\w+|it)\b.{0,60}"
    r"\b(?:makes? .{0,30}\bbetter|opens? (?:up )?(?:the |your )?airways?)\b",
    r"\b(?:botulinum toxin|botox|toxin|inject\w+)\b.{0,80}\b(?:provides? relief|reduction in)\b",
    r"\b(?:palate|tongue[- ]base)\b.{0,60}\b(?:reduc|reliev|improv|treat)(?:e|es|ed|s|ing)\b",
)
# A question that says what it asks: "Did you know that …?"
_TELLS = re.compile(r"\b(?:did you know|who knew|why not|isn['’]t it)\b", re.I)
_ALLOWED = re.compile(r"\b(?:at best|safe (?:to eat|to drink)|best[- ]known)\b", re.I)


def overclaims(text, form):
    """Words in ``text`` that promise more than the evidence holds, as a list of Overclaim.

    ``form`` is "approved", "off_label", "advice" or "guide". A sentence that denies the claim
    ("not a cure"), leaves it open ("whether it is safe") or asks it ("Is it safe?") passes.
    """
    patterns = [*_EVERYWHERE, *(_OFF_LABEL if form in {"off_label", "advice"} else ())]
    patterns += _ADVICE if form == "advice" else ()
    denials = [*_DENIALS, *([_FDA] if form in {"off_label", "advice"} else ())]
    found = []
    for sentence in sentences(as_read(text)):
        if sentence.endswith("?") and not _TELLS.search(sentence):
            continue
        plain = _ALLOWED.sub("", sentence)
        hits = [m for p in denials for m in re.finditer(p, plain, re.I)]
        hits = [
            m for m in hits if not (m[0].startswith("without") and _denied(plain, m, within=False))
        ]
        for pattern in patterns:
            for match in re.finditer(pattern, plain, re.I):
                if not _denied(plain, match):
                    hits.append(match)
        found += [Overclaim(phrase, sentence) for phrase in _phrases(plain, hits)]
    return found


def _phrases(sentence, matches):
    """The claimed words in their order, each told once, however many patterns know them."""
    spans = []
    for start, end in sorted(match.span() for match in matches):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return [sentence[start:end] for start, end in spans]


def claims(text):
    """The phrases of an overclaim in words that no page's evidence stands beside."""
    return [claim.phrase for claim in overclaims(text, "off_label")]


def as_read(text):
    """``text`` as a reader takes it: no invisible signs, wide letters narrow, look-alikes Latin."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", visible).translate(_LOOK_ALIKES)


_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХІЈЅаеорсухіјѕԁһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινορυ",
    "ABEKMHOPCTYXIJSaeopcyxijsdhlABEZHIKMNOPTYXaivopu",
)


def _denied(sentence, match, *, within=True):
    """Whether the words just before the claim, or in it, deny it or leave it open."""
    clause = re.split(r"[;:]|, (?:but|and)\b", sentence[: match.start()])[-1]
    near = " ".join(clause.split()[-_REACH:])
    return bool(_NEGATED.search(_NOT_REALLY.sub("", f"{near} {match[0] if within else ''}")))


# --- plain language -----------------------------------------------------------------------------
_END = re.compile(r"(?<=[.!?])[”\"’)]*\s+(?=[A-Z0-9“\"‘(\[])")
_SHORT_FORM = re.compile(r"\b(Dr|Mr|Ms|Mrs|vs|St|e\.g|i\.e|a\.m|p\.m|No)\.")
_PERCENT = re.compile(r"\d\s*(?:%|percent\b)")


def sentences(text):
    """Split plain text into sentences; a line that ends without a stop is one, too."""
    text = _SHORT_FORM.sub(r"\1", text)
    return [part.strip() for line in text.splitlines() for part in _END.split(line) if part.strip()]


def word_count(text):
    return len(re.findall(r"[^\W_]+(?:['’.,/-][^\W_]+)*", text))


def average_sentence(texts_):
    """Mean length in words of all sentences in the given plain texts; 0 for none."""
    lengths = [word_count(sentence) for text in texts_ for sentence in sentences(text)]
    return sum(lengths) / len(lengths) if lengths else 0


def hints(document):
    """Where the words could be plainer, as a list of Hint. Never a reason to refuse."""
    own = [
        (leaf.field.place, text)
        for leaf, text in seen_texts(document)
        if leaf.keys[0] not in NOT_PROSE and leaf.field.kind is not Kind.SLUG
    ]
    found = []
    for field, text in own:
        for sentence in sentences(text):
            words = word_count(sentence)
            if words > LONGEST_SENTENCE:
                found.append(Hint(f"{words} words in one sentence: “{_start(sentence)}”", field))
            if _PERCENT.search(sentence):
                found.append(Hint(f"Write “9 in 100”, not a percentage: “{sentence}”", field))
        for line in text.splitlines():
            if len(sentences(line)) > LONGEST_PARAGRAPH:
                found.append(Hint(f"More than 3 sentences in “{_start(line)}”", field))
    average = average_sentence(text for _, text in own)
    if average > LONGEST_SENTENCE:
        found.append(Hint(f"Sentences have {average:.0f} words on average.", "sections"))
    if any(entry["status"] != "current" for entry in document["references"]):
        found.append(Hint("A reference was retired, replaced or not read again.", "references"))
    return found


def _start(text):
    return text if len(text) <= 60 else f"{text[:57]}…"
