"""What a rejected row's detail says of the row, whatever the options are called that it was judged by.

A detail may be put together of parts, "reference: 0 words; attribution: 3 words", one for each choice of an option, in the
option's order. Under another profile another choice reads the same column ("attribution_english"), or the order is another.
That is the option, which `diff` tells elsewhere, and no difference of the row.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pmd import sources

_LABEL: Final = re.compile(r"(\w+): ")


def choices(names: Iterable[str]) -> frozenset[str]:
    """Return every choice of the options of some sources; of one whose reader is not installed, none."""
    known = set(sources.names())
    models = [sources.load(name).options for name in names if name in known]
    return frozenset(
        word for model in models for field in model.model_fields.values() for word in _words(field.annotation)
    )


def _words(annotation: Any) -> Iterator[str]:
    """Yield the strings of a type's literals, however deep they stand."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        yield from (word for word in inner if isinstance(word, str))
    else:
        for one in inner:
            yield from _words(one)


def without_options(details: pa.Array, spelled: Collection[str]) -> pa.Array:
    """Return details as they are compared; each distinct one is looked at once.

    Args:
        details: Strings, or null.
        spelled: What `choices` gives.
    """
    encoded = details.dictionary_encode()
    plain = [_plain(detail, spelled) for detail in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(plain, pa.string()), encoded.indices)


def _plain(detail: str, spelled: Collection[str]) -> str:
    parts = detail.split("; ")
    labels = [_LABEL.match(part) for part in parts]
    if not any(label is not None and label[1] in spelled for label in labels):
        return detail
    return "; ".join(
        sorted(
            part if label is None or label[1] not in spelled else f"{_base(label[1], spelled)}: {part[label.end() :]}"
            for part, label in zip(parts, labels, strict=True)
        )
    )


def _base(word: str, spelled: Collection[str]) -> str:
    """Return the choice that another one is a kind of: "attribution" of "attribution_english"."""
    return min((other for other in spelled if word == other or word.startswith(f"{other}_")), key=len)
