"""What audit.json shows of countries, hosts, languages, repeated texts and attributes, so that no few pairs follow from it.

The same pairs stand in several tables: by source and in all, by country and by income class, after each stage. `figures.steps`
says what is told of each source; here every table of a source is cut to that, and what is said of all sources follows from it: it
is what is told of each, added up, so that a small cell of one of them is in "other" here too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.figures import attributes
from pmd.audit.figures.steps import ALWAYS_TOLD, Source
from pmd.audit.statistics import suppression

#: Section → its list, the labels and the counts of it, and what `Source` calls it.
_LISTS: Final = {
    "countries": ("shares", "country", "pairs", "country"),
    "hosts": ("largest", "host", "pairs", "host"),
    "languages": ("shares", "language", "texts", "language"),
}
#: Rows that are listed of all sources together; the rest is summed as "other".
LISTED: Final = {"languages": 25, "countries": 40, "hosts": 20}
#: How near figures of hosts' sizes are told, in pairs: what is hidden lies within.
_NEAR: Final = 2 * suppression.LEAST
#: Shares that would be told no nearer than this are not told.
_FAR: Final = 0.25


def hide(content: Mapping[str, Any], told: Mapping[str, Source]) -> None:
    """Cut the lists of countries, hosts and languages of every population to what is told."""
    for name, populations in content["sources"].items():
        for section in _LISTS:
            for stage, population in populations.items():
                if name in told:
                    _cut(section, stage, population[section], populations, told[name])
        for stage, population in populations.items():
            _cut_sizes(population["hosts"])
            if name in told:
                _cut_marked(stage, population, told[name])
    _list_marked_of_all(content)
    for section in _LISTS:
        for stage, population in content["all"].items():
            _add_up(content, told, (stage, section), population[section])


def _cut(section: str, stage: str, figures: dict[str, Any], populations: Mapping[str, Any], told: Source) -> None:
    key, label, count, by = _LISTS[section]
    if key not in figures:
        return
    numbers, same = told.of_step(by, stage), told.as_before(by, stage)
    total, rows = _total(figures), []
    for row in figures[key]:
        name = row[label]
        if section == "languages" and name in ALWAYS_TOLD:
            rows.append(row)
        elif name in numbers:
            rows.append({**row, count: numbers[name], "share": numbers[name] / total})
            if name in same:
                rows[-1] |= {"as_before": True, **_ends(populations, section, same[name], name)}
    figures[key] = rows
    figures["other"] = max(1 - math.fsum(row["share"] for row in rows), 0.0) if total else None


def _cut_sizes(figures: dict[str, Any]) -> None:
    """Round what follows from the hosts' sizes to `_NEAR` pairs, where not all of these are told: no exact size follows then.

    Hosts that are given as they were are in these figures as they are told. A pair more changes a share by its part of all pairs,
    Gini's coefficient by up to twice that, and the chance that two pairs have one host by twice the host's part of that.
    """
    if "largest" not in figures:
        return
    total, rows = _total(figures), figures["largest"]
    rest = total - sum(row["pairs"] for row in rows)
    if rest == 0 and not any(row.get("as_before") for row in rows):
        return
    largest = max([min(rest, suppression.HELD), *(row["pairs"] for row in rows)])
    near = _NEAR / total
    for name, step in (("gini", 2 * near), ("top_1_percent", near), ("top_10", near)):
        figures[name] = _rounded(figures[name], step)
    figures["curve"] = [[fraction, _rounded(share, near)] for fraction, share in figures["curve"] if near <= _FAR]
    figures["two_pairs_share_one"] = _rounded(figures["two_pairs_share_one"], 2 * near * largest / total)


def _rounded(value: float | None, near: float) -> float | None:
    """Return a share to the nearest multiple; None where that says little. Only all and nothing are told as such."""
    if value is None or value in {0.0, 1.0}:
        return value
    if near > _FAR:
        return None
    most = math.ceil(1 / near) - 1
    return min(max(round(value / near), 1), most) * near


def _cut_marked(stage: str, population: Mapping[str, Any], told: Source) -> None:
    """List of hosts, and of subreddits, with terms of harm those alone from which few such texts follow nowhere.

    A host whose pairs are told after another step and hidden here is not listed: its texts would tell of them.
    """
    numbers = {*told.of_step("host", stage)} - {*told.as_before("host", stage)}
    hidden = {host for step in told.taken for host in told.of_step("host", step)} - numbers
    harm = population["harm"]
    english = harm["coverage"]["measured"]
    for kind in ("host", "subreddit"):
        of_lists: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in harm[f"{kind}s"]:
            if kind != "host" or row["host"] not in hidden:
                of_lists.setdefault(row["list"], {})[row[kind]] = row
        harm[f"{kind}s"] = [
            row
            for name, rows in of_lists.items()
            for row in _marked(rows, (english, round((harm[name]["value"] or 0) * english)))
        ]


def _list_marked_of_all(content: Mapping[str, Any]) -> None:
    """List of all sources together the hosts and subreddits with terms of harm that are listed of the only one that has pairs."""
    for stage, population in content["all"].items():
        having = [source[stage] for source in content["sources"].values() if source[stage]["pairs"]]
        if len(having) == 1:
            population["harm"] |= {kind: having[0]["harm"][kind] for kind in ("hosts", "subreddits")}


def _marked(rows: Mapping[str, Mapping[str, Any]], totals: tuple[int, int]) -> list[dict[str, Any]]:
    """Return what is told of the hosts, or subreddits, of a list; not how many English texts one has where few lack its terms.

    Args:
        rows: By name.
        totals: The English texts that were read, and those of them with a term of the list.
    """
    read, texts = ({name: row[of] for name, row in rows.items()} for of in ("english", "texts"))
    (listed,) = suppression.shown([texts], [totals[1]])
    (whole,) = suppression.divided([read], [texts], [totals], [listed])
    return [
        dict(row) if name in whole else {**row, "english": None, "share": None}
        for name, row in rows.items()
        if name in listed
    ]


def _ends(populations: Mapping[str, Any], section: str, stage: str, name: str) -> dict[str, Any]:
    """Return the interval that a row had when it was last told: another would tell by how much it changed."""
    key, label, _, _ = _LISTS[section]
    earlier: Mapping[str, Any] = next(
        (row for row in populations.get(stage, {}).get(section, {}).get(key, []) if row[label] == name), {}
    )
    return {end: earlier.get(end) for end in ("low", "high", "refused")} if section == "countries" else {}


def _total(figures: Mapping[str, Any]) -> int:
    return int(figures["coverage"]["measured"]) - int(figures.get("no_country", 0))


def _add_up(
    content: Mapping[str, Any], told: Mapping[str, Source], at: tuple[str, str], figures: dict[str, Any]
) -> None:
    """Show of all sources together what they tell one by one, added up, and no more: texts with the weight of their pairs."""
    stage, section = at
    key, label, count, _ = _LISTS[section]
    having = {
        name: source[stage]
        for name, source in content["sources"].items()
        if source[stage][section]["coverage"]["measured"]
    }
    if key not in figures or not having:
        return
    if len(having) == 1:
        # But for the coverage: other sources may have pairs of which nothing was measured.
        (only,) = having.values()
        taken = only[section].keys() - {"coverage"} if section == "hosts" else {key, "other"}
        figures |= {name: only[section][name] for name in taken}
        return
    weights = [one["pairs"] if section == "languages" else _total(one[section]) for one in having.values()]
    found: dict[str, dict[str, Any]] = {}
    for (name, one), weight in zip(having.items(), weights, strict=True):
        for row in _told_of(one[section], at, told.get(name)):
            added = found.setdefault(row[label], {label: row[label], count: 0, "share": 0.0})
            added[count] += row[count]
            added["share"] += row["share"] * weight / sum(weights)
            if row.get("as_before"):
                added["as_before"] = True
    ranked = sorted(found.values(), key=lambda row: (-row["share"], row[label]))
    figures[key] = ranked[: LISTED[section]]
    figures["other"] = max(1 - math.fsum(row["share"] for row in figures[key]), 0.0)
    if section == "hosts":
        _cut_sizes(figures)


def _told_of(figures: Mapping[str, Any], at: tuple[str, str], told: Source | None) -> list[Mapping[str, Any]]:
    """Return the rows of a source that are listed, and those that are told but too far down its list: another may have more."""
    stage, section = at
    key, label, count, by = _LISTS[section]
    rows: list[Mapping[str, Any]] = list(figures.get(key, []))
    listed, total = {row[label] for row in rows}, _total(figures)
    same = told.as_before(by, stage) if told else {}
    for name, number in told.of_step(by, stage).items() if told else ():
        if name not in listed:
            rows.append(
                {label: name, count: number, "share": number / total} | ({"as_before": True} if name in same else {})
            )
    return rows


def hide_texts(content: Mapping[str, Any]) -> None:
    """Show no repeated text of which a few pairs were lost, and how many users have it only where no few of them follow.

    Of all sources together a text has what is told of it of each, also of those where it is too far down to be listed.
    """
    told: dict[str, _ToldTexts] = {}
    for near in (False, True):
        sections = [_repeated(population, near=near) for population in content["all"].values()]
        parts = [[part for row in section["largest"] for part in row.get("parts", ())] for section in sections]
        told = {
            name: _texts([*populations.values()], _of_source(parts, name), told.get(name))
            for name, populations in content["sources"].items()
        }
        for place, (stage, section) in enumerate(zip(content["all"], sections, strict=True)):
            having = [_repeated(one[stage], near=near) for one in content["sources"].values() if one[stage]["pairs"]]
            if len(having) == 1:
                section["largest"] = [dict(row) for row in having[0]["largest"]]
            else:
                at_stage = {name: (one.numbers[place], one.as_before[place]) for name, one in told.items()}
                rows = [_text_of_all(row, at_stage) for row in section["largest"]]
                section["largest"] = sorted(
                    (row for row in rows if row is not None), key=lambda row: (-row["images"], row["text"])
                )
    for group in (content["all"], *content["sources"].values()):
        for population in group.values():
            _cut_sums(population)


@dataclasses.dataclass(frozen=True)
class _ToldTexts:
    """What is told of a source's texts after each stage: text → pairs, and which of them are as they were."""

    numbers: Sequence[Mapping[str, int]]
    as_before: Sequence[set[str]]


