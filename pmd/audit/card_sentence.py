"""The sentence of FLAVA's card, taken apart: what of it can be tested with what the sources record, and what cannot.

Each part has the figure that answers it, or says that there is none and why. What captions mention is no answer to who wrote
them, so it stands under its own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pmd.audit import formatting, page
from pmd.escape import html as escape

#: What the card says (facebook/pmd on the Hub; Singh et al., arXiv 2112.04482), its parts between stars.
SENTENCE: Final = (
    "PMD “can have bias towards people most connected to internet such as those from *developed countries* and *younger*, "
    "*male users*.” “*Adult and violent content*” is said to have been filtered."
)


@dataclasses.dataclass(frozen=True)
class _Claim:
    """A part of the sentence: what it says, whether it can be tested here, and sentences, the first of which has the figure."""

    words: str
    verdict: str
    style: str
    says: Sequence[str]


def section(result: Mapping[str, Any]) -> str:
    """Return the card's sentence, part by part."""
    claims = [
        _Claim("developed countries", "partly testable", "partly", [*_developed(result)]),
        _Claim("younger", "not testable here", "not", [*_younger(result)]),
        _Claim("male users", "not testable here", "not", [*_male(result)]),
        _content(result),
    ]
    return f"<blockquote>{_marked(SENTENCE)}</blockquote>" + '<div class="claims">{}</div>'.format(
        "".join(_drawn(claim) for claim in claims)
    )


def _marked(sentence: str) -> str:
    parts = [escape(part) for part in sentence.split("*")]
    return "".join(f"<mark>{part}</mark>" if place % 2 else part for place, part in enumerate(parts))


def _drawn(claim: _Claim) -> str:
    first, *more = claim.says
    return (
        f'<div class="claim"><h3>{escape(claim.words)}</h3><p class="verdict {claim.style}">{escape(claim.verdict)}</p>'
        f'<p class="figure">{first}</p>' + "".join(f"<p>{said}</p>" for said in more) + "</div>"
    )


def _last(result: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = result["all"][page.ends(result)[1]]
    return found


def _developed(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the share from high-income countries, or what it lacks."""
    first, last = page.ends(result)
    countries = _last(result)["countries"]
    tagged = countries["coverage"]
    high = (_last(result).get("places") or {}).get("high_income")
    if not tagged["measured"]:
        yield "No pair here has a geotag, so no country can be told."
        return
    if isinstance(high, Mapping) and high.get("value") is not None:
        before = (result["all"][first].get("places") or {}).get("high_income") or {}
        yield (
            f"{escape(formatting.share(high))} of geotagged pairs lie in high-income countries after {escape(last)}"
            + (
                f", {escape(formatting.percent(before['value']))} after {escape(first)}."
                if first != last and before.get("value") is not None
                else "."
            )
        )
    else:
        names = result["labels"]["countries"]
        top = countries["shares"][:3]
        share = formatting.percent(sum(row["share"] for row in top))
        where = ", ".join(names.get(row["country"], row["country"]) for row in top)
        yield (
            f"{escape(share)} of geotagged pairs lie in {escape(where)}."
            if top
            else "No country holds enough geotagged pairs to be shown."
        )
        yield (
            "The share from high-income countries is not computed: a table of countries by income class is the reader's to "
            "give, under <code>[audit.reference]</code> in the configuration."
        )
    yield (
        f"Geotags are on {escape(formatting.percent(tagged['share']))} of the pairs, all from sources that record them. "
        'A photographed country is no home. <a href="#countries">Countries</a>'
    )


def _younger(_result: Mapping[str, Any]) -> Iterator[str]:
    yield "No source records who contributed, or how old they are."
    yield (
        "Accounts have names at most, and no age can be had from a name. Words of age in captions tell what was written, not "
        "who wrote it, and answer nothing here."
    )


def _male(result: Mapping[str, Any]) -> Iterator[str]:
    yield "No source records the gender of who contributed."
    ratio = _last(result)["gendered"].get("female_to_male")
    if ratio is not None and ratio["value"] is not None:
        ends = f" ({ratio['interval'][0]:.2f}–{ratio['interval'][1]:.2f})" if ratio["interval"] else ""
        yield (
            f"<b>What captions mention</b>, which is another question: {ratio['value']:.2f}{ends} English captions with a female "
            'term for each with a male one. <a href="#gendered">Gendered terms</a>'
        )
    yield "No gender is taken from names or faces."


def _content(result: Mapping[str, Any]) -> _Claim:
    """Return the part on adult and violent content: rates of terms, where they were counted."""
    harm = _last(result).get("harm")
    rates = [*_rates(harm)] if isinstance(harm, Mapping) else []
    if rates:
        says = [
            f"{' and '.join(rates)}.",
            "A term is a word on a list, not what is in a picture: of pictures nothing is known here.",
        ]
        return _Claim("adult and violent content", "terms are counted", "measured", says)
    says = [
        "Not measured: no list of terms was counted in this audit.",
        "Of what is in the pictures nothing is known here.",
    ]
    return _Claim("adult and violent content", "not measured", "not", says)


def _rates(harm: Mapping[str, Any]) -> Iterator[str]:
    for name, figure in harm.items():
        if isinstance(figure, Mapping) and figure.get("value") is not None and "interval" in figure:
            share = formatting.share({"enough": True, **figure})
            yield f"{escape(share)} of captions have {escape(name.replace('_', ' '))} terms"
