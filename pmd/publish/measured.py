"""What the audit and the waves have measured, in a few sentences for the card: all that is taken from either is taken here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from pmd import escape
from pmd.audit.report import formatting
from pmd.audit.report.formatting import plain_percent as percent
from pmd.refresh import page
from pmd.store import commits, root, storage

_AUDIT: Final = "audit.json"
#: Hosts of `top_10`: of so few all are meant.
_TEN: Final = 10
#: What is drawn, as the audit names it → as the card does.
_UNITS: Final = {name: f"{name}s" for name in ("image", "user", "subreddit", "page", "host")}


def read(root_url: str) -> Mapping[str, Any] | None:
    """Return the content of audit.json; None where the audit has not run."""
    folder = root.audit_folder(root_url)
    commit = commits.read(folder)
    if commit is None or not any(file.name == _AUDIT for file in commit.files):
        return None
    content: dict[str, Any] = orjson.loads(storage.read_bytes(storage.join(folder, _AUDIT)))
    return content


def statements(audit: Mapping[str, Any] | None) -> list[str]:
    """Return what was measured of all sources together, a sentence a figure, each with what it is of."""
    if audit is None or not audit.get("stages"):
        return []
    last = audit["stages"][-1]
    population = audit["all"][last]
    return [
        *_about(audit, last),
        *_sentences(population, (audit.get("labels") or {}).get("countries", {})),
        *_mentioned(population),
        *_placed(audit, last),
        *_lost(audit),
    ]


def _about(audit: Mapping[str, Any], last: str) -> Iterator[str]:
    """Yield what was measured, and what nobody can measure here."""
    pairs = audit["all"][last].get("pairs")
    if not pairs:
        return
    sample = audit.get("sample", 1)
    thinned = f" of a sample of one in {sample:,} of the images" if sample != 1 else ""
    as_they_stand = formatting.verb(pairs, "as it stands", "as they stand")
    yield f"The audit measured {formatting.counted(pairs, 'pair')}{thinned}, {as_they_stand} after {last}."
    yield "Who contributed cannot be measured: no source records anybody's age or gender, and none is taken from names or faces."


def _mentioned(population: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rates of other terms in captions, where they were counted."""
    for section, names in (("age", ("young", "old")), ("harm", ("violent", "sexual", "adult"))):
        found = population.get(section) or {}
        rates = [f"{_share(found[name])} {name}" for name in names if _value(found.get(name)) is not None]
        if rates:
            yield (
                f"Terms in English captions, which tell what was written and not what is shown: {', '.join(rates)} "
                f"({_coverage(found)})."
            )


def _placed(audit: Mapping[str, Any], last: str) -> Iterator[str]:
    """Yield the share of high-income countries, where classes were given."""
    for source, by_stage in (audit.get("geography") or {}).get("sources", {}).items():
        told = by_stage.get(last) or {}
        photographs = (told.get("high_income") or {}).get("photographs") or {}
        if _value(photographs) is not None:
            between = " and ".join(map(percent, photographs.get("bounds") or ()))
            bounds = f"; of all its photographs between {between}" if between else ""
            is_added_up = "pairs" in told.get("added_up", ())
            where = "countries of known income that are told" if is_added_up else "a country of known income"
            yield (
                f"Of the photographs of {source} in {where}, {_share(photographs)} are from high-income "
                f"countries{bounds}. A photographed country is no home."
            )


