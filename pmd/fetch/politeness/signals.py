"""Signals on training, which speak of use and not of access: Content-Signal and Content-Usage.

Both are a header of the answer, and a line of robots.txt that may begin with a pattern of paths:

- `Content-Signal: search=yes, ai-train=no`: Cloudflare's Content Signals Policy (contentsignals.org, September 2025).
- `Content-Usage: /photos/ train-ai=n`: the IETF's AIPREF, of which there are drafts so far. Followed are
  draft-ietf-aipref-vocab-08 and draft-ietf-aipref-attach-05.

What they say of training counts, and nothing else. Both are read alike, and more readily than AIPREF's draft asks. That has a
dictionary (RFC 9651), which one mistake makes void. Here capitals, quotes, missing commas and blanks around "=" are no mistake.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

#: The names of both, as they are in headers and in robots.txt.
NAMES: Final = ("Content-Signal", "Content-Usage")

#: What AIPREF's drafts up to -04 had around all of training; it counts where nothing is said of training itself.
_ALL: Final = "bots"
#: `train-genai` is of the same drafts: the training that `train-ai` means since.
_SAID: Final = re.compile(
    rf"(?<![\w.*-])(ai-train|train-ai|train-genai|{_ALL})[ \t]*=[ \t]*[\"']?([\w-]+)", re.ASCII | re.IGNORECASE
)
#: `yes` and `no` are Content-Signal's, `y` and `n` AIPREF's; spatie/laravel-markdown-response sends the others.
_WORDS: Final = {"yes": True, "y": True, "allow": True, "no": False, "n": False, "disallow": False}


class Signal(NamedTuple):
    """A line of robots.txt: for which paths, whether training is allowed."""

    pattern: str
    allow: bool


def allows(said: str) -> bool | None:
    """Return whether a signal allows training, or None where it says nothing of that; where it says both, it does not."""
    training, all_use = list[bool](), list[bool]()
    for key, word in _SAID.findall(said):
        allowed = _WORDS.get(word.lower())
        if allowed is not None:
            (all_use if key.lower() == _ALL else training).append(allowed)
    stated = training or all_use
    return all(stated) if stated else None


def line(value: str) -> Signal | None:
    """Return what a line of robots.txt says, or None where that is nothing of training.

    Args:
        value: What stands behind the colon: the signal, perhaps with a pattern before it. Without one, all paths are meant.
    """
    pattern, said = "/", value
    if value.startswith(("/", "*")):
        pattern, *rest = value.split(maxsplit=1)
        said = "".join(rest)
    allowed = allows(said)
    return None if allowed is None else Signal(pattern, allowed)


def denying_header(name: str, values: Sequence[str]) -> str | None:
    """Return a header that forbids training, as one line, or None.

    Args:
        name: One of `NAMES`.
        values: The header's, one a header line.
    """
    said = ", ".join(values)
    return f"{name}: {said}" if allows(said) is False else None
