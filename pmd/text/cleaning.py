"""Texts, a column at a time: normalising, counting words, undoing upstream's encodings, cutting captions.

Readers call what their source needs (`unquote_plus`, `strip_html`, `split_sentences`, …); curate calls `normalise` on
every text, last, so that one definition of a clean text holds for all sources. Column functions take and give
`pa.string()` arrays of one length, and null stays null. Most captions are plain ASCII and need nothing done: each
function first finds the rows that need work with one native scan, and only those become Python strings.

*White space* is what `str.split()` takes for it: the characters of Unicode's White_Space property and the four ASCII
separators U+001C…U+001F. Normalising and counting words share that definition, so a count never depends on which came
first.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final
from urllib import parse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: A text of characters that nobody sees (RE2): of control and format (Unicode's Cc and Cf), of white space, variation selectors,
#: the combining grapheme joiner, fillers of Hangul, Khmer's inherent vowels and the blank pattern of Braille.
_UNSEEN: Final = (
    r"^[\p{Cc}\p{Cf}\p{Z}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2800}\x{3164}\x{FFA0}"
    r"\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]*$"
)

#: A word: what `str.split()` leaves.
_WORD: Final = r"[^\s\x1c-\x1f]+"

#: Elements of the HTML Living Standard ("List of elements") and those it calls obsolete but names ("Non-conforming
#: features"), which Flickr users of 2004 to 2014 wrote. Anything else in angle brackets is text: `<PERSON>`, `<usr>`,
#: `<3`.
_ELEMENTS: Final = frozenset(
    """
    a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body br
    button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed
    fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img
    input ins isindex kbd keygen label legend li link listing main map mark marquee math menu meta meter multicol nav
    nextid nobr noembed noframes noscript object ol optgroup option output p param picture plaintext pre progress q rb
    rp rt rtc ruby s samp script search section select slot small source spacer span strike strong style sub summary
    sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xmp
    """.split()  # noqa: SIM905 (a list of 150 literals reads worse)
)

#: Elements whose tags part words, as a browser would by a new line or cell; tags of the others leave no trace.
_PARTING: Final = frozenset(
    """
    address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset figcaption
    figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input legend li listing main
    menu nav object ol optgroup option p plaintext pre search section select summary table tbody td textarea tfoot th
    thead title tr ul video xmp
    """.split()  # noqa: SIM905
)

#: Elements whose content is not text.
_RAW_END: Final = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}

#: A comment's start, a document type, or something like a tag. No part of it crosses another "<", and no part is tried
#: twice (possessive), so that looking for all of them takes time linear in the text, whatever it holds.
_MARKUP: Final = re.compile(
    r"""
    < (?: (?P<comment> !-- )
        | ![dD][oO][cC][tT][yY][pP][eE] (?=[\s>]) [^<>]*+ >
        | /?+ (?P<name> [a-zA-Z][a-zA-Z0-9]*+ ) (?=[\s/>])
          (?: (?: [^<>"'] | "[^"<]*+" | '[^'<]*+' )*+ >   # quoted values may hold ">"
            | [^<>]*+ >                                   # a quote without its pair is a character like others
          )
      )
    """,
    re.VERBOSE,
)

#: A decimal character reference with so many digits that `int` would refuse it; none of over 7 digits is a character.
_LONG_REFERENCE: Final = re.compile(r"&#(?=[0-9]{9})0*+([0-9]*+)")

_LANGUAGE: Final = "english"
_FEWEST_WORDS: Final = 3

_PERCENT: Final = ord("%")
_PLUS: Final = ord("+")
#: Byte → value of the hexadecimal digit that it is, or `_NO_DIGIT`.
_NO_DIGIT: Final = 16
_HEX_VALUES: Final = np.array(
    [int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else _NO_DIGIT for byte in range(256)], np.uint8
)

#: U+110000 is the first number that is no character; it decodes to U+FFFD.
_NO_CHARACTER: Final = "1114112"


def normalise(texts: pa.Array) -> pa.Array:
    """Return the texts in NFC, each run of white space one space, and none at either end.

    Idempotent. A text of white space alone becomes the empty text, not null.
    """
    strings = _strings(texts)
    untidy = _untidy(strings)
    if strings.null_count:
        untidy &= strings.is_valid().to_numpy(zero_copy_only=False)
    return _replaced(strings, pa.array(untidy), normalise_one)


def normalise_one(text: str) -> str:
    """Return one text as `normalise` does."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def shows_nothing(texts: pa.Array) -> NDArray[np.bool_]:
    """Return in which texts that `normalise` has been over nothing can be seen: empty ones, and null, among them.

    Joiners, marks of direction or of byte order and control characters are read by programs, and fillers are blank.
    """
    strings = _strings(texts)
    ends, data = content(strings)
    nothing: NDArray[np.bool_] = ends[1:] == ends[:-1]
    some = np.flatnonzero(~nothing)
    # Nearly all begin with a letter of ASCII, which can be seen.
    perhaps = some[data[ends[some]] - np.uint8(ord("!")) > ord("~") - ord("!")]
    if len(perhaps):
        hidden = pc.match_substring_regex(strings.take(pa.array(perhaps)), _UNSEEN)
        nothing[perhaps] = hidden.fill_null(False).to_numpy(zero_copy_only=False)
    if strings.null_count:
        nothing |= strings.is_null().to_numpy(zero_copy_only=False)
    return nothing


def word_count(texts: pa.Array) -> pa.Int32Array:
    """Return how many words each text has, cut at white space.

    The one rule that is evidenced is a split at white space. M4's WIT loader writes ``split(" ")``, which also counts
    the empty strings between two spaces; on normalised texts that are not empty both give the same.
    """
    strings = _strings(texts)
    counts = word_count_of_normalised(strings)
    untidy = _untidy(strings)
    if not untidy.any():
        return counts
    import polars as pl  # late: it takes a tenth of a second, and every command reads this module in

    # White space stays white space in NFC, so that words can be counted without it.
    some = pl.Series(pl.from_arrow(strings.filter(pa.array(untidy))), dtype=pl.String)
    words = some.str.count_matches(_WORD).to_arrow().cast(pa.int32())
    return pc.replace_with_mask(counts, pa.array(untidy), words)


def word_count_of_normalised(texts: pa.Array) -> pa.Int32Array:
    """Return `word_count` of texts that `normalise` has been over."""
    spaces = _count_byte(_strings(texts), ord(" "))
    return pc.add(spaces, pc.cast(pc.not_equal(texts, ""), pa.int32())).cast(pa.int32())


def _count_byte(texts: pa.Array, byte: int) -> pa.Int32Array:
    """Return how often a byte of ASCII stands in each text."""
    ends, data = content(texts)
    counts = np.zeros(len(texts), np.int32)
    some = np.flatnonzero(ends[1:] > ends[:-1])
    if len(some):
        is_byte = (data == byte).view(np.uint8)
        # Sums of single bytes, which take a part of what others take, cannot be of more than 255 of them.
        kind = np.uint8 if int(np.diff(ends).max()) <= np.iinfo(np.uint8).max else np.int32
        counts[some] = np.add.reduceat(is_byte, ends[some], dtype=kind)
    return pa.array(counts)


def content(texts: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return where each string ends among the bytes of all, with a zero before them, and these bytes. Nothing is copied."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts) + 1, np.int32), np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return ends - ends[0], np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _untidy(texts: pa.Array) -> NDArray[np.bool_]:
    """Return which texts `normalise` may change: those with anything but printable ASCII, or a space too many.

    They are found by their bytes, which takes a part of what a pattern takes (`[^ -~]|  |^ | $`).
    """
    ends, data = content(texts)
    found = np.zeros(len(texts), np.bool_)
    if not len(data):
        return found
    space = data == ord(" ")
    odd = data - np.uint8(ord(" ")) > ord("~") - ord(" ")  # what comes before the space wraps round to the end
    odd[1:] |= space[1:] & space[:-1]
    found[np.searchsorted(ends, np.flatnonzero(odd), "right") - 1] = True
    some = np.flatnonzero(ends[1:] > ends[:-1])
    found[some] |= space[ends[some]] | space[ends[some + 1] - 1]
    return found


def unquote_plus(texts: pa.Array) -> pa.Array:
    """Return the texts percent-decoded, "+" read as a space: exactly `urllib.parse.unquote_plus`.

    Bytes that are not UTF-8 once decoded become U+FFFD; a "%" without two hexadecimal digits stays.
    """
    strings = _strings(texts)
    if not strings.null_count:
        return _percent_decoded(strings)
    there = strings.is_valid()
    return pc.replace_with_mask(strings, there, _percent_decoded(strings.filter(there)))


def strip_html(texts: pa.Array) -> pa.Array:
    """Return the texts without HTML: tags, comments, scripts and styles removed, character references decoded.

    - Only names of HTML elements make a tag; `a < b`, `<3`, `<PERSON>`, `<usr>` and `<me@example.org>` stay as they
      are.
    - Tags that part words (`<br>`, `</p>`, `<td>` …) become a space, others (`<b>`, `<a …>`) vanish. White space is
      otherwise left for `normalise`.
    - One round: what the references spell (`&lt;b&gt;`) is text, and is not looked at again.
    - What is not closed is text: a comment without its end, a tag without ">". A script without its end loses its tag
      only.
    - Time is linear in the length of the text.
    """
    return _replace_where(texts, "[<&]", _strip_html)


def split_sentences(narratives: Sequence[str]) -> list[list[str]]:
    """Return the captions of each narrative, in order, as the Localized Narratives in facebook/pmd are cut.

    The rule (M4's loader): cut at every full stop; ignore pieces that are empty once stripped; each other piece,
    stripped, has its full stop put back, the last one too, even where the narrative ends without. No fewest words, no
    abbreviations: "approx. 3.5 m" is three captions.
    """
    return [[f"{piece}." for part in narrative.split(".") if (piece := part.strip())] for narrative in narratives]


def drop_non_ascii(texts: pa.Array) -> pa.Array:
    """Return the texts without the characters of code point 128 and above, and nothing else changed.

    As in M4's WIT loader: neither stripped nor collapsed afterwards ("a — b" becomes "a  b").
    """
    strings = _strings(texts)
    return pc.replace_substring_regex(strings, r"[^\x00-\x7F]+", "")


def attribution_english(text: str) -> str | None:
    """Return the English part of a WIT attribution ("English: A cat Русский: Кот"), or None.

    M4's rule. Only a text that contains "english:" in any case is looked at. It is cut at ": "; for each piece that
    begins or ends with "english", stripped and in any case, the next piece is taken; where yet another follows, its
    last word is dropped, being the name of the next language. The loop does not stop, so that the last such piece
    wins, even when it is the poorer one. At least three words must be left; words are cut at white space and joined
    by single spaces.
    """
    if f"{_LANGUAGE}:" not in text.lower():
        return None
    pieces = text.split(": ")
    words: list[str] = []
    for position, piece in enumerate(pieces[:-1]):
        label = piece.strip().lower()
        if label.startswith(_LANGUAGE) or label.endswith(_LANGUAGE):
            words = pieces[position + 1].split()
            if position + 2 < len(pieces):
                words = words[:-1]
    return " ".join(words) if len(words) >= _FEWEST_WORDS else None


def _strings(texts: pa.Array) -> pa.Array:
    return texts if texts.type == pa.string() else texts.cast(pa.string())


def _replace_where(texts: pa.Array, pattern: str, change: Callable[[str], str]) -> pa.Array:
    """Apply `change` to the texts in which an RE2 pattern is found; leave the others as they are."""
    strings = _strings(texts)
    return _replaced(strings, pc.fill_null(pc.match_substring_regex(strings, pattern), fill_value=False), change)


def _replaced(strings: pa.Array, matching: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Apply `change` to some texts, none of them null."""
    if not pc.any(matching).as_py():
        return strings
    changed = pa.array([change(text) for text in strings.filter(matching).to_pylist()], type=pa.string())
    return pc.replace_with_mask(strings, matching, changed)


def _percent_decoded(texts: pa.StringArray) -> pa.StringArray:
    """Return texts without nulls decoded, over their common buffer; halves what is not UTF-8 until it is alone."""
    offsets, data = content(texts)
    decoded = data.copy()
    decoded[data == _PLUS] = ord(" ")
    signs = np.flatnonzero(data == _PERCENT)
    signs = signs[signs + 2 < offsets[np.searchsorted(offsets, signs, side="right")]]
    high, low = _HEX_VALUES[data[signs + 1]], _HEX_VALUES[data[signs + 2]]
    escapes = (high < _NO_DIGIT) & (low < _NO_DIGIT)
    signs = signs[escapes]
    stays = np.ones(len(data), np.bool_)
    decoded[signs] = high[escapes] << 4 | low[escapes]
    stays[signs + 1] = stays[signs + 2] = False
    moved = (offsets - 2 * np.searchsorted(signs, offsets)).astype(np.int32)
    result = pa.StringArray.from_buffers(len(texts), pa.py_buffer(moved), pa.py_buffer(decoded[stays]))
    try:
        result.validate(full=True)
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return pa.array([_unquote(texts[0].as_py().replace("+", " "))], pa.string())
        middle = len(texts) // 2
        return pa.concat_arrays([_percent_decoded(texts.slice(0, middle)), _percent_decoded(texts.slice(middle))])
    return result


def _unquote(text: str) -> str:
    # `parse.unquote` cuts a text into its ASCII and other runs first; where there is but one run that is wasted.
    if text.isascii():
        return parse.unquote_to_bytes(text).decode("utf-8", "replace")
    return parse.unquote(text)


def _strip_html(text: str) -> str:
    kept: list[str] = []
    position = 0
    last_comment_end: int | None = None
    endless: set[str] = set()
    while (match := _MARKUP.search(text, position)) is not None:
        start, end = match.span()
        name = (match["name"] or "").lower()
        if name and name not in _ELEMENTS:
            kept.append(_decode_references(text[position : start + 1]))
            position = start + 1
            continue
        if match["comment"]:
            if last_comment_end is None:
                last_comment_end = text.rfind("-->")
            if last_comment_end < end:
                kept.append(_decode_references(text[position:end]))
                position = end
                continue
            end = text.index("-->", end) + 3
        elif name in _RAW_END and text[start + 1] != "/" and name not in endless:
            closing = _RAW_END[name].search(text, end)
            if closing is None:
                endless.add(name)
            else:
                end = closing.start()
        kept.append(_decode_references(text[position:start]))
        if name in _PARTING:
            kept.append(" ")
        position = end
    kept.append(_decode_references(text[position:]))
    return "".join(kept)


def _decode_references(text: str) -> str:
    if "&#" in text:
        text = _LONG_REFERENCE.sub(_shorten, text)
    return html.unescape(text)


def _shorten(reference: re.Match[str]) -> str:
    digits = reference[1]
    return "&#" + (_NO_CHARACTER if len(digits) > len(_NO_CHARACTER) else digits or "0")
