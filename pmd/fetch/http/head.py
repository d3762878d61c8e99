"""What an answer says before its body: the status and the headers, as octets that nobody vouches for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9.]+ +([1-9][0-9]{2})(?:\s|$)", re.IGNORECASE)

_BLANK: Final = " \t\r\n"
_BLANK_OCTETS: Final = _BLANK.encode()
_BLANKS: Final = frozenset({b" ", b"\t"})

#: Digits of a length that is believed.
_LENGTH_DIGITS: Final = 18
ENDLESS: Final = 10**_LENGTH_DIGITS


class Head(NamedTuple):
    """The status of an answer, and its headers by their names in small letters, each with all its values in order.

    Attributes:
        http_status: 0 where the status line has none of three digits.
        headers: Octets that are no UTF-8 stand in values as PEP 383 has them.
    """

    http_status: int
    headers: dict[str, list[str]]

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> Head:
        """Return the head whose lines these are, the status line first, each with its end.

        A line without a colon is passed over. One that begins with a blank goes on with the one before (RFC 9112 §5.2).
        """
        status = _STATUS_LINE.match(lines[0]) if lines else None
        headers: dict[str, list[str]] = {}
        rest = b"".join(lines[1:])
        if b"\n " in rest or b"\n\t" in rest or rest[:1] in _BLANKS:
            rest = b"\n".join(_unfolded(lines[1:]))
        for line in rest.decode("utf-8", "surrogateescape").split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                headers.setdefault(name.strip(_BLANK).lower(), []).append(value.strip(_BLANK))
        return cls(int(status[1]) if status else 0, headers)

    @property
    def is_interim(self) -> bool:
        """Whether another answer follows (RFC 9110 §15.2); one that switches protocols is the last that is HTTP."""
        return 100 <= self.http_status < 200 and self.http_status != 101

    def all(self, name: str) -> list[str]:
        """Return all values of a header, in order; `name` in small letters."""
        return self.headers.get(name, [])

    def first(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        values = self.headers.get(name)
        return values[0] if values else None

    @property
    def has_end(self) -> bool:
        """Whether it says where the body ends; else only the connection's end does (RFC 9112 §6.3)."""
        if "transfer-encoding" in self.headers:
            return "chunked" in self.transfer_codings
        return self.content_length is not None

    @property
    def content_length(self) -> int | None:
        """How long the body is said to be; None where nothing is said that is a number, `ENDLESS` for more than anybody sends.

        Where it comes in chunks, they say where it ends, and a length beside them nothing (RFC 9112 §6.3).
        """
        said = self.first("content-length") if "chunked" not in self.transfer_codings else None
        if not said or not (said.isascii() and said.isdigit()):
            return None
        return int(said) if len(said) <= _LENGTH_DIGITS else ENDLESS

    @property
    def transfer_codings(self) -> list[str]:
        """The transfer codings that it names. Browsers know "chunked" alone, and pass over what else stands there."""
        said = self.headers.get("transfer-encoding", ())
        return [coding.strip(_BLANK).lower() for value in said for coding in value.split(",")]


def _unfolded(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield header lines, those that go on with the one before put behind it; lines without a colon have none behind them."""
    pieces: list[bytes] = []
    for line in lines:
        if pieces and _goes_on(line):
            pieces.append(line.strip(_BLANK_OCTETS))
        elif b":" in line:
            yield b" ".join(filter(None, pieces))
            pieces = [line.strip(_BLANK_OCTETS)]
    yield b" ".join(filter(None, pieces))


def _goes_on(line: bytes) -> bool:
    return line[:1] in _BLANKS
