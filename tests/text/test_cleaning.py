"""Normalising, decoding and cutting texts."""

from __future__ import annotations

import html
import re
import unicodedata
from pathlib import Path
from urllib import parse

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.text import cleaning

#: Arrow holds UTF-8, which has no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SPACED = st.text(st.sampled_from("ab é\u0301e\t\n\r\x0b\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000\u200b\ufeff Å"))
ENCODED = st.text(st.sampled_from("%+0123456789abcdefABCDEFé &\n"))
MARKED = st.lists(
    st.sampled_from(
        [
            "<",
            ">",
            "</",
            "/>",
            "<b>",
            "</b>",
            "<br>",
            '<a href="x>y">',
            "<PERSON>",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "<style ",
            "&",
            "&amp;",
            "&lt",
            ";",
            "&#",
            "&#x",
            "9" * 20,
            '"',
            "'",
            " ",
            "text",
            "p",
            "é",
        ]
    )
).map("".join)


def column(*values: str | None) -> pa.Array:
    return pa.array(values, type=pa.string())


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("A man.", "A man."),
        ("", ""),
        ("  \n ", ""),
        (" two  words\n", "two words"),
        ("a\tb\r\nc\x0bd\x0ce", "a b c d e"),
        ("a\x1cb\x1fc", "a b c"),
        ("a\xa0b\u2003c\u2028d\u3000e\x85f\u1680g\u202fh\u205fi", "a b c d e f g h i"),
        ("zero\u200bwidth", "zero\u200bwidth"),
        ("cafe\u0301", "café"),
        ("\u212b", "Å"),
        ("\ufb01ne ½ ²", "\ufb01ne ½ ²"),
        ("nul\x00 and\x7f", "nul\x00 and\x7f"),
    ],
)
def test_normalise(raw: str, clean: str) -> None:
    assert cleaning.normalise_one(raw) == clean
    assert cleaning.normalise(column("before", raw, None, raw)).to_pylist() == ["before", clean, None, clean]


@given(st.lists(st.none() | SPACED | TEXTS))
def test_normalise_is_idempotent_and_loses_no_word(raws: list[str | None]) -> None:
    once = cleaning.normalise(column(*raws))
    assert once.type == pa.string()
    assert cleaning.normalise(once).equals(once)
    for raw, clean in zip(raws, once.to_pylist(), strict=True):
        if raw is None:
            assert clean is None
        else:
            assert clean == cleaning.normalise_one(raw)
            assert clean.split(" ") == (unicodedata.normalize("NFC", raw).split() or [""])


def test_columns_may_be_empty_sliced_or_large() -> None:
    sliced = column("no", " a  b ", None, "no")[1:3]
    for function in (cleaning.normalise, cleaning.strip_html, cleaning.unquote_plus, cleaning.drop_non_ascii):
        assert function(column()).to_pylist() == []
        assert function(pa.array([None], type=pa.string())).to_pylist() == [None]
    assert cleaning.normalise(sliced).to_pylist() == ["a b", None]
    assert cleaning.normalise(sliced.cast(pa.large_string())).type == pa.string()
    assert cleaning.word_count(sliced).to_pylist() == [2, None]
    assert cleaning.word_count(column("a b", "", "a " * 300)).to_pylist() == [2, 0, 300]


@given(st.lists(st.none() | SPACED | TEXTS))
def test_word_count_is_that_of_split(raws: list[str | None]) -> None:
    counts = cleaning.word_count(column(*raws))
    assert counts.type == pa.int32()
    assert counts.to_pylist() == [None if raw is None else len(raw.split()) for raw in raws]


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("My+vacation", "My vacation"),
        ("100%25+caf%C3%A9%2Bbar", "100% café+bar"),
        ("50% off %zz %", "50% off %zz %"),
        ("%E9", "\ufffd"),
        ("é%C3%A9+", "éé "),
        ("%0A%3Cb%3E", "\n<b>"),
    ],
)
def test_unquote_plus(raw: str, decoded: str) -> None:
    assert cleaning.unquote_plus(column(raw)).to_pylist() == [decoded]


