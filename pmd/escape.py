r"""Others' words made harmless, one function a medium: what stands here is decided here and nowhere else.

Captions, URLs, headers, names of files, hosts and the texts of exceptions come from strangers, and so, often, do paths. They are
shown, never obeyed: no word of theirs starts a line of ours, moves a cursor, turns the direction of what follows, or is markup.

On a terminal, and in a pipe that may lead to one, a character that is obeyed or that nobody sees is spelled as Python spells
it: ``\x1b``, ``\n``, ``\u202e``, ``\U000e0001``. A backslash stands as it is. So escaping is idempotent, and not reversible:
``--json`` tells which it was.

The first module, since texts of errors need it.
"""

from __future__ import annotations

import html as _html
import re
from collections.abc import Mapping
from typing import Any, Final

#: Unicode's controls, formats, separators of lines and paragraphs, surrogates and private use (categories Cc, Cf, Zl, Zp, Cs, Co,
#: compared by a test), what it names `Default_Ignorable_Code_Point` beside them, and noncharacters. But for U+FE0E and U+FE0F,
#: which choose between a sign and an emoji, and are seen by that.
_UNSHOWN: Final = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\U000f0000-\U0010ffff"
)
_VALUE: Final = re.compile(f"[{_UNSHOWN}]")
#: Line feeds and tabs of a whole text are ours: in what is another's they are spelled already.
_PAGE: Final = re.compile(rf"(?![\n\t])[{_UNSHOWN}]")
#: What a spreadsheet takes for a formula, in either width; by one it may run a program or ask an address.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

#: C0 controls and DEL → their pictures (U+2400 …), but for white space: a browser shows what stands in their place.
_PICTURES: Final = {code: 0x2400 + code for code in range(0x20) if code not in {0x09, 0x0A, 0x0D}} | {0x7F: 0x2421}
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def terminal(value: object) -> str:
    """Return one value for a terminal, as one line."""
    return _VALUE.sub(_spelled, str(value))


def page(text: str) -> str:
    """Return a whole text for a terminal: its line feeds and tabs stay. Does nothing to what `terminal` has returned."""
    return _PAGE.sub(_spelled, text)


def shown(value: Any) -> Any:
    """Return a JSON-able value in which each string, names of fields included, is as `terminal` has it."""
    if isinstance(value, str):
        return terminal(value)
    if isinstance(value, Mapping):
        return {shown(key): shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value


def json(text: str) -> str:
    """Return a JSON text that means the same, and is harmless on a terminal: only strings can hold such characters."""
    return _PAGE.sub(lambda match: "".join(rf"\u{unit:04x}" for unit in _utf16(match[0])), text)


def toml(value: str) -> str:
    r"""Return a TOML basic string, quotes included.

    TOML has no lone surrogates, which a path of bytes that are no UTF-8 has: U+FFFD stands for each.
    """
    plain = _SURROGATES.sub("\ufffd", value).replace("\\", r"\\").replace('"', r"\"")
    return f'"{_VALUE.sub(lambda match: _in_toml(match[0]), plain)}"'


def yaml(value: str) -> str:
    """Return a YAML double-quoted string, quotes included: it has all escapes that a TOML basic string needs."""
    return toml(value)


def cell(text: str) -> str:
    """Return words for a cell of a CSV, which people open in spreadsheets: none of them is a formula.

    >>> cell("=1+1"), cell("a = b")
    ("'=1+1", 'a = b')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def html(value: object) -> str:
    """Return text for HTML, attributes included: markup is text, controls are seen.

    A lone surrogate, which no file can hold, is spelled.
    """
    return _html.escape(_SURROGATES.sub(_spelled, str(value).translate(_PICTURES)), quote=True)


def isolated(value: object) -> str:
    """Return HTML of a text whose direction, and whatever overrides it, ends with it."""
    return f"<bdi>{html(value)}</bdi>"


def _spelled(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code < 0x100:
        return _SHORT.get(character) or rf"\x{code:02x}"
    return rf"\u{code:04x}" if code < 0x10000 else rf"\U{code:08x}"


def _in_toml(character: str) -> str:
    code = ord(character)
    return rf"\u{code:04x}" if code < 0x10000 else rf"\U{code:08x}"


def _utf16(character: str) -> list[int]:
    code = ord(character)
    return [code] if code < 0x10000 else [0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)]
