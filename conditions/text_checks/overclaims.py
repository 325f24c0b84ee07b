"""Words that promise more than the evidence: found in every text that a reader sees."""

import re
import unicodedata
from typing import NamedTuple

from clinic import languages
from conditions.text_checks.documents import base_language
from conditions.text_checks.plain_words import sentences


class Overclaim(NamedTuple):
    phrase: str
    sentence: str


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


class Table(NamedTuple):
    """The patterns of one language. ``denials`` are claims although they hold a word that denies."""

    everywhere: tuple[str, ...]
    off_label: tuple[str, ...]
    advice: tuple[str, ...]
    denials: tuple[str, ...]
    off_label_denials: tuple[str, ...]
    allowed: re.Pattern
    tells: re.Pattern
    negated: re.Pattern
    not_really: re.Pattern


# A text in a language without a table passes unread; plain_words.hints says so to its editor.
TABLES = {
    "en": Table(
        _EVERYWHERE, _OFF_LABEL, _ADVICE, _DENIALS, (_FDA,), _ALLOWED, _TELLS, _NEGATED, _NOT_REALLY
    )
}


def overclaims(text: str, form: str, language: str = "en") -> list[Overclaim]:
    """Words in ``text`` that promise more than the evidence holds, as a list of Overclaim.

    ``form`` is "approved", "off_label", "advice" or "guide". A sentence that denies the claim
    ("not a cure"), leaves it open ("whether it is safe") or asks it ("Is it safe?") passes.
    """
    table = TABLES.get(language)
    if table is None:
        return []
    unapproved = form in {"off_label", "advice"}
    patterns = [*table.everywhere, *(table.off_label if unapproved else ())]
    patterns += table.advice if form == "advice" else ()
    denials = [*table.denials, *(table.off_label_denials if unapproved else ())]
    found = []
    for sentence in sentences(as_read(text)):
        if sentence.endswith("?") and not table.tells.search(sentence):
            continue
        plain = table.allowed.sub("", sentence)
        hits = [m for p in denials for m in re.finditer(p, plain, re.I)]
        hits = [
            m
            for m in hits
            if not (m[0].startswith("without") and _denied(table, plain, m, within=False))
        ]
        for pattern in patterns:
            for match in re.finditer(pattern, plain, re.I):
                if not _denied(table, plain, match):
                    hits.append(match)
        found += [Overclaim(phrase, sentence) for phrase in _phrases(plain, hits)]
    return found


def _phrases(sentence: str, matches: list[re.Match]) -> list[str]:
    """Return the claimed words in order, each once, however many patterns know them."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(match.span() for match in matches):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return [sentence[start:end] for start, end in spans]


def claims(text: str) -> list[str]:
    """Return the phrases of an overclaim in words that no page's evidence stands beside."""
    language = base_language(languages.default())
    return [claim.phrase for claim in overclaims(text, "off_label", language)]


def as_read(text: str) -> str:
    """``text`` as a reader takes it: no invisible signs, wide letters narrow, look-alikes Latin."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", visible).translate(_LOOK_ALIKES)


_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХІЈЅаеорсухіјѕԁһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινορυ",
    "ABEKMHOPCTYXIJSaeopcyxijsdhlABEZHIKMNOPTYXaivopu",
)


def _denied(table: Table, sentence: str, match: re.Match, *, within: bool = True) -> bool:
    """Return whether the words just before the claim, or in it, deny it or leave it open."""
    clause = re.split(r"[;:]|, (?:but|and)\b", sentence[: match.start()])[-1]
    near = " ".join(clause.split()[-_REACH:])
    return bool(
        table.negated.search(table.not_really.sub("", f"{near} {match[0] if within else ''}"))
    )
