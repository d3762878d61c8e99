"""Small cells of a whole audit: no difference of any two numbers that it tells of the same pairs is a few of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pmd.audit.counting import measure, repeated, unit_sums
from pmd.audit.counting.measure import CATEGORIES, CLASSES, MAX_WORDS, Partial, Plan, SourcePartial
from pmd.audit.figures import small_cells, steps, tables
from pmd.audit.figures.result import result
from pmd.audit.places import population
from pmd.audit.places.population import Population
from pmd.audit.statistics import groups, suppression
from pmd.audit.texts.lexicon import Absent
from pmd.config.reference import Row
from pmd.store.commits import Books
from pmd.text import language
from pmd.text.tokens import Tokens
from tests.audit.batches import WHOLE, batch, counted, pair

_STAGES = [name for name in CLASSES if name != "asked"]
_INCOMES = {
    "DE": "high",
    "FR": "high",
    "LI": "high",
    "VN": "lower_middle",
    "IN": "lower_middle",
    "ML": "low",
    "TD": "low",
}
_COUNTRIES = (*_INCOMES, "TW", "VA")
_HOSTS = ("a.de", "b.de", "c.com", "d.fr", "e.fr", "f.org")
_SOURCES = ("yfcc100m", "red_caps", "sbu_captions")
_BESIDE = population.Beside(
    2010,
    Population(2010, dict.fromkeys(_COUNTRIES, 100), 900),
    tuple(Row(code, 2010, name, 10.0) for code, name in _INCOMES.items()),
)

_Counts = dict[str, NDArray[np.int64]]
_Atoms = frozenset[tuple[str, str, int]]  # source, row, the last class that its pairs survived


@dataclasses.dataclass(frozen=True)
class _Said:
    """A number that the audit tells, or that follows from two or more of them, of some pairs."""

    of: _Atoms
    number: int
    what: str


def _drawn(rng: np.random.Generator, names: tuple[str, ...]) -> _Counts:
    """Return the pairs of each row by the last class that they survived: few or many, hardly any lost or many."""
    found = {}
    for name in names:
        left = int(rng.choice([3, 8, 12, 15, 60, 230, 600]))
        counts = np.zeros(len(CLASSES), dtype=np.int64)
        for place in range(len(CLASSES) - 1):
            lost = min(int(rng.choice([0, 0, 2, 6, 11, 40])), left)
            counts[place], left = lost, left - lost
        counts[-1] = left
        found[name] = counts
    return found


def _partial(counts: NDArray[np.int64], **tables: Any) -> SourcePartial:
    lengths = np.zeros((len(CLASSES), MAX_WORDS + 1), dtype=np.int64)
    lengths[:, 3] = counts
    sample = np.zeros((len(CLASSES), len(CATEGORIES)), dtype=np.int64)
    return SourcePartial(
        counts, counts * 3, lengths, sample, tables.pop("languages", {}), tables.pop("countries", {}), **tables
    )


def _after(counts: NDArray[np.int64]) -> list[int]:
    return [int(counts[place:].sum()) for place in range(len(CLASSES))]


def _counted(hosts: Mapping[str, _Counts]) -> unit_sums.Counted:
    of_all = {host: sum((some[host] for some in hosts.values()), np.zeros(len(CLASSES), np.int64)) for host in _HOSTS}
    rows, sizes = [], []
    for source, some in sorted({**hosts, unit_sums.ALL: of_all}.items()):
        after = np.array([_after(counts) for counts in some.values()])
        for stage in range(len(CLASSES)):
            sizes.append(unit_sums.sizes(source, "host", stage, after[:, stage]))
            for host, number in zip(some, after[:, stage].tolist(), strict=True):
                if number:
                    rows.append({"source": source, "kind": "host", "stage": stage, "name": host, "pairs": number})
    by_size = [unit_sums.GROUPS.empty_table()]
    for source, some in hosts.items():
        found = groups.by_size(np.array([_after(counts) for counts in some.values()]))
        head = [pa.array([name] * found.num_rows, pa.string()) for name in (source, "host")]
        by_size.append(pa.table([*head, *found.columns], schema=unit_sums.GROUPS))
    tables = {"hosts": pa.Table.from_pylist(rows, unit_sums.HOSTS), "sizes": pa.concat_tables(sizes)}
    return unit_sums.merged([dataclasses.replace(unit_sums.EMPTY, groups=pa.concat_tables(by_size), **tables)])


def _content(countries: Mapping[str, _Counts], hosts: Mapping[str, _Counts]) -> dict[str, Any]:
    partials = {}
    for source, some in hosts.items():
        of_hosts = np.sum([*some.values()], axis=0)
        traits = {
            "suffix": {
                code: some[one] + some[other] for code, one, other in (("DE", "a.de", "b.de"), ("FR", "d.fr", "e.fr"))
            }
        }
        partials[source] = _partial(of_hosts, countries=countries.get(source, {}), traits=traits)
    books = {
        stage: {source: Books(_after(one.pairs)[CLASSES.index(stage)]) for source, one in partials.items()}
        for stage in _STAGES
    }
    for before, stage in itertools.pairwise(_STAGES):
        for source in partials:
            lost = books[before][source].kept - books[stage][source].kept
            books[stage][source] = Books(books[stage][source].kept, {"dead": lost})
    plan = Plan({}, Absent("none", "none"))
    return result(Partial(partials), books, plan, {}, counted=_counted(hosts), beside=_BESIDE)


def _atoms(sources: tuple[str, ...], rows: tuple[str, ...], stage: str) -> _Atoms:
    last = range(CLASSES.index(stage), len(CLASSES))
    return frozenset((source, row, place) for source in sources for row in rows for place in last)


def _said_of_places(content: Mapping[str, Any], source: str) -> Iterator[_Said]:
    tables = content["steps"]["sources"][source]["by"]
    for at, stage in enumerate(CLASSES):
        rows = _told_by(content, source, "country", stage)
        classes = _told_by(content, source, "income", stage) if "income" in tables else {}
        if stage in _STAGES:
            told = content["geography"]["sources"][source][stage]
            for row in (*told["countries"], *content["sources"][source][stage]["countries"]["shares"]):
                assert rows.setdefault(row["country"], row["pairs"]) == row["pairs"]
            for row in told["incomes"]:
                if row["pairs"]["number"] is not None:
                    assert classes.setdefault(row["class"], row["pairs"]["number"]) == row["pairs"]["number"]
        if tables.get("income", {}).get("added_up"):
            assert classes == _sums(tables["country"]["rows"], at), "they follow from the countries"
            classes = {}
        yield from _said((source,), _COUNTRIES, stage, rows, classes, lambda code: _INCOMES.get(code, "none"))


def _sums(rows: list[dict[str, Any]], at: int) -> dict[str, int]:
    """Return income classes of the countries that are told at first and at last; none where one of them is not told here."""
    some = [row for row in rows if None not in (row["pairs"][0], row["pairs"][-1])]
    found: dict[str, int] = {}
    for row in some if all(row["pairs"][at] is not None for row in some) else ():
        if row["value"] in _INCOMES:
            name = _INCOMES[row["value"]]
            found[name] = found.get(name, 0) + row["pairs"][at]
    return found


def _said(
    sources: tuple[str, ...],
    names: tuple[str, ...],
    stage: str,
    rows: Mapping[str, int],
    classes: Mapping[str, int],
    class_of: Any,
) -> Iterator[_Said]:
    """Yield the rows and the classes, and what is left of each class beside the rows that are told."""
    for row, pairs in rows.items():
        yield _Said(_atoms(sources, (row,), stage), pairs, f"{row} after {stage}")
    for name, pairs in classes.items():
        members = tuple(row for row in names if class_of(row) == name)
        yield _Said(_atoms(sources, members, stage), pairs, f"{name} after {stage}")
        hidden = tuple(row for row in members if row not in rows)
        left = pairs - sum(rows[row] for row in members if row in rows)
        yield _Said(_atoms(sources, hidden, stage), left, f"what is left of {name} after {stage}")


def _rests(
    of: tuple[tuple[str, str], ...], rows: Mapping[str, Mapping[tuple[str, str], int]], totals: Mapping[str, int]
) -> Iterator[_Said]:
    """Yield what is left of a total beside the rows that are told after a stage, and beside those told after two."""
    for one, other in itertools.product(rows, repeat=2):
        both = set(rows[one]) & set(rows[other])
        hidden = frozenset().union(*(_atoms((row[0],), (row[1],), one) for row in of if row not in both))
        yield _Said(
            hidden,
            totals[one] - sum(rows[one][row] for row in both),
            f"what is left after {one} beside rows after {other}",
        )
        if CLASSES.index(one) < CLASSES.index(other):
            # What is summed up after the one less what the later one tells of these rows.
            later = set(rows[other]) - set(rows[one])
            apart = frozenset().union(*(_atoms((row[0],), (row[1],), other) for row in later))
            summed = frozenset().union(*(_atoms((row[0],), (row[1],), one) for row in of if row not in rows[one]))
            yield _Said(
                summed - apart,
                totals[one] - sum(rows[one].values()) - sum(rows[other][row] for row in later),
                f"what is summed up after {one} beside rows that are told after {other} alone",
            )


def _known(counts: Mapping[tuple[str, str], NDArray[np.int64]]) -> tuple[dict[tuple[str, str, int], int], set[_Atoms]]:
    """Return the true number of each atom, and the pairs whose number is no secret: what all rows together have and lost."""
    truth = {(*row, place): int(number) for row, some in counts.items() for place, number in enumerate(some)}
    ends = itertools.combinations(range(len(CLASSES) + 1), 2)
    return truth, {frozenset(atom for atom in truth if truth[atom] and low <= atom[2] < high) for low, high in ends}


def _totals(counts: Mapping[tuple[str, str], NDArray[np.int64]]) -> dict[str, int]:
    return {stage: sum(_after(some)[CLASSES.index(stage)] for some in counts.values()) for stage in CLASSES}


def _small(said: list[_Said], truth: Mapping[tuple[str, str, int], int], public: set[_Atoms]) -> list[str]:
    """Return what tells of a few pairs: a number, or a difference of two of which the one's pairs are among the other's."""
    found = []
    for one, other in itertools.permutations([*said, _Said(frozenset(), 0, "nothing")], 2):
        if other.of < one.of and 0 < one.number - other.number < suppression.LEAST:
            apart = frozenset(atom for atom in one.of - other.of if truth.get(atom))
            true = sum(truth[atom] for atom in apart)
            if true == one.number - other.number and apart not in public:
                found.append(f"{true}: {one.what} − {other.what}")
    return found


@pytest.mark.parametrize("seed", [*range(12), 103, 113, 137])
def test_no_two_numbers_of_countries_and_incomes_tell_of_a_few_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hosts = {"yfcc100m": _drawn(rng, _HOSTS)}
    of_hosts = np.sum([*hosts["yfcc100m"].values()], axis=0)
    counts = {code: np.minimum(some, of_hosts) for code, some in _drawn(rng, _COUNTRIES).items()}
    said = [*_said_of_places(_content({"yfcc100m": counts}, hosts), "yfcc100m")]
    rows = {
        stage: {
            ("yfcc100m", code): one.number for one in said for code in counts if one.what == f"{code} after {stage}"
        }
        for stage in CLASSES
    }
    of = {("yfcc100m", code): some for code, some in counts.items()}
    said += _rests((*of,), rows, _totals(of))
    assert any(rows.values()), "something is told"
    assert _small(said, *_known(of)) == []


@pytest.mark.parametrize("seed", [*range(12), 109, 122, 128])
def test_no_two_numbers_of_hosts_of_one_source_and_of_all_tell_of_a_few_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hosts = {source: _drawn(rng, _HOSTS) for source in _SOURCES}
    content = _content({}, hosts)
    counts = {(source, host): some for source, of in hosts.items() for host, some in of.items()}
    truth, public = _known(counts)
    said: list[_Said] = []
    rows: dict[str, dict[tuple[str, str], int]] = {stage: {} for stage in CLASSES}
    for source in _SOURCES:
        mine = {row: some for row, some in counts.items() if row[0] == source}
        public |= _known(mine)[1]
        size_of = {host: groups.name_of(_after(hosts[source][host])[0]) for host in _HOSTS}
        for stage in CLASSES:
            told, suffixes = _hosts_of(content, source, stage)
            sizes = _told_by(content, source, "host_size", stage)
            said += _said((source,), _HOSTS, stage, told, sizes, size_of.get)
            rows[stage] |= {(source, host): pairs for host, pairs in told.items()}
            said += _said(
                (source,), _HOSTS, stage, told, suffixes, lambda host: {"de": "DE", "fr": "FR"}.get(host[-2:], "")
            )
        said += _rests(
            (*mine,),
            {stage: {row: rows[stage][row] for row in rows[stage] if row in mine} for stage in CLASSES},
            _totals(mine),
        )
    for stage in _STAGES:
        for row in content["all"][stage]["hosts"]["largest"]:
            host, pairs = row["host"], row["pairs"]
            said.append(_Said(_atoms(_SOURCES, (host,), stage), pairs, f"{host} of all after {stage}"))
            for other in _STAGES:
                apart = [
                    source for source in _SOURCES if (source, host) in rows[stage] and (source, host) in rows[other]
                ]
                hidden = tuple(source for source in _SOURCES if source not in apart)
                left = pairs - sum(rows[stage][source, host] for source in apart)
                said.append(
                    _Said(_atoms(hidden, (host,), stage), left, f"what is left of {host} after {stage}, {other}")
                )
    assert any(content["all"][stage]["hosts"]["largest"] for stage in _STAGES), "something is told of all"
    assert _small(said, truth, public) == []


def _lost_of_two(monkeypatch: pytest.MonkeyPatch, large: int, other: int) -> dict[str, Any]:
    """Return the hosts' figures where dead links took some pairs of a large host, and some of a smaller one."""
    names = (*_HOSTS[:6], *(f"{number}.org" for number in range(150)))
    monkeypatch.setattr(f"{__name__}._HOSTS", names)
    hosts = {}
    for number, host in enumerate(names):
        counts = np.zeros(len(CLASSES), dtype=np.int64)
        lost = {"a.de": large, "b.de": other}.get(host, 40 * number % 70)
        counts[CLASSES.index("asked")] = lost
        counts[-1] = {"a.de": 1005, "b.de": 92}.get(host, 15 + 7 * (number % 20)) - lost
        hosts[host] = counts
    content = _content({}, {"conceptual_12m": {host: np.maximum(counts, 0) for host, counts in hosts.items()}})
    return {
        f"{name} {stage}": of[stage]["hosts"]
        for name, of in (("all", content["all"]), ("source", content["sources"]["conceptual_12m"]))
        for stage in _STAGES
    }


