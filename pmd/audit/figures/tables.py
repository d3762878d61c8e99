"""The audit's figures as tables: the content of audit.json, flat, so that pandas can group and draw it.

Every number of the file is in one of the tables. Lists of objects become tables of their own, under their path in the file
("languages.shares", "hosts.largest"); single numbers stand in `figures`, one a row; words about them in `notes`. Where
populations are told apart, `source` is a source or "all", and `stage` the stage that the pairs survived.
"""

from __future__ import annotations

import codecs
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pmd import escape

#: Where the files of tables stand, beside the page.
FOLDER: Final = "tables"

_TEXT: Final = pa.string()
_TYPES: Final = {
    "text": _TEXT,
    "count": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "texts": pa.list_(_TEXT),
}


def _columns(said: str) -> pa.Schema:
    """Return a schema of columns, each said as "NAME TYPE"."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in map(str.split, said.split(", "))])


def _of_populations(said: str) -> pa.Schema:
    return _columns(f"source text, stage text, {said}")


_SHARED_BY: Final = _of_populations("images count, pairs count, share number, one_user_pairs count")
_CARRIED_BY: Final = _of_populations("list text, term text, texts count")
_CURVE: Final = _of_populations("largest number, pairs number")

#: Every table. Of a figure `low` and `high` are a 95 % interval, null for exact counts, and `enough` says whether there was
#: enough to tell. A point of a curve: the share of the pairs that the largest of the users or hosts have.
SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "books": _columns("stage text, source text, in count, kept count, rejected count"),
    "books.rejected": _columns("stage text, source text, reason text, pairs count"),
    "table2": _columns(
        "row text, stage text, sources texts, sources_here texts, read count, pairs count, published_pairs count, "
        "of_published number, mean_words number, published_mean_words number"
    ),
    "figures": _of_populations("figure text, value number, low number, high number, enough truth"),
    "notes": _of_populations("about text, says text"),
    "words.histogram": _of_populations("from count, below count, pairs count"),
    "languages.shares": _of_populations("language text, texts count, share number, as_before truth"),
    "countries.shares": _of_populations(
        "country text, pairs count, share number, low number, high number, refused text, as_before truth"
    ),
    "licences.shares": _of_populations(
        "text_licence text, image_licence text, pairs count, share number, as_before truth"
    ),
    "hosts.largest": _of_populations("host text, pairs count, share number, as_before truth"),
    "hosts.curve": _CURVE,
    "users.curve": _CURVE,
    "repeated.largest": _of_populations("text text, images count, pairs count, users count, as_before truth"),
    "repeated.shared_by": _SHARED_BY,
    "repeated.near.largest": _of_populations("text text, images count, pairs count, texts count, as_before truth"),
    "repeated.near.shared_by": _SHARED_BY,
    "overlap.by_source": _columns("source text, images count, only_here count"),
    "overlap.pairs_of_sources": _columns("source text, other text, images count, share number, other_share number"),
    "terms.carried_by": _CARRIED_BY,
    "age.carried_by": _CARRIED_BY,
    "identity.carried_by": _CARRIED_BY,
    "identity.beside": _of_populations(
        "term text, beside text, texts count, of_term count, odds number, low number, high number, at_least truth, "
        "score number, npmi number, cluster text, clusters count, degrees number, p number, finding truth, "
        "refused text"
    ),
    "harm.carried_by": _CARRIED_BY,
    "harm.hosts": _of_populations("host text, list text, texts count, english count, share number"),
    "harm.subreddits": _of_populations("subreddit text, list text, texts count, english count, share number"),
    "associations.terms": _of_populations(
        "group text, term text, captions count, female count, male count, odds number, at_most truth, at_least truth, "
        "low number, high number, score number, npmi_female number, npmi_male number, cluster text, clusters count, "
        "degrees number, p number, finding truth, refused text, carried_by text"
    ),
    "attributes.values": _of_populations(
        "attribute text, value text, pairs count, share number, english count, female number, male number, "
        "young number, old number, violent number, sexual number, adult number"
    ),
    "geography.countries": _of_populations(
        "country text, pairs count, share number, users count, user_share number, per_million_people number, "
        "to_people number, per_million_internet_users number, to_internet_users number, as_before truth"
    ),
    "geography.incomes": _of_populations(
        "class text, pairs count, pairs_share number, users count, users_share number, people count, "
        "people_share number, internet_users count, internet_users_share number, pairs_added_up truth, "
        "users_added_up truth"
    ),
    "geography.high_income": _of_populations(
        "of text, known count, share number, low number, high number, at_least number, at_most number, added_up truth"
    ),
    "geography.years": _of_populations("date text, year count, pairs count, share number, as_before truth"),
    "geography.suffixes": _of_populations("country text, pairs count, share number, as_before truth"),
    "steps.kept": _columns("source text, step text, pairs count, kept number"),
    "steps.ratios": _columns(
        "source text, by text, value text, step text, pairs count, ratio number, low number, high number, "
        "as_before truth, added_up truth"
    ),
    "pictures": _columns("source text, table text, value text, images count, share number"),
    "tests": _of_populations(
        "section text, property text, cluster text, effect number, error number, degrees number, clusters count, "
        "p number, low number, high number, level number, finding truth, rule text, among count, held_to number, "
        "refused text"
    ),
    "labels": _columns("kind text, code text, name text"),
}

_Rows = defaultdict[str, list[dict[str, Any]]]


def flat(content: Mapping[str, Any]) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of each table."""
    found: _Rows = defaultdict(list)
    _books(found, content["books"])
    for row in content["table2"]:
        found["table2"] += _table2(row)
    for source, stages in (("all", content["all"]), *content["sources"].items()):
        for stage, population in stages.items():
            _walk(found, {"source": source, "stage": stage}, "", population)
    if content["overlap"] is not None:
        found["overlap.by_source"] += content["overlap"]["by_source"]
        found["overlap.pairs_of_sources"] += [_of_two(row) for row in content["overlap"]["pairs_of_sources"]]
    for source, figures in content.get("pictures", {}).items():
        found["pictures"] += [{"source": source, **row} for row in figures["values"]]
    _geography(found, content.get("geography", {}))
    _steps(found, content.get("steps", {}))
    found["tests"] += content["tests"]
    for kind, names in content["labels"].items():
        found["labels"] += [{"kind": kind, "code": code, "name": name} for code, name in names.items()]
    return found