def _of_source(parts: Sequence[Sequence[Mapping[str, Any]]], name: str) -> list[list[Mapping[str, Any]]]:
    """Return what a source has of the texts that are listed of all, after each stage."""
    return [[part for part in some if part["source"] == name] for some in parts]


def _text_of_all(
    row: Mapping[str, Any], told: Mapping[str, tuple[Mapping[str, int], set[str]]]
) -> dict[str, Any] | None:
    """Return a text of all sources with what is told of it of each; None where nothing is."""
    some = [(part, *told[part["source"]]) for part in row["parts"] if part["text"] in told[part["source"]][0]]
    if not some:
        return None
    pairs = [numbers[part["text"]] for part, numbers, _ in some]
    images = [min(now, part["images"] + now - part["pairs"]) for now, (part, *_) in zip(pairs, some, strict=True)]
    marked = {"as_before": True} if any(part["text"] in same for part, _, same in some) else {}
    found = {name: value for name, value in row.items() if name != "parts"}
    return found | marked | {"pairs": sum(pairs), "images": sum(images)}


def _repeated(population: Mapping[str, Any], *, near: bool) -> dict[str, Any]:
    found: dict[str, Any] = population["repeated"]["near"] if near else population["repeated"]
    return found


def _texts(
    populations: Sequence[Mapping[str, Any]], also: Sequence[Sequence[Mapping[str, Any]]], single: _ToldTexts | None
) -> _ToldTexts:
    """List what is told of a source's texts; return it, with those that are listed of all alone.

    Args:
        populations: The source after each stage.
        also: Texts that are listed of all sources, each with what the source has of it.
        single: What is told of texts one by one, where those that are nearly one are meant: beside these they tell of others.
    """
    sections = [_repeated(one, near=single is not None) for one in populations]
    listed = [[*more, *one["largest"]] for one, more in zip(sections, also, strict=True)]
    tables = [{row["text"]: row["pairs"] for row in rows} for rows in listed]
    totals = [one["shared_by"][0]["pairs"] for one in sections]
    asked = suppression.order(len(sections))
    found = suppression.told(tables, totals, asked)
    if single is not None:
        group_of = {text: row["text"] for rows in listed for row in rows for text in row["members"]}
        found = suppression.classes_told(found, single.numbers, group_of.get, totals, asked)
    as_before = suppression.as_they_were(found, asked)
    for section, numbers, same in zip(sections, found, as_before, strict=True):
        rows = []
        for row in section["largest"]:
            if (pairs := numbers.get(row["text"])) is not None:
                marked = {"as_before": True} if row["text"] in same else {}
                images = min(pairs, row["images"] + pairs - row["pairs"])
                rows.append({**row, **marked, "pairs": pairs, "images": images})
        section["largest"] = rows
    _cut_users(sections)
    return _ToldTexts(found, as_before)