@given(st.lists(st.none() | ENCODED | TEXTS))
def test_unquote_plus_is_the_standard_library_s(raws: list[str | None]) -> None:
    assert cleaning.unquote_plus(column(*raws)).to_pylist() == [
        raw if raw is None else parse.unquote_plus(raw) for raw in raws
    ]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("no markup at all", "no markup at all"),
        ('see <a href="http://a.example/?x=1&amp;y=2" rel="nofollow">the <b>page</b></a>!', "see the page!"),
        ("one<br>two<BR/>three<br />four", "one two three four"),
        ("<p>one</p><p>two</p>", " one  two "),
        ("<b>bold</b>ly", "boldly"),
        ("a < b and c > d", "a < b and c > d"),
        ("I <3 you", "I <3 you"),
        ("portrait of <PERSON> with <usr>", "portrait of <PERSON> with <usr>"),
        ("<me@example.org> <http://a.example> <i.e. this>", "<me@example.org> <http://a.example> <i.e. this>"),
        ("<<b>>", "<>"),
        ('<img alt="a > b">x', " x"),
        ("<a title=it's>x</a>", "x"),
        ('<a href="x>y</a>', "y"),
        ("cut off <a href='x", "cut off <a href='x"),
        ("AT&amp;T, fish &amp;amp; chips, R&D", "AT&T, fish &amp; chips, R&D"),
        ("&lt;b&gt;text&lt;/b&gt;", "<b>text</b>"),
        ("caf&eacute; &#233;&#xE9;&nbsp;&unknown;", "café éé\xa0&unknown;"),
        ("a<!-- b <i>c</i> -->d<!-- e", "ad<!-- e"),
        ("a<script type='x'>if (a<b) {}</script >b<style>i{}</STYLE>c", "abc"),
        ("a<script>b", "ab"),
        ("<!DOCTYPE html><html>x", " x"),
        ("&am<b>p;</b>", "&amp;"),
        ("&#000000000000065;", "A"),
        ("&#99999999999;&#1114112;&#xD800;&#0;", "\ufffd" * 4),
    ],
)
def test_strip_html(marked: str, plain: str) -> None:
    assert cleaning.strip_html(column(marked, None)).to_pylist() == [plain, None]