def _books(found: _Rows, books: Mapping[str, Any]) -> None:
    for stage, sources in books.items():
        for source, book in sources.items():
            at = {"stage": stage, "source": source}
            left = book["rejected"]
            found["books"].append({**at, "in": book["in"], "kept": book["kept"], "rejected": sum(left.values())})
            found["books.rejected"] += [{**at, "reason": reason, "pairs": pairs} for reason, pairs in left.items()]


def _walk(found: _Rows, at: Mapping[str, str], path: str, value: Any) -> None:
    """Put what stands at a path of a population into the tables."""
    if isinstance(value, dict):
        estimate = _estimate(value) if "value" in value else {}
        if estimate:
            found["figures"].append({**at, "figure": path, **estimate})
        for name in sorted({*value} - {"value", "interval", "enough"} if estimate else value):
            _walk(found, at, f"{path}.{name}" if path else name, value[name])
    elif isinstance(value, list):
        found[path] += [{**at, **_item(item)} for item in value]
    elif isinstance(value, str):
        found["notes"].append({**at, "about": path, "says": value})
    else:
        found["figures"].append({**at, "figure": path, "value": None if value is None else float(value)})


def _estimate(value: Mapping[str, Any]) -> dict[str, Any]:
    low, high = value.get("interval") or (None, None)
    return {"value": value["value"], "low": low, "high": high, "enough": value.get("enough")}


def _item(item: Mapping[str, Any] | Sequence[float]) -> Mapping[str, Any]:
    """Return an item of a list as a row; the items of curves are (how many of the largest, their share of the pairs)."""
    if not isinstance(item, Mapping):
        return dict(zip(_CURVE.names[2:], item, strict=True))
    if not isinstance(share := item.get("share"), Mapping):
        return item
    estimate = _estimate(share)
    return {**item, "share": estimate["value"], "low": estimate["low"], "high": estimate["high"]}


