"""The sentence of FLAVA's card, taken apart: what of it can be tested with what the sources record, and what cannot.

Each part has the figure that answers it, or says that there is none and why. What captions mention is no answer to who wrote
them, so it stands under its own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import formatting, page
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
        _Claim("developed countries", *_testable(result), [*_developed(result)]),
        _Claim("younger", "not testable here", "not", [*_younger(result)]),
        _Claim("male users", "not testable here", "not", [*_male(result)]),
        _content(result),
    ]
    asked = "<p>What is said of PMD is asked of this data set.</p>" if "data_set" in result else ""
    return f"<blockquote>{_marked(SENTENCE)}</blockquote>{asked}" + '<div class="claims">{}</div>'.format(
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


def _either(result: Mapping[str, Any], of_build: str, of_data: str) -> str:
    """Return what is said of a build, or of any data set."""
    return of_data if "data_set" in result else of_build


def _testable(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return whether it can be told where photographs are from, and the style of that."""
    has_places = _last(result)["countries"]["coverage"]["measured"] > 0
    return ("partly testable", "partly") if has_places else ("not testable here", "not")


def _developed(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the share from high-income countries, or what it lacks."""
    countries = _last(result)["countries"]
    tagged = countries["coverage"]
    if not tagged["measured"]:
        yield "No pair here has a geotag, so no country can be told."
        return
    known = [*_high_incomes(result)]
    yield from known
    if not known:
        names = result["labels"]["countries"]
        top = countries["shares"][:3]
        share = formatting.percent(sum(row["share"] for row in top))
        where = ", ".join(names.get(row["country"], row["country"]) for row in top)
        yield (
            f"{escape(share)} of the pairs with a geotag in a country lie in {escape(where)}."
            if top
            else "No country holds enough pairs with a geotag to be shown."
        )
        yield f"The share from high-income countries is not computed: {_reference(result)}"
    anchor = "geography" if "geography" in result else "countries"
    recorded = _either(result, ", all from sources that record them", "")
    yield (
        f"Geotags are on {escape(formatting.percent(tagged['share']))} of the pairs{recorded}. "
        f'A photographed country is no home. <a href="#{anchor}">Countries</a>'
    )


def _high_incomes(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the share of high-income countries of each source that has one: of photographs and of users, and its bounds."""
    first, last = page.ends(result)
    for source, by_stage in (result.get("geography") or {}).get("sources", {}).items():
        high, before = (by_stage.get(stage, {}).get("high_income") for stage in (last, first))
        if not high or high["photographs"]["value"] is None:
            continue
        photographs = high["photographs"]
        draw = (photographs.get("another_draw") or {}).get("interval")
        ends = f" (another draw of such users: {escape(formatting.between(draw))})" if draw else ""
        earlier = before["photographs"]["value"] if before and first != last else None
        is_added_up = "pairs" in by_stage[last]["added_up"]
        where = "countries of known income that are told" if is_added_up else "a country of known income"
        yield (
            f"{escape(formatting.percent(photographs['value']))}{ends} of {escape(source)}'s photographs in {where} are from "
            f"high-income countries after {escape(last)}"
            + (f", {escape(formatting.percent(earlier))} after {escape(first)}." if earlier is not None else ".")
        )
        if high["users"]["value"] is not None:
            yield (
                f"Of its users, {escape(formatting.percent(high['users']['value']))} have most of their photographs there; each "
                "user counts once."
            )
        if photographs.get("bounds"):
            yield (
                "Were none, or all, of its other photographs there, it would be "
                f"{escape(formatting.between(photographs['bounds']))} of all its photographs."
            )


def _reference(result: Mapping[str, Any]) -> str:
    """Return what is needed for income classes."""
    if "data_set" in result:
        return "the audit of a build takes a table of countries by income class, that of a data set does not."
    downloads = (result.get("geography") or {}).get("reference", {}).get("download", ())
    needed = (
        "a table of countries by income class is the reader's to give, under <code>[audit.reference]</code> in the "
        "configuration"
    )
    return needed + (f": {escape('; '.join(downloads))}." if downloads else ".")


def _younger(result: Mapping[str, Any]) -> Iterator[str]:
    yield _either(
        result,
        "No source records who contributed, or how old they are.",
        "No column is read that says how old people are who contributed.",
    )
    age = _last(result).get("age") or {}
    shares = [age.get(name) or {} for name in ("young", "old")]
    if all(share.get("value") is not None and share["enough"] for share in shares):
        young, old = (escape(formatting.share(share)) for share in shares)
        yield (
            f"<b>What captions mention</b>, which is another question: {young} of English captions have a term for the young, "
            f"{old} one for the old. "
            '<a href="#age">Terms for young and old</a>'
        )
    yield "No age is taken from names or faces."


def _male(result: Mapping[str, Any]) -> Iterator[str]:
    yield _either(
        result,
        "No source records the gender of who contributed.",
        "No column is read that says the gender of who contributed.",
    )
    ratio = _last(result)["gendered"].get("female_to_male")
    if ratio is not None and ratio["value"] is not None and ratio["enough"]:
        ends = f" ({escape(formatting.ratios(ratio['interval']))})" if ratio["interval"] else ""
        yield (
            f"<b>What captions mention</b>, which is another question: {escape(formatting.ratio(ratio['value']))}{ends} English "
            'captions with a female term for each with a male one. <a href="#gendered">Gendered terms</a>'
        )
    yield "No gender is taken from names or faces."


_NO_PICTURE: Final = (
    "A term is a word on a list, not what is in a picture: of pictures nothing is known here. "
    '<a href="#harm">By source, subreddit and host</a>'
)


def _content(result: Mapping[str, Any]) -> _Claim:
    """Return the part on adult and violent content: rates of terms, where they were counted."""
    harm = _last(result).get("harm") or {}
    figures = _figures(harm).values()
    if figures and not all(figure.get("enough", True) for figure in figures):
        says = ["Too few English captions were read to speak of rates of terms.", _NO_PICTURE]
        return _Claim("adult and violent content", "too few to tell", "not", says)
    rates = [*_rates(harm)]
    if rates:
        first, *more = rates
        says = [
            f"{first} of English captions have {'; '.join([_terms(harm)[0], *more])}.",
            *_most(result, _terms(harm)),
            _NO_PICTURE,
        ]
        return _Claim("adult and violent content", "terms are counted", "measured", says)
    says = [
        "Not measured: no list of terms was counted in this audit.",
        "Of what is in the pictures nothing is known here.",
    ]
    return _Claim("adult and violent content", "not measured", "not", says)


def _terms(harm: Mapping[str, Any]) -> list[str]:
    """Return the kinds of terms, as they are said."""
    return [f"{name} terms" for name in _figures(harm)]


def _figures(harm: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        name: figure
        for name, figure in harm.items()
        if isinstance(figure, Mapping) and "interval" in figure and figure.get("value") is not None
    }


def _rates(harm: Mapping[str, Any]) -> Iterator[str]:
    """Yield the share of each kind of terms; those behind the first with their name."""
    for place, (name, figure) in enumerate(_figures(harm).items()):
        share = escape(formatting.share({"enough": True, **figure}))
        yield share if not place else f"{share} {escape(name)} ones"


def _most(result: Mapping[str, Any], kinds: Sequence[str]) -> Iterator[str]:
    """Yield where each kind of terms is commonest for sure, of the sources with enough texts to tell.

    Where texts were sampled, the interval of the commonest lies above those of all others.
    """
    _, last = page.ends(result)
    found = []
    for kind in kinds:
        name = kind.removesuffix(" terms")
        rates = [
            (figure["value"], source, figure["interval"] or [figure["value"]] * 2)
            for source, by_stage in result["sources"].items()
            for figure in [_figures(by_stage[last].get("harm") or {}).get(name)]
            if figure is not None and figure["value"] > 0 and figure.get("enough", True)
        ]
        if len(rates) < 2:
            continue
        *others, (share, source, (low, _)) = sorted(rates)
        if low > max(high for _, _, (_, high) in others):
            found.append(f"{escape(name)} ones in {escape(source)} ({escape(formatting.percent(share))})")
    if found:
        yield f"Commonest are {', '.join(found)}."