def test_figures_of_sizes_do_not_tell_how_many_pairs_of_a_host_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 156 hosts the largest percent is one host and a half: with all digits its hidden losses were to be read off."""
    one, *others = (_lost_of_two(monkeypatch, lost, 9 - lost) for lost in (1, 2, 4, 5, 7, 8))
    after = one["source shard"]
    assert {row["host"]: row["pairs"] for row in after["largest"]}["a.de"] == 1005, "as before"
    assert after["top_10"] < 1
    assert after["curve"][0] == [0.0, 0.0]
    assert after["curve"][-1] == [1.0, 1.0]
    assert others == [one] * 5


def test_of_few_pairs_figures_of_sizes_that_say_little_are_none() -> None:
    hosts = {host: np.zeros(len(CLASSES), dtype=np.int64) for host in _HOSTS}
    for number, counts in enumerate(hosts.values()):
        counts[-1] = 20 if number == 0 else 3
    figures = _content({}, {"sbu_captions": hosts})["all"]["shard"]["hosts"]
    assert (figures["distinct"]["value"], figures["gini"], figures["two_pairs_share_one"]) == (6, None, None)
    assert figures["top_10"] == 1.0, "of six"


def test_of_all_sources_together_those_without_addresses_are_not_covered() -> None:
    """Archives have no addresses: what one source alone has is told of all, but not that it is all."""

    def population(pairs: int, measured: int) -> dict[str, Any]:
        nothing: dict[str, Any] = {"coverage": {"measured": 0}}
        rows = [{"host": "one.example", "pairs": measured, "share": 1.0}] if measured else []
        hosts = {"coverage": {"measured": measured, "eligible": pairs}, "largest": rows, "other": 0.0}
        return {"pairs": pairs, "hosts": hosts, "countries": nothing, "languages": nothing}

    content = {
        "sources": {
            "coco": {"shard": population(64, 64)},
            "localized_narratives__ADE20k": {"shard": population(21, 0)},
        },
        "all": {"shard": population(85, 64)},
    }
    del content["sources"]["localized_narratives__ADE20k"]["shard"]["hosts"]["largest"]  # which are not measured
    small_cells.hide(content, {})
    assert content["all"]["shard"]["hosts"] == population(85, 64)["hosts"]


def test_of_all_sources_a_language_has_the_texts_of_those_too_that_do_not_list_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one source has thirty languages, of which it lists those with most texts; the last of them is the other's first."""
    codes = [f"{a}{b}" for a in "xyz" for b in "abcdefghij"]
    texts = {"red_caps": [(code, 60 - number) for number, code in enumerate(codes)], "sbu_captions": [(codes[-1], 40)]}
    rows = [
        pair(source, f"{code}{number}", f"some ({code})", url="http://a.org/x")
        for source, some in texts.items()
        for code, many in some
        for number in range(many)
    ]

    def marked(tokens: Tokens) -> pa.Array:
        found = tokens.joined(np.arange(len(tokens))).to_pylist()
        return pa.array([text[-3:-1] for text in found], pa.string())

    monkeypatch.setattr(language, "languages", marked)
    pairs, last = batch(rows), pa.array(["curate"] * len(rows))
    partial = measure.measure(pairs, last, WHOLE)
    books = {"curate": {source: Books(int(one.pairs.sum())) for source, one in partial.sources.items()}}
    content = result(partial, books, WHOLE, {}, counted=counted(pairs, last))
    listed = content["sources"]["red_caps"]["curate"]["languages"]["shares"]
    assert len(listed) == small_cells.LISTED["languages"]
    assert codes[-1] not in {row["language"] for row in listed}
    (row,) = [row for row in content["all"]["curate"]["languages"]["shares"] if row["language"] == codes[-1]]
    assert row["texts"] == 31 + 40
    assert row["share"] == pytest.approx(71 / len(rows), rel=1e-5)