def _table2(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    published = row["published"]
    return [
        {
            "row": row["row"],
            "stage": stage,
            "sources": row["sources"],
            "sources_here": row["sources_here"],
            "read": row["read"],
            "pairs": pairs,
            "published_pairs": published["pairs"],
            "of_published": row["of_published"][stage],
            "mean_words": row["mean_words"][stage],
            "published_mean_words": published["mean_words"],
        }
        for stage, pairs in row["pairs"].items()
    ]


def _of_two(row: Mapping[str, Any]) -> dict[str, Any]:
    (one, other), (share, other_share) = row["sources"], row["shares"]
    return {"source": one, "other": other, "images": row["images"], "share": share, "other_share": other_share}


def _geography(found: _Rows, told: Mapping[str, Any]) -> None:
    """Put photographs beside people into tables; of the share of high income the interval is that of another draw of users."""
    for source, stages in told.get("sources", {}).items():
        for stage, one in stages.items():
            at = {"source": source, "stage": stage}
            found["geography.countries"] += [{**at, **row} for row in one["countries"]]
            for row in one.get("incomes", ()):
                kinds = {kind: cell for kind, cell in row.items() if kind != "class"}
                numbers = {kind: cell["number"] for kind, cell in kinds.items()}
                shares = {f"{kind}_share": cell["share"] for kind, cell in kinds.items()}
                summed = {f"{kind}_added_up": True for kind in one["added_up"]}
                found["geography.incomes"].append({**at, "class": row["class"], **numbers, **shares, **summed})
            for kind, high in one.get("high_income", {}).items():
                is_summed = {"photographs": "pairs"}.get(kind, kind) in one["added_up"]
                more = {"added_up": is_summed or None}
                found["geography.high_income"].append({**at, "of": kind, **_high_income(high), **more})
    for source, stages in told.get("years", {}).items():
        for stage, one in stages.items():
            if stage != "date":
                at = {"source": source, "stage": stage, "date": stages["date"]}
                found["geography.years"] += [{**at, **_of_value(row, "year", int)} for row in one["shares"]]
    for source, stages in told.get("suffixes", {}).items():
        for stage, one in stages.items():
            at = {"source": source, "stage": stage}
            found["geography.suffixes"] += [{**at, **_of_value(row, "country", str)} for row in one["shares"]]


def _of_value(row: Mapping[str, Any], name: str, kind: type) -> dict[str, Any]:
    return {name: kind(row["value"]), **{key: cell for key, cell in row.items() if key != "value"}}


def _high_income(high: Mapping[str, Any]) -> dict[str, Any]:
    low, up = (high.get("another_draw") or {}).get("interval") or (None, None)
    least, most = high["bounds"] or (None, None)
    return {"known": high["known"], "share": high["value"], "low": low, "high": up, "at_least": least, "at_most": most}


def _steps(found: _Rows, told: Mapping[str, Any]) -> None:
    """Put what each step did to whom into tables; the step "all" is all of them together."""
    names = [one["step"] for one in told.get("steps", ())]
    for source, one in told.get("sources", {}).items():
        for step, pairs, kept in zip(names, one["pairs"], one["kept"], strict=True):
            found["steps.kept"].append({"source": source, "step": step, "pairs": pairs, "kept": kept})
        for by, table in one["by"].items():
            for row in table["rows"]:
                columns = [
                    [*names, "all"],
                    [*row["pairs"], row["pairs"][-1]],
                    [*row["ratios"], row["ratio"]],
                    [*row["intervals"], row["interval"]],
                    [*row["as_before"], row["as_before"][-1]],
                ]
                for step, pairs, ratio, interval, held in zip(*columns, strict=True):
                    low, high = interval or (None, None)
                    at = {
                        "source": source,
                        "by": by,
                        "value": row["value"],
                        "step": step,
                        "pairs": pairs,
                        "ratio": ratio,
                    }
                    marks = {"as_before": held or None, "added_up": table["added_up"] or None}
                    found["steps.ratios"].append({**at, "low": low, "high": high, **marks})


def tables(content: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Return every table of audit.json, by name."""
    rows = flat(content)
    return {name: pa.Table.from_pylist(rows.get(name, []), schema) for name, schema in SCHEMAS.items()}


def files(content: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of all tables that have rows: names below the page's folder, and what is in them.

    Each is there as Parquet, and as CSV in UTF-8 with a head. In CSV a list is its words with a space between them. No word of
    others' (a caption, a host) is a formula to a spreadsheet: what would be one begins with an apostrophe. A byte order mark
    stands before it, as before those that the page gives: without one, Excel takes it for another encoding.
    """
    for name, table in tables(content).items():
        if table.num_rows:
            yield f"{FOLDER}/{name}.csv", _csv(table)
            yield f"{FOLDER}/{name}.parquet", _parquet(table)


def _csv(table: pa.Table) -> bytes:
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            table = table.set_column(place, field.name, _cells(map(" ".join, table[field.name].to_pylist())))
        elif field.type == _TEXT:
            table = table.set_column(place, field.name, _cells(table[field.name].to_pylist()))
    sink = io.BytesIO()
    sink.write(codecs.BOM_UTF8)
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def _cells(words: Iterable[str | None]) -> pa.Array:
    return pa.array([None if one is None else escape.cell(one) for one in words], _TEXT)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