def _cut_sums(population: Mapping[str, Any]) -> None:
    """Round the pairs of all texts on many images to `_NEAR`, where those texts are not all told: the others would follow.

    The pairs of repeated texts, exactly one, are as they are: by what they leave over it is judged what is told.
    """
    single, near = (_repeated(population, near=near) for near in (False, True))
    grouped = {text for row in near["largest"] for text in row.pop("members")}
    alone = [row for row in single["largest"] if row["text"] not in grouped]
    exact = single["shared_by"][0]
    for section, rows in ((single, single["largest"]), (near, [*near["largest"], *alone])):
        for shared in section["shared_by"]:
            some = [row for row in rows if row["images"] >= shared["images"]]
            if sum(row["pairs"] for row in some) != shared["pairs"] or any(row.get("as_before") for row in some):
                for name in {"pairs", "one_user_pairs"} & shared.keys() - ({"pairs"} if shared is exact else set()):
                    shared[name] = _about(shared[name], population["pairs"])
                if population["pairs"]:
                    shared["share"] = None if shared["pairs"] is None else shared["pairs"] / population["pairs"]


def _about(pairs: int, whole: int) -> int | None:
    """Return pairs to the nearest multiple of `_NEAR` that is no more than all; None where there are so few of these."""
    if not pairs:
        return 0
    return min(max(round(pairs / _NEAR), 1), whole // _NEAR) * _NEAR or None


def _cut_users(sections: Sequence[Mapping[str, Any]]) -> None:
    """Tell how many users have a text only where they are not few, and not a few more or fewer than after another stage."""
    told: dict[str, list[int]] = {}
    for place in suppression.order(len(sections)):
        for row in (row for row in sections[place]["largest"] if "users" in row):
            users, known = row["users"], told.setdefault(row["text"], [])
            if users < suppression.LEAST or any(0 < abs(users - other) < suppression.LEAST for other in known):
                row["users"] = None
            else:
                known.append(users)


def hide_attributes(content: Mapping[str, Any]) -> None:
    """Show of all sources together what they show one by one, added up."""
    having = [source for source in content["sources"].values() if any(one["pairs"] for one in source.values())]
    if len(having) < 2:
        return
    for stage, population in content["all"].items():
        found: dict[tuple[str, str], dict[str, Any]] = {}
        totals: dict[str, int] = {}
        for row in (row for source in having for row in source[stage]["attributes"]["values"]):
            name, value = row["attribute"], row["value"]
            empty = {**dict.fromkeys(row), "attribute": name, "value": value, "pairs": 0}
            found.setdefault((name, value), empty)["pairs"] += row["pairs"]
            totals[name] = totals.get(name, 0) + row["pairs"]
        last = sorted(found, key=lambda at: (at[0], at[1] == suppression.NOT_SHOWN, attributes.in_order(at[1])))
        rows = [{**found[at], "share": found[at]["pairs"] / totals[at[0]]} for at in last]
        population["attributes"]["values"] = rows