def _lost(audit: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many tests found that loss struck unevenly."""
    tests = audit.get("tests") or []
    if tests:
        found = [test for test in tests if test["finding"]]
        yield (
            f"Of {formatting.counted(len(tests), 'test')} whether what a step lost had to do with what it shows, {len(found):,} "
            f"{formatting.verb(len(found), 'is a finding', 'are findings')}, false discoveries of the whole audit held to 5 %."
        )


def still_there(found: Mapping[str, Any]) -> list[str]:
    """Return what could be had, and what is still there, of all sources together (`pmd.refresh.results`)."""
    fetched = found["fetched"]
    if not fetched["images"]:
        return []
    images, were = formatting.counted(fetched["images"], "image"), formatting.verb(fetched["images"], "was", "were")
    said = [f"{percent(fetched['share'])} of the {images} that {were} asked for on the web {were} there."]
    if found["waves"]:
        last = found["waves"][-1]
        of_all = last["sources"][0]
        between = [
            f"{percent(low)} to {percent(high)} {words}"
            for name, words in (("this_table", "of all of them"), ("another_draw", "in another draw of such hosts"))
            for low, high in ([of_all[name]["interval"]] if of_all[name]["interval"] else [])
        ]
        more = f" ({'; '.join(between)})" if between else ""
        said.append(
            f"Of those that were there, {percent(of_all['share'])} still were on {last['wave']}{more}, by a sample of "
            f"{of_all['asked']:,}."
        )
    if found["half_life"]["days"] is not None:
        said.append(f"{page.half_life(found['half_life'])}.")
    return said


def _sentences(found: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Yield sentences of the sections that are there; another version of the audit may have others."""
    words, languages, gendered = (found.get(name, {}) for name in ("words", "languages", "gendered"))
    if words.get("mean") is not None:
        yield f"Captions have {words['mean']:.1f} words on average (median {words['median']}), of {_coverage(words)}."
    if _value(languages.get("english")) is not None:
        yield f"{_share(languages['english'])} of the texts are English by an automatic identifier, of {_coverage(languages)}."
    terms = {name: gendered.get(name) for name in ("female", "male", "neither")}
    if all(_value(share) is not None for share in terms.values()):
        yield (
            f"Of the English texts {_share(terms['female'])} have a term for women or girls and {_share(terms['male'])} one for "
            f"men or boys; {_share(terms['neither'])} have neither (GenBit's word lists; {_coverage(gendered)})."
        )
    yield from _where(found.get("countries", {}), names)
    yield from _hosts(found.get("hosts", {}))
    repeated = found.get("repeated", {}).get("shared_by", [])
    if repeated and repeated[0]["share"] is not None:  # of no pairs there is no share
        yield f"{percent(repeated[0]['share'])} of the pairs have a text that stands on {repeated[0]['images']} images or more."


def _where(countries: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Yield where geotags lie, of those that lie in a country: others are at sea."""
    largest = [
        f"{names.get(row['country'], row['country'])} ({'about ' if row.get('as_before') else ''}{percent(row['share'])})"
        for row in countries.get("shares", [])[:5]
    ]
    if largest:
        yield f"Geotags in a country lie most often in {', '.join(largest)}; {_coverage(countries)} have a geotag."


def _hosts(hosts: Mapping[str, Any]) -> Iterator[str]:
    """Yield how much the largest hosts hold."""
    first = [escape.html(row["host"]) for row in hosts.get("largest", [])[:5]]
    if not first or hosts.get("top_10") is None:
        return
    if (number := hosts["distinct"]["value"]) <= _TEN:
        held = f"{formatting.counted(number, 'host')} {formatting.verb(number, 'holds', 'hold')} all"
    else:
        held = f"The ten largest of {number:,} hosts hold {percent(hosts['top_10'])} of the"
    yield f"{held} pairs with an image URL; first {', '.join(first)}."


def _value(figure: Mapping[str, Any] | None) -> float | None:
    value: float | None = None if figure is None else figure.get("value")
    return value


def _share(figure: Mapping[str, Any] | None) -> str:
    """Return a share with its intervals, each with the truth that it is of, where it has one."""
    assert figure is not None
    few = " (too few to be read as a rate)" if figure.get("enough") is False else ""
    return f"{percent(figure['value'])}{few}" + "".join(_between(figure))


def _between(figure: Mapping[str, Any]) -> Iterator[str]:
    another = figure.get("another_draw") or {}
    said = [f"{percent(low)} to {percent(high)} in all of them" for low, high in _intervals(figure)]
    for low, high in _intervals(another):
        *first, last = (_UNITS[unit] for unit in another["cluster"].split("+"))
        units = f"{', '.join(first)} and {last}" if first else last
        said.append(f"{percent(low)} to {percent(high)} in another draw of such {units}")
    if said:
        yield f" ({'; '.join(said)})"


def _intervals(estimate: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    if estimate.get("interval"):
        low, high = estimate["interval"]
        yield low, high


def _coverage(section: Mapping[str, Any]) -> str:
    coverage = section["coverage"]
    return f"{coverage['measured']:,} of {coverage['eligible']:,} {coverage['of']}"