def test_of_all_sources_a_text_is_listed_that_is_far_down_the_list_of_one() -> None:
    """A sunset stands on most images. The one source lists ten other texts, and a third has it on two: too few to be told."""
    texts = {
        "yfcc100m": {"sunset": 30, "flowers": 35},
        "sbu_captions": {"sunset": 12} | {f"some {word}": 20 for word in "abcdefghij"},
        "coco": {"sunset": 2, "other": 40},
    }
    rows = [
        pair(source, f"{text}{number}", text, meta={})
        for source, some in texts.items()
        for text, many in some.items()
        for number in range(many)
    ]
    pairs, last = batch(rows), pa.array(["curate"] * len(rows))
    partial = measure.measure(pairs, last, WHOLE)
    books = {"curate": {source: Books(int(one.pairs.sum())) for source, one in partial.sources.items()}}
    summary = repeated.summary(repeated.count(pa.Table.from_batches([repeated.occurrences(pairs, last)])))
    content = result(partial, books, WHOLE, {}, counted=counted(pairs, last), repeated=summary)
    sections = {name: one["curate"]["repeated"] for name, one in {**content["sources"], "all": content["all"]}.items()}
    assert "sunset" not in {row["text"] for row in sections["sbu_captions"]["largest"]}
    assert sections["all"]["largest"][:3] == [
        {"text": "sunset", "images": 42, "pairs": 42},
        {"text": "other", "images": 40, "pairs": 40},
        {"text": "flowers", "images": 35, "pairs": 35},
    ]