@given(st.lists(MARKED))
def test_strip_html_never_raises_and_keeps_all_letters_outside_tags(raws: list[str]) -> None:
    for raw, plain in zip(raws, cleaning.strip_html(column(*raws)).to_pylist(), strict=True):
        if "<" not in raw and "9" not in raw:
            assert plain == html.unescape(raw)
        # Only what stands in tags, comments and scripts may go.
        if not re.search("<!--|<script|<style|<a|</", raw):
            assert plain.count("text") == raw.count("text")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a ",
        "<a '",
        "<a \"'",
        "<a '\"<b \"'",
        "<!--",
        "<!-- -",
        "<script>",
        "<script></scrip",
        "<style <script ",
        "&#9",
        "&",
        "</",
        "<b",
        "<x>",
        "<a x=",
        "&#",
        '<a ""',
        "<!doctype ",
    ],
)
def test_strip_html_is_linear_on_hostile_text(unit: str) -> None:
    # Quadratic behaviour would need hours for this.
    hostile = unit * (400_000 // len(unit))
    assert cleaning.strip_html(column(hostile, "<b>next</b>")).to_pylist()[1] == "next"


@pytest.mark.parametrize("digits", ["9" * 100_000, "0" * 100_000 + "65"])
def test_strip_html_survives_references_that_int_refuses(digits: str) -> None:
    expected = "\ufffd" if digits[0] == "9" else "A"
    assert cleaning.strip_html(column(f"&#{digits};")).to_pylist() == [expected]


def test_split_sentences() -> None:
    assert cleaning.split_sentences(
        [
            "In this image I can see a cat. There is a mat.",
            "No full stop",
            "",
            " . .. \n",
            "approx. 3.5 m  .Next",
        ]
    ) == [
        ["In this image I can see a cat.", "There is a mat."],
        ["No full stop."],
        [],
        [],
        ["approx.", "3.", "5 m.", "Next."],
    ]


@given(st.lists(st.text(st.sampled_from("ab. \n"))))
def test_split_sentences_loses_nothing_but_space(narratives: list[str]) -> None:
    for narrative, sentences in zip(narratives, cleaning.split_sentences(narratives), strict=True):
        kept = [letter for sentence in sentences for letter in sentence if letter in "ab"]
        assert kept == [letter for letter in narrative if letter in "ab"]
        assert all(sentence.endswith(".") and sentence.strip() == sentence != "." for sentence in sentences)


def test_drop_non_ascii() -> None:
    assert cleaning.drop_non_ascii(column("a — b", "naïve ", "日本", None, "plain\x7f")).to_pylist() == [
        "a  b",
        "nave ",
        "",
        None,
        "plain\x7f",
    ]


@given(st.lists(TEXTS))
def test_drop_non_ascii_drops_nothing_else(raws: list[str]) -> None:
    assert cleaning.drop_non_ascii(column(*raws)).to_pylist() == [
        "".join(c for c in raw if ord(c) < 128) for raw in raws
    ]


@pytest.mark.parametrize(
    ("attribution", "caption"),
    [
        ("English: A cat on a mat", "A cat on a mat"),
        ("English: A cat on a mat Русский: Кот", "A cat on a mat"),
        ("Русский: Кот English: A cat on a mat", "A cat on a mat"),
        ("Русский: Кот English: A cat on a mat Deutsch: Eine Katze", "A cat on a mat"),
        ("ENGLISH: a cat sat", "a cat sat"),
        ("English: two words", None),
        ("English: one two Русский: Кот", None),
        ("English:no space after it", None),
        ("Deutsch: Eine Katze auf der Matte", None),
        ("A cat on a mat", None),
        ("", None),
        # A piece that begins with the name counts too, and the last one wins.
        ("English: English walnut in a bowl: close view of it", "close view of it"),
        ("English: A cat on a mat English: Short Deutsch: Katze", None),
        # Nothing follows the last piece, so that it takes nothing.
        ("English: A cat who is English", "A cat who is English"),
    ],
)
def test_attribution_english(attribution: str, caption: str | None) -> None:
    assert cleaning.attribution_english(attribution) == caption


def test_genuine_yfcc_descriptions(samples: Path) -> None:
    with (samples / "yfcc100m" / "yfcc100m_dataset_25col.tsv").open(encoding="utf-8", newline="\n") as file:
        raw = [line.split("\t")[9] for line in file]
    decoded = cleaning.unquote_plus(column(*raw))
    assert decoded.to_pylist() == [parse.unquote_plus(cell) for cell in raw]
    plain = cleaning.normalise(cleaning.strip_html(decoded)).to_pylist()
    assert any("<a href" in cell for cell in decoded.to_pylist())
    assert not any(re.search(r"</?(a|b|i)[ >]", cell) for cell in plain)


def test_genuine_narratives(samples: Path) -> None:
    lines = (samples / "localized_narratives" / "captions_only_100.tsv").read_text(encoding="utf-8").splitlines()
    narratives = [line.split("\t")[-1] for line in lines]
    split = cleaning.split_sentences(narratives)
    assert sum(map(len, split)) > len(narratives) == 100
    for narrative, sentences in zip(narratives, split, strict=True):
        assert "".join("".join(sentences).split()).replace(".", "") == "".join(narrative.split()).replace(".", "")


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("", True),
        (None, True),
        ("\u200b\u200b", True),
        ("\ufeff", True),
        ("\0\x07\x7f", True),
        ("\u00ad \u2060\u200d", True),
        ("\u3164\u2800\ufe0f", True),
        ("\u202e\U000e0101", True),
        ("a", False),
        ("!", False),
        ("~", False),
        ("\u200ba", False),
        ("\u200d\u2764\ufe0f", False),
        ("\u6771\u4eac", False),
        ("\U0001f600", False),
        ("\ufffd", False),
        ("\u0301", False),
    ],
)
def test_texts_in_which_nothing_can_be_seen(text: str | None, nothing: bool) -> None:
    texts = pa.array(["a cat", text, "\u200b", None, text], pa.string())
    assert cleaning.shows_nothing(texts).tolist() == [False, nothing, True, True, nothing]
    assert cleaning.shows_nothing(texts.slice(1, 1)).tolist() == [nothing]
    assert cleaning.shows_nothing(texts.slice(0, 0)).tolist() == []
