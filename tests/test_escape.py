"""Others' words in every medium: over any text, nothing is obeyed, nothing is lost that can be kept, and twice is once."""

from __future__ import annotations

import html.parser
import json
import sys
import tomllib
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pmd import escape

#: Any text, lone surrogates too, with many of the characters that matter.
ODD = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Co"]),
        st.sampled_from("<>&\"'\\\n\t\r\x1b\x9b\u202e\u2066\u200f\ufeff\u2028\ud800\U000e0041="),
    )
)
WORDS = ODD.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))


def is_obeyed(character: str) -> bool:
    """Return whether a terminal may do something at a character, or show nothing of it, by Unicode's own tables."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Co"}


@given(ODD)
def test_a_value_is_one_line_of_what_is_seen(text: str) -> None:
    shown = escape.terminal(text)
    assert not any(map(is_obeyed, shown))
    assert len(shown.splitlines()) <= 1
    assert escape.terminal(shown) == shown
    assert escape.page(shown) == shown
    assert shown.encode().decode() == shown


@given(ODD)
def test_a_page_keeps_its_lines(text: str) -> None:
    shown = escape.page(text)
    assert not any(is_obeyed(character) for character in shown if character not in "\n\t")
    assert shown.count("\n") == text.count("\n")
    assert escape.page(shown) == shown


def test_every_character_that_is_obeyed_is_spelled_and_every_letter_stays() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        spelled = escape.terminal(character) != character
        if is_obeyed(character):
            assert spelled, hex(code)
        if unicodedata.category(character) in {"Lu", "Ll", "Nd", "Po", "Sm", "Sc", "Zs"}:
            assert not spelled, hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a boat on a lake", "a boat on a lake"),
        ("naïve café 日本 ❤\ufe0f \u00a0", "naïve café 日本 ❤\ufe0f \u00a0"),
        ("\x1b]0;TITLE\x07", r"\x1b]0;TITLE\x07"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("\u202egpj.exe\u202c", r"\u202egpj.exe\u202c"),
        ("\u200b\u200e\u061c\ufeff\u2028\u2066", r"\u200b\u200e\u061c\ufeff\u2028\u2066"),
        ("\u3164\u115f\u034f\u2065\uffff", r"\u3164\u115f\u034f\u2065\uffff"),
        ("\udcff\ue000\U000e0041\U0010ffff", r"\udcff\ue000\U000e0041\U0010ffff"),
        (r"\x1b as it is", r"\x1b as it is"),
    ],
)
def test_how_it_is_spelled(text: str, shown: str) -> None:
    assert escape.terminal(text) == shown


def test_all_strings_of_a_value_are_escaped() -> None:
    value = {"a\n": ["\x1b", 1, None, {"b": ("\u202e", 2.5, True)}]}
    assert escape.shown(value) == {r"a\n": [r"\x1b", 1, None, {"b": [r"\u202e", 2.5, True]}]}


@given(st.recursive(WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)))
def test_json_means_the_same(value: object) -> None:
    for text in (json.dumps(value, ensure_ascii=False, indent=2), json.dumps(value)):
        shown = escape.json(text)
        assert json.loads(shown) == value
        assert not any(is_obeyed(character) for character in shown if character != "\n")


@given(WORDS)
def test_toml_gives_the_text_back(text: str) -> None:
    written = escape.toml(text)
    assert tomllib.loads(f"key = {written}\nother = 1") == {"key": text, "other": 1}
    assert not any(map(is_obeyed, written))


@given(WORDS)
def test_yaml_gives_the_text_back(text: str) -> None:
    written = escape.yaml(text)
    assert yaml.safe_load(f"key: {written}\nother: 1") == {"key": text, "other": 1}
    assert not any(map(is_obeyed, written))


def test_toml_has_no_lone_surrogates() -> None:
    assert tomllib.loads(f"key = {escape.toml('a' + chr(0xDCFF))}") == {"key": "a\ufffd"}


class _Parser(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words, self.attributes, self.tags = "", [], []  # type: ignore[var-annotated]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


@given(ODD)
def test_html_is_text_in_content_and_in_attributes(text: str) -> None:
    written = escape.html(text)
    found = _Parser(f"<p title=\"{written}\" lang='{written}'>{written}</p>")
    assert found.tags == ["p"]
    assert [name for name, _ in found.attributes] == ["title", "lang"]
    values = [found.words, *(value or "" for _, value in found.attributes)]
    for value in values:
        assert not any(ord(character) < 0x20 and character not in "\t\n\r" for character in value)
        assert value.encode().decode() == value
    assert set(values) == {values[0]}


@given(ODD)
def test_direction_ends_with_the_words(text: str) -> None:
    assert _Parser(escape.isolated(text)).tags == ["bdi"]
    assert escape.isolated(text) == f"<bdi>{escape.html(text)}</bdi>"
