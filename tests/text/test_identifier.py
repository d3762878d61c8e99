"""fastText's model worked out on whole columns: the answers are fastText's own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.text import identifier, language
from pmd.text.tokens import Tokens

LINES = (
    "A man in an orange hat is starring at something",
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt",
    "Muž v oranžovém klobouku na něco zírá",
    "ある男がオレンジ色の帽子をかぶっている",
    "שלום, מה שלומך היום חברים יקרים",
    "  two  spaces ",
    "a",
    "<b> >< <>",
    # Words that mean something to fastText: a label, and the end of the text.
    "__label__en __label__xx oui",
    "this is English </s> aber das nicht mehr",
    "</s> das ist ein Haus",
    "das</s> ist ein Haus",
)


def _asked(*lines: str) -> identifier.Asked:
    return identifier.Asked(language._model(), Tokens.of(pa.array(lines, pa.string())), "en")


def _likeliest(*lines: str, least: float = 0.0) -> tuple[list[str], list[float]]:
    places, probabilities = _asked(*lines).likeliest(np.arange(len(lines)), least)
    return [language._model().labels[place] for place in places.tolist()], probabilities.tolist()


def _fasttext(line: str) -> tuple[str, float]:
    ((probability, label),) = language._fasttext().predict(f"{line}\n", 1, 0.0, "strict")
    return label.removeprefix("__label__"), min(probability, 1.0)


def _agree(*lines: str) -> None:
    labels, probabilities = _likeliest(*lines)
    english = _asked(*lines).probability
    for line, label, probability, as_english in zip(lines, labels, probabilities, english, strict=True):
        theirs, likely = _fasttext(line)
        assert probability == pytest.approx(likely, abs=2e-5), line
        assert label == theirs, line
        assert as_english == pytest.approx(likely, abs=2e-5) if theirs == "en" else as_english < likely + 2e-5


def test_answers_are_fasttexts() -> None:
    _agree(*LINES)


@settings(max_examples=80)
@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]) | st.just(" ") | st.sampled_from("etaoinshr"),
        max_size=40,
    )
)
def test_answers_to_any_line_are_fasttexts(line: str) -> None:
    _agree(*pc.fill_null(language.readable(pa.array([line], pa.string())), "").to_pylist())


@settings(max_examples=80)
@given(st.lists(st.sampled_from(["</s>", "", "das", "ist", "a", "</s", "__label__en", "</s></s>"]), max_size=7))
def test_what_stands_behind_the_end_is_nothing_wherever_it_is(words: list[str]) -> None:
    _agree(" ".join(words))


def test_answers_do_not_depend_on_the_company() -> None:
    alone = [_asked(line).probability[0] for line in LINES]
    assert _asked(*LINES).probability.tolist() == alone
    assert _asked(*LINES[::-1]).probability.tolist() == alone[::-1]
    places, probabilities = _asked(*LINES).likeliest(np.array([3, 1]))
    assert [language._model().labels[place] for place in places] == ["ja", "de"]
    assert probabilities.tolist() == [_asked(LINES[place]).likeliest(np.array([0]))[1][0] for place in (3, 1)]


def test_lines_may_be_many_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifier, "_LINES", 2)
    assert _likeliest(*LINES[:5])[0] == ["en", "de", "cs", "ja", "he"]
    assert _asked().probability.tolist() == []
    assert _asked().likeliest(np.zeros(0, np.intp))[0].tolist() == []


@pytest.mark.parametrize("least", [0.0, 0.1, 0.4, 0.9])
def test_languages_that_are_less_likely_are_none(least: float) -> None:
    places, probabilities = _asked(*LINES).likeliest(np.arange(len(LINES)))
    found, likely = _asked(*LINES).likeliest(np.arange(len(LINES)), least)
    there = probabilities >= least
    assert found.tolist() == np.where(there, places, -1).tolist()
    assert likely.tolist() == np.where(there, probabilities, 0).tolist()


def test_a_language_that_is_just_likely_enough_is_found() -> None:
    """Also where it is likelier than the branch that it hangs on, by what fastText adds."""
    places, probabilities = _asked(*LINES).likeliest(np.arange(len(LINES)))
    for line, place, probability in zip(LINES, places.tolist(), probabilities.tolist(), strict=True):
        assert _asked(line).likeliest(np.zeros(1, np.intp), probability)[0].tolist() == [place], line


def test_words_that_were_seen_are_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []
    rows = identifier._rows
    monkeypatch.setattr(identifier, "_rows", lambda model, texts: worked.extend(texts) or rows(model, texts))
    seen = identifier._Seen(language._model())
    branches = [branch for branch, _ in language._model().path("en")]
    first = seen.facts(["one", "two", "one"], [identifier.SIZE])
    assert worked == ["one", "two"]
    again = seen.facts(["two", "three"], [identifier.SIZE])
    assert worked == ["one", "two", "three"]
    assert (first[0][1], first[0][0]) == (again[0][0], first[0][2])
    seen.facts(["one"], branches)  # what was not asked of a word is
    assert worked[3:] == ["one"]


def test_no_more_words_are_kept_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"word{number}" for number in range(40)]
    branches = [identifier.SIZE, *(branch for branch, _ in language._model().path("en"))]
    whole = identifier._Seen(language._model()).facts(words, branches)
    monkeypatch.setattr(identifier, "_KEPT", 16)
    seen = identifier._Seen(language._model())
    for start, size in ((0, 10), (5, 10), (12, 16), (0, 16), (3, 40), (30, 3)):
        some = slice(start, start + size)
        found = seen.facts(words[some], branches)
        assert [one.tolist() for one in found] == [one[some].tolist() for one in whole]
        assert len(seen._places) <= 16


def test_words_that_are_long_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chinese, Japanese and Thai have no blanks: a sentence is a word."""
    monkeypatch.setattr(identifier, "_KEPT_CHARACTERS", 1000)
    whole = identifier._Seen(language._model())
    seen = identifier._Seen(language._model())
    for start in range(0, 60, 6):
        words = [chr(0x4E00 + number) * 50 for number in range(start, start + 6)]
        assert seen.facts(words, [identifier.SIZE])[0].tolist() == whole._summed(words, identifier.SIZE).tolist()
        assert sum(map(len, seen._places)) <= 1000
    seen.facts(["a" * 1001], [identifier.SIZE])
    assert not seen._places


def test_another_file_is_no_model() -> None:
    with pytest.raises(ValueError, match="not a model of fastText's format 12"):
        identifier.read(bytes(64))
    head = language._model_file().read_bytes()
    loss = 8 + 4 * 6
    with pytest.raises(ValueError, match="not a quantised model with hierarchical softmax and single words"):
        identifier.read(head[:loss] + (3).to_bytes(4, "little") + head[loss + 4 :])
