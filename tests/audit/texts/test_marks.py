"""Terms of other lists and personal data: what is marked, what is counted, and what never leaves."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit.texts import marks, personal_data, vocabulary
from pmd.audit.texts.marks import BITS, key
from pmd.text.tokens import Tokens
from tests.audit.batches import WORDS

KNOWN = vocabulary.of(WORDS)
_PIECES = st.sampled_from(
    [
        *(
            "jane",
            "@",
            "@jane",
            "@jane.doe",
            ".",
            "example.org",
            "www.",
            "http://",
            "a.b",
            ".com",
            "co.uk",
            "/",
            "(",
            ")",
            "_",
        ),
        *(
            "+44",
            "20",
            "7946",
            "0958",
            "402",
            "505",
            "6600",
            "tel",
            "Phone: ",
            "call ",
            "-",
            " - ",
            " ",
            "  ",
            "\n",
            "\t",
            "1",
            "@200mm",
            "1914-1918",
            "@2x.png",
            "é",
        ),
    ]
)


def _look(*texts: str) -> marks.Marked:
    return marks.look(Tokens.of(pa.array(texts, pa.string())), np.ones(len(texts), dtype=bool), KNOWN)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a baby and an elderly man", {"young", "old"}),
        ("baby shower cake", set()),
        ("baby dolls and baby grands", set()),
        ("the kid's menu", set()),
        ("an infant chimpanzee, newborn kittens and young hippos", set()),
        ("a child plays", {"young"}),
        ("a senior citizen", {"old"}),
        ("senior vice president", set()),
        ("a senior doctor talks to a senior studying architecture", set()),
        ("a senior man and two senior women", {"old"}),
        ("a 25 year old woman and a thirty year old man", set()),
        ("an old woman of 85 years", {"old"}),
        ("a middle aged man", set()),
        ("aged women", {"old"}),
        ("Gary Oldman", set()),
        ("the Karate Kid in a BMW Gran Coupé", set()),
        ("western christian holiday", set()),
        ("australian rules footballer", set()),
        ("a Muslim woman in Iran", {"religion"}),
        ("American Airlines", set()),
        ("two Scottish Terriers in Japanese gardens", set()),
        ("an Indian bride", {"nationality"}),
        ("the Indian Ocean", set()),
        ("an African American man", {"ethnicity"}),
        ("a man in a wheelchair", {"disability"}),
        ("a gay couple", {"orientation"}),
        ("a killer whale", set()),
        ("the killer was shot dead", {"violent"}),
        ("Sex and the City", set()),
        ("naked people", {"adult"}),
        ("hot glue gun", set()),
        ("massage guns and murder mysteries", set()),
        ("write to jane.doe@example.org!", {"email"}),
        ("photo by @jane_doe", {"handle"}),
        ("call +44 20 7946 0958", {"phone"}),
        ("www.example.org", {"url"}),
    ],
)
def test_marks_by_hand(text: str, names: set[str]) -> None:
    (bits,) = _look(text).marks.tolist()
    assert {name for name, bit in BITS.items() if bits & bit} == names


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a.b+c@mail.example.co.uk", {"email"}),
        ("meet me @ the bar", set()),
        ("2 lb @ 3.50", set()),
        ("@user1 and you", {"handle"}),
        ("jane@home", set()),
        ("Fotos: @jane.doe.", {"handle"}),
        ("(402) 505-6600", {"phone"}),
        ("402-505-6600", {"phone"}),
        ("Tel: 030 1234567", {"phone"}),
        ("1/250 sec, f/2.8, ISO 400", set()),
        ("2014-05-06 12:30:11", set()),
        ("DSC_20140506_123011.jpg", set()),
        ("ISBN 978-3-16-148410-0", set()),
        ("https://example.org/x", {"url"}),
        ("see example.com for more", {"url"}),
        ("the end.Come in", set()),
        ("telephoto 70-200 2.8", set()),
        ("telescope 1234567", set()),
        ("Nikkor 200-500 2016", set()),
        ("so called 1914-1918 war", set()),
        ("Mobile 2011-07-15", set()),
        ("a call 15.07.2011 at noon", set()),
        ("call 1914-1918, or call 030 1234567", {"phone"}),
        ("shot @200mm.", set()),
        ("(@f/2.8, @ISO400)", set()),
        ("@7pm @1080p", set()),
        ("@200mm @jane", {"handle"}),
        ("@50cent", {"handle"}),
        ("logo@2x.png", set()),
        ("logo@2x.png jane@example.org", {"email"}),
        ("", set()),
    ],
)
def test_personal_data_by_hand(text: str, kinds: set[str]) -> None:
    found = personal_data.find(Tokens.of(pa.array([text], pa.string())))
    assert {kind for kind, has in found.items() if has[0]} == kinds


@settings(max_examples=300)
@given(st.lists(st.lists(_PIECES, max_size=10).map("".join), max_size=4))
def test_personal_data_is_told_by_tokens_as_by_the_text(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    found = personal_data.find(Tokens.of(column))
    for kind in personal_data.PATTERNS:
        assert found[kind].tolist() == personal_data.matching(column, kind).to_pylist(), kind


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a young elephant and a baby owl", set()),
        ("a young woman with a baby owl", {"young"}),
        ("baby owls, and a baby", {"young"}),
        ("young leaves of young trees", set()),
        ("two skiers with poles", set()),
        ("the polish people", {"nationality"}),
        ("christian bale", set()),
        ("a christian bale of hay, a christian", {"religion"}),
        ("off the beaten path", set()),
        ("a field of oilseed rape, rape flowers", set()),
        ("paint stripper, and the erection of a barn", set()),
        ("the beach boys in a youth hostel", set()),
        ("a beaten man", {"violent"}),
        ("blue tits and red-footed boobies, masked boobies", set()),
    ],
)
def test_runs_of_words_are_passed_over(text: str, names: set[str]) -> None:
    (marked,) = _look(text).marks.tolist()
    assert {name for name, bit in BITS.items() if marked & bit} == names


def test_terms_are_looked_for_in_english_texts_alone_and_personal_data_in_all() -> None:
    texts = pa.array(["a woman, jane@example.org", "a woman, jane@example.org"])
    found = marks.look(Tokens.of(texts), np.array([True, False]), KNOWN)
    assert found.gendered.tolist() == [1, 0]
    assert found.marks.tolist() == [BITS["email"]] * 2


def test_what_is_counted_of_texts() -> None:
    marked = _look(
        "a woman doctor", "a man, a doctor, a nurse", "a doctor", "an old man and a baby", "a Muslim woman, beautiful"
    )
    counts = {name: found.tolist() for name, found in marks.tally(marked, np.array([0, 1, 1, 1, 0]), 2, KNOWN).items()}
    assert counts[key("term", "occupations/doctor")] == [1, 2]
    assert counts[key("female", "occupations/doctor")] == [1, 0]
    assert counts[key("male", "occupations/doctor")] == [0, 1]
    assert counts[key("with", "occupations/doctor", "gendered/woman")] == [1, 0]
    assert counts[key("with", "occupations/nurse", "gendered/man")] == [0, 1]
    assert counts[key("mark", "young", "old")] == [0, 1]
    assert key("term", "gendered/she") not in counts
    doctor, nurse = ([term.name for term in vocabulary.associated()].index(name) for name in ("doctor", "nurse"))
    assert marked.associated == [str(doctor), f"{doctor} {nurse}", "", "", ""]


def test_no_text_leaves() -> None:
    """Neither a mark nor a count has anything in it but the names of lists and terms."""
    marked = _look("Jane Doe, a doctor, +44 20 7946 0958, jane@example.org, @jane, https://jane.example.org")
    names = "\n".join(marks.tally(marked, np.array([0]), 1, KNOWN))
    assert "email" in names
    assert not any(secret in names.lower() for secret in ("jane", "doe", "7946"))


@pytest.mark.parametrize("name", ["age", "identity", "harm"])
def test_a_term_is_named_by_what_its_captions_say(name: str) -> None:
    """Terms that carry a figure are printed by their first form: "old woman" would hide that captions say "nana"."""
    known = vocabulary.group(name)
    for form, place in known.forms.items():
        if place >= 0:
            stems = {word[:3] for word in re.split("[- ]", known.terms[place].name)}
            assert stems & {word[:3] for one in form for word in one.split("-")}, (known.terms[place].name, form)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a woman in an orange dress in Orange County", set()),
        ("a man with two oranges", {"oranges"}),
        ("men's running shoes and riding boots", set()),
        ("men with washing machines and sewing machines", set()),
        ("a man running in boots", {"running"}),
        ("a woman in a sleeping bag by the swimming pool", set()),
        ("a woman sleeping by the pool", {"sleeping"}),
    ],
)
def test_what_stands_with_gendered_terms_is_done_or_there(text: str, names: set[str]) -> None:
    """Shoes are for running, and orange is a colour first."""
    numbers = {int(number) for number in _look(text).associated[0].split()}
    assert {vocabulary.associated()[number].name for number in numbers} == names