_LONG = "the quick brown fox jumps over the lazy hound beside the old mill pond at sunset yester"


def _repeated_texts(texts: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Return what is told of texts, each on so many photographs at first, of which so many are lost."""
    rows, last = [], []
    for text, (number, lost) in texts.items():
        for place in range(number):
            rows.append(pair("coco", f"{text}{place}", text))
            last.append("curate" if place < lost else "images")
    pairs, fates = batch(rows), pa.array(last)
    kept = last.count("images")
    books = {"curate": {"coco": Books(len(rows))}, "images": {"coco": Books(kept, {"takedown": len(rows) - kept})}}
    summary = repeated.summary(repeated.count(pa.Table.from_batches([repeated.occurrences(pairs, fates)])))
    partial = measure.measure(pairs, fates, WHOLE)
    content = result(partial, books, WHOLE, {}, counted=counted(pairs, fates), repeated=summary)
    return {stage: content["sources"]["coco"][stage]["repeated"] for stage in ("curate", "images")}


@pytest.mark.usefixtures("english")
def test_texts_that_are_nearly_one_do_not_tell_of_a_few_pairs_of_one_of_them() -> None:
    """Of the one text 40 are told; with the other, of which 27 of 30 are lost, there would be 43."""
    found = _repeated_texts(
        {f"{_LONG}day": (60, 20), f"{_LONG}eve": (30, 27), "blue sky": (50, 0), "untitled": (40, 0)}
    )
    assert [(row["texts"], row["pairs"]) for row in found["curate"]["near"]["largest"]] == [(2, 90)]
    assert {row["text"]: row["pairs"] for row in found["images"]["largest"]}[f"{_LONG}day"] == 40
    assert found["images"]["near"]["largest"] == []
    assert "members" not in found["curate"]["near"]["largest"][0]
    sums = [row["pairs"] for row in found["images"]["near"]["shared_by"]]
    assert sums == [120, 0, 0], "133, of which 130 are told"


@pytest.mark.usefixtures("english")
def test_pairs_of_texts_on_many_images_do_not_tell_what_one_of_them_lost() -> None:
    """The one text on a hundred images lost four: all texts on so many would tell it."""
    found = _repeated_texts({"blue sky": (150, 4), "untitled": (60, 30), "a map": (40, 0)})
    assert [row["text"] for row in found["images"]["largest"]] == ["a map"]
    assert [row["pairs"] for row in found["curate"]["shared_by"]] == [250, 150, 0]
    assert [row["pairs"] for row in found["images"]["shared_by"]] == [216, 140, 0]
    assert found["images"]["shared_by"][1]["share"] == pytest.approx(140 / 216, rel=1e-5)


@pytest.mark.usefixtures("english")
def test_where_pairs_are_too_few_to_be_rounded_their_share_is_not_told_either() -> None:
    found = _repeated_texts({"blue sky": (15, 4)})
    sums = [found[stage]["near"]["shared_by"][0] for stage in ("curate", "images")]
    assert (None, None) in [(one["pairs"], one["share"]) for one in sums]
    assert all((one["pairs"] is None) == (one["share"] is None) for one in sums)


@pytest.mark.parametrize("share", [0.995, 0.9, 0.001])
def test_what_is_rounded_is_not_told_as_all_or_nothing(share: float) -> None:
    assert 0 < small_cells._rounded(share, 0.02) < 1  # type: ignore[operator]
    assert small_cells._rounded(share, 0.02) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("users", "told"),
    [
        ((54, 46, 40), (54, None, 40)),  # of the end is told before what is between
        ((54, 50, 46), (54, None, None)),
        ((54, 54, 30), (54, 54, 30)),
        ((30, 20, 9), (30, 20, None)),
        ((9, 8, 7), (None, None, None)),
    ],
)
def test_no_few_users_of_a_text_follow_from_two_stages(users: tuple[int, ...], told: tuple[int | None, ...]) -> None:
    stages = ("curate", "fetch", "shard")
    nothing: dict[str, Any] = {"largest": [], "shared_by": [{"images": 10, "pairs": 0}]}

    def populations() -> dict[str, Any]:
        found = {}
        for stage, number, pairs in zip(stages, users, (300, 200, 100), strict=True):
            row = {"text": "blue sky", "pairs": pairs, "images": pairs, "users": number}
            repeated = {"largest": [row], "shared_by": [{"images": 10, "pairs": 2 * pairs}], "near": nothing}
            found[stage] = {"pairs": 2 * pairs, "repeated": repeated}
        return found

    content = {"sources": {"yfcc100m": populations()}, "all": populations()}
    small_cells.hide_texts(content)
    for of in (content["sources"]["yfcc100m"], content["all"]):
        assert tuple(row["users"] for stage in stages for row in of[stage]["repeated"]["largest"]) == told


def _with_harm(rows: dict[str, tuple[int, int]], violent: int) -> list[tuple[str, int, int | None]]:
    """Return what is told of hosts with so many texts of violence, of so many English ones, where there are so many in all."""
    values = {"host": [{"large.example": 500, "small.example": 90, "told.example": 80}] * 2}
    values["host"][1] = {"large.example": 500, "told.example": 60}
    told = steps.Source(("curate", "shard"), (700, 600), values, {"host": [700, 600]}, 0.0)
    marked = [
        {"host": f"{name}.example", "list": "violent", "texts": texts, "english": english, "share": texts / english}
        for name, (texts, english) in rows.items()
    ]
    hosts: dict[str, Any] = {"coverage": {"measured": 600}}
    harm = {
        "coverage": {"measured": 600},
        "violent": {"value": violent / 600},
        "hosts": marked,
        "subreddits": [],
    }
    population = {"pairs": 600, "hosts": hosts, "harm": harm, "countries": hosts, "languages": hosts}
    of_all = {**population, "harm": {**harm}}
    small_cells.hide(
        {"sources": {"sbu_captions": {"shard": population}}, "all": {"shard": of_all}}, {"sbu_captions": told}
    )
    assert of_all["harm"] == harm, "of all sources no more is told than of the one"
    return [(row["host"].partition(".")[0], row["texts"], row["english"]) for row in harm["hosts"]]  # type: ignore[attr-defined, union-attr]


def test_terms_of_harm_do_not_tell_of_a_host_that_is_hidden() -> None:
    rows = dict.fromkeys(("large", "small", "told", "unlisted"), (20, 40))
    assert _with_harm(rows, 120) == [("told", 20, 40), ("unlisted", 20, 40)]


def test_terms_of_harm_tell_of_no_few_texts_of_a_host_nor_of_others() -> None:
    assert _with_harm({"told": (40, 60), "unlisted": (20, 50)}, 60) == [("told", 40, 60), ("unlisted", 20, 50)]
    assert _with_harm({"told": (40, 60), "unlisted": (20, 50)}, 63) == [("told", 40, 60)], "three of others"
    assert _with_harm({"told": (40, 60), "unlisted": (20, 24)}, 90) == [("told", 40, 60), ("unlisted", 20, None)]


def _told_by(content: Mapping[str, Any], source: str, by: str, stage: str) -> dict[str, int]:
    at, table = CLASSES.index(stage), content["steps"]["sources"][source]["by"][by]
    return {row["value"]: row["pairs"][at] for row in table["rows"] if row["pairs"][at] is not None}


def _hosts_of(content: Mapping[str, Any], source: str, stage: str) -> tuple[dict[str, int], dict[str, int]]:
    told = _told_by(content, source, "host", stage)
    if stage not in _STAGES:
        return told, {}
    for row in content["sources"][source][stage]["hosts"]["largest"]:
        assert told.setdefault(row["host"], row["pairs"]) == row["pairs"]
    suffixes = content["geography"]["suffixes"][source][stage]["shares"]
    return told, {row["value"]: row["pairs"] for row in suffixes}


def test_a_class_of_countries_is_hidden_where_it_would_tell_of_one() -> None:
    # Of 605, 100 of the United States and five of Liechtenstein are hidden: the class of the one would tell of the other.
    classes, rows = {"high": 380, "low": 220}, {"DE": 280, "VN": 220}
    class_of = {"DE": "high", "US": "high", "VN": "low"}.get
    assert suppression.classes_told([classes], [rows], class_of, [605], known=[600]) == [{}]
    assert suppression.classes_told([{"high": 385, "low": 220}], [rows], class_of, [605], known=[605]) == [
        {"high": 385, "low": 220}
    ]


def test_classes_of_the_told_countries_take_the_place_of_those_that_are_hidden() -> None:
    rows = [{"DE": 280, "US": 90, "VN": 220, "TW": 40}, {"DE": 270, "VN": 210}, {"DE": 200, "VN": 30, "US": 50}]
    class_of = {"DE": "high", "US": "high", "VN": "low"}.get
    # The second stage does not tell of the United States, so that nothing could be compared with it.
    assert suppression.added_up(rows, class_of) == [{"high": 370, "low": 220}, {}, {"high": 250, "low": 30}]
    assert suppression.added_up([], class_of) == []


def test_a_class_is_as_before_only_by_countries_that_it_is_made_of() -> None:
    # The United States hardly changed at first, but are not told at last, so that no class has them.
    countries = [{"DE": 500, "US": 300, "VN": 400}, {"DE": 450, "US": 300, "VN": 400}, {"DE": 400, "VN": 350}]
    incomes = {"DE": "high", "US": "high", "VN": "lower_middle"}
    values = {"country": countries, "income": suppression.added_up(countries, incomes.get)}
    totals = {"country": [1205, 1155, 1000], "income": [1205, 1155, 1000]}
    one = steps.Source(
        ("curate", "images", "shard"), (1205, 1155, 1000), values, totals, 0.0, incomes, frozenset({"income"})
    )
    assert one.as_before("country", "images") == {"US": "curate", "VN": "curate"}
    assert one.as_before("income", "images") == {"lower_middle": "curate"}


def test_the_share_of_high_income_is_told_where_its_whole_class_would_tell_of_few() -> None:
    # Of Liechtenstein are five photographs: high income less Germany would be these.
    zero = np.zeros(len(CLASSES), dtype=np.int64)
    countries = {code: zero.copy() for code in ("DE", "VN", "IN", "LI")}
    for code, (lost, left) in {"DE": (100, 500), "VN": (40, 160), "IN": (20, 100), "LI": (0, 5)}.items():
        countries[code][[CLASSES.index("asked"), -1]] = lost, left
    hosts = {host: zero.copy() for host in _HOSTS}
    hosts["a.de"] = np.sum([*countries.values()], axis=0)
    content = _content({"yfcc100m": countries}, {"yfcc100m": hosts})
    places = content["geography"]["sources"]["yfcc100m"]
    assert "pairs" in places["curate"]["added_up"]
    told = {row["country"] for row in places["curate"]["countries"]} & {
        row["country"] for row in places["shard"]["countries"]
    }
    assert "DE" in told
    assert "LI" not in told
    for stage, place in (("curate", 0), ("shard", CLASSES.index("shard"))):
        high = places[stage]["high_income"]["photographs"]
        classed = {code: int(countries[code][place:].sum()) for code in told}
        assert high["known"] == sum(classed.values())
        assert high["value"] == pytest.approx(classed["DE"] / sum(classed.values()), rel=1e-5)
    income = content["steps"]["sources"]["yfcc100m"]["by"]["income"]
    assert income["added_up"]
    assert {row["value"] for row in income["rows"]} == {"high", "lower_middle"}
    found = tables.tables(content)
    assert {row["pairs_added_up"] for row in found["geography.incomes"].to_pylist()} == {True}
    assert {row["added_up"] for row in found["geography.high_income"].to_pylist() if row["of"] == "photographs"} == {
        True
    }
    by_income = [row for row in found["steps.ratios"].to_pylist() if row["by"] == "income"]
    assert {row["added_up"] for row in by_income} == {True}
    assert [row for row in content["tests"] if row["section"] == "incomes"] == [], (
        "a test would tell how many were lost"
    )
