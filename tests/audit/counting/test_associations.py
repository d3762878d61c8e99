"""What stands with gendered terms: sums over clusters, odds, intervals, the ranking, and what is too little to be shown."""

from __future__ import annotations

import math
import random

import numpy as np
import pyarrow as pa
import pytest

from pmd.audit.counting import associations, measure, unit_sums, units
from pmd.audit.counting.associations import Captions
from pmd.audit.statistics import clusters, findings
from pmd.audit.texts import vocabulary
from tests.audit.batches import WHOLE, batch, counted, pair

pytestmark = pytest.mark.usefixtures("english")


def _photographs() -> tuple[pa.RecordBatch, pa.Array]:
    texts = [
        "a woman doctor",
        "a man, doctor",
        "a man, a woman and a doctor",
        "a doctor",
        "a woman",
        "a man and a nurse",
    ]
    rows = [
        pair("yfcc100m", str(number), text, meta={"uid": f"user {number % 2}"}) for number, text in enumerate(texts)
    ]
    return batch(rows), pa.array(["shard", "fetch", "shard", "shard", "shard", "shard"])


def test_sums_over_clusters_by_hand() -> None:
    known = counted(*_photographs())
    before, after = (known.associations_of("yfcc100m", "user", stage) for stage in (0, 4))
    doctor = before["occupations/doctor"]
    # Captions with a gendered term: of user 0 a woman, and a man with a woman; of user 1 a man. "a doctor" has none.
    assert (doctor.sizes.tolist(), doctor.units.tolist()) == ([1, 2], [1, 1])
    assert {name: doctor.having(name) for name in ("female", "male", "both", "female+male")} == {
        "female": 2,
        "male": 2,
        "both": 1,
        "female+male": 4,
    }
    assert doctor.of("female+male")[1].tolist() == [1, 9]
    assert after["occupations/doctor"].pairs == 2
    assert set(before) == {"occupations/doctor", "occupations/nurse"}


def test_sums_do_not_depend_on_how_units_are_dealt_out() -> None:
    pairs, last = _photographs()
    rows = pa.Table.from_batches(units.occurrences(pairs, last, measure.look(pairs, WHOLE)), units.ROWS)
    ids = rows["unit"].to_numpy()
    parts = [rows.filter(pa.array(ids % 3 == part)) for part in range(3)]
    merged = unit_sums.merged(units.count(part) for part in parts if part.num_rows)
    assert merged.sums.equals(units.count(rows).sums)


def _sums(sizes: list[int], female: list[int], male: list[int]) -> clusters.Sums:
    one, other = np.array(female), np.array(male)
    having = {"female": one, "male": other, "both": np.zeros_like(one), "female+male": one + other}
    return clusters.of(np.array(sizes), having)


def test_odds_and_interval_against_the_source() -> None:
    # Of 200 users one caption each: 40 women and 160 men with a hammer, in a source with as many of either.
    sums = _sums([1] * 200, [1] * 40 + [0] * 160, [0] * 40 + [1] * 160)
    captions = Captions(10_000, 2000, 2000, {"occupations/mechanic": (300, 40, 160)})
    (row,) = associations.figures(captions, {"user": {"occupations/mechanic": sums}}, 1)
    assert (row["group"], row["term"], row["captions"], row["clusters"], row["cluster"]) == (
        "occupations",
        "mechanic",
        300,
        200,
        "user",
    )
    assert row["odds"] == pytest.approx(0.25)
    assert row["finding"]
    assert row["low"] < 0.25 < row["high"] < 0.42
    assert row["npmi_male"] == pytest.approx(math.log(160 * 10_000 / (300 * 2000)) / -math.log(160 / 10_000))
    assert row["npmi_female"] < 0 < row["npmi_male"]


def test_the_more_sources_the_surer_a_finding_must_be() -> None:
    """The terms of each source are a family of tests, and all families have equal parts of what is allowed."""
    sums = _sums([1] * 100, [1] * 28 + [0] * 72, [0] * 28 + [1] * 72)
    captions = Captions(10_000, 2000, 2000, {"occupations/mechanic": (100, 28, 72)})
    rows = {
        sources: associations.figures(captions, {"user": {"occupations/mechanic": sums}}, sources)[0]
        for sources in (1, 12)
    }
    assert rows[1]["p"] == rows[12]["p"]
    assert findings.allowed(12) < rows[1]["p"] < findings.allowed(1)
    assert [row["finding"] for row in rows.values()] == [True, False]


def test_one_user_with_an_album_is_no_finding() -> None:
    chance = random.Random(3)
    sizes = [300, *(1 for _ in range(20))]
    female = [300, *(chance.randint(0, 1) for _ in range(20))]
    male = [0, *(1 - one for one in female[1:])]
    captions = Captions(10_000, 2000, 2000, {"objects/cake": (400, sum(female), sum(male))})
    (row,) = associations.figures(captions, {"user": {"objects/cake": _sums(sizes, female, male)}}, 1)
    assert (row["refused"], row["finding"], row["low"]) == ("too concentrated", False, None)


@pytest.mark.parametrize(("number", "size", "shown"), [(20, 1, 1), (19, 1, 0), (10, 2, 1), (9, 3, 0)])
def test_what_is_too_little_is_not_shown(number: int, size: int, shown: int) -> None:
    half = number // 2
    sums = _sums([size] * number, [size] * half + [0] * (number - half), [0] * half + [size] * (number - half))
    captions = Captions(1000, 400, 400, {"objects/dog": (number * size, half * size, (number - half) * size)})
    assert len(associations.figures(captions, {"user": {"objects/dog": sums}}, 1)) == shown


def test_the_wider_of_two_kinds_of_clusters_counts() -> None:
    alone = _sums([1] * 100, [1] * 50 + [0] * 50, [0] * 50 + [1] * 50)
    joined = _sums([5] * 20, [5] * 10 + [0] * 10, [0] * 10 + [5] * 10)
    captions = Captions(1000, 400, 400, {"objects/dog": (100, 50, 50)})
    (row,) = associations.figures(captions, {"user": {"objects/dog": alone}, "subreddit": {"objects/dog": joined}}, 1)
    assert (row["cluster"], row["clusters"]) == ("subreddit", 20)


def test_rare_terms_are_shrunk_to_the_background() -> None:
    """Two captions of women and none of men rank behind two hundred and a hundred: the prior of Fightin' Words."""
    captions = Captions(
        100_000, 20_000, 20_000, {"occupations/nurse": (300, 200, 100), "occupations/welder": (20, 2, 0)}
    )
    scores = associations._scores(["occupations/nurse", "occupations/welder"], captions)
    assert scores["occupations/nurse"] > 3 > scores["occupations/welder"] > 0


def test_npmi_has_its_ends() -> None:
    assert associations.npmi(10, 10, 10, 100) == pytest.approx(1)
    assert associations.npmi(0, 10, 10, 100) == -1
    assert associations.npmi(10, 20, 50, 100) == pytest.approx(0)
    assert associations.npmi(0, 0, 10, 100) is None


def test_every_associated_term_has_one_number() -> None:
    terms = vocabulary.associated()
    assert len({term.key for term in terms}) == len(terms)
    assert {term.group for term in terms} == set(vocabulary.ASSOCIATED)


@pytest.mark.parametrize("few", ["female", "male"])
def test_no_few_captions_follow_from_what_is_told_of_a_term(few: str) -> None:
    """Of two hundred captions with a hammer so few have the other sex that three are told as seven are: as ten."""

    def told(number: int) -> dict[str, object]:
        some, others = [1] * number + [0] * (200 - number), [0] * number + [1] * (200 - number)
        female, male = (some, others) if few == "female" else (others, some)
        captions = Captions(10_000, 2000, 2000, {"occupations/mechanic": (300, sum(female), sum(male))})
        sums = _sums([1] * 200, female, male)
        (row,) = associations.figures(captions, {"user": {"occupations/mechanic": sums}}, 1)
        return row

    three, seven = told(3), told(7)
    other = {"female": "male", "male": "female"}[few]
    assert (three[few], three[other], seven[few], seven[other]) == (None, 197, None, 193)
    assert (three["at_most"], three["at_least"]) == (few == "female", few == "male")
    assert three["odds"] == pytest.approx(10 / 197 if few == "female" else 197 / 10)
    assert three[f"npmi_{few}"] == seven[f"npmi_{few}"]
    told_alike = {name for name in three if three[name] == seven[name]}
    assert {*three} - told_alike == {other, "odds", "score", f"npmi_{other}"}, "all that the other sex has"
    assert (three["low"], three["high"], three["p"], three["degrees"]) == (None,) * 4


def test_no_few_captions_without_a_gendered_term_follow() -> None:
    sums = _sums([1] * 300, [1] * 296 + [0] * 4, [0] * 240 + [1] * 60)
    captions = Captions(10_000, 2000, 2000, {"objects/handbag": (300, 296, 60)})
    (row,) = associations.figures(captions, {"user": {"objects/handbag": sums}}, 1)
    assert (row["captions"], row["female"], row["male"]) == (None, 296, 60)
    of_ten = associations.npmi(296, 306, 2000, 10_000)
    assert row["npmi_female"] == of_ten


def test_that_no_caption_has_a_gendered_term_is_told() -> None:
    sums = _sums([1] * 100, [1] * 100, [0] * 100)
    captions = Captions(10_000, 2000, 2000, {"objects/handbag": (300, 100, 0)})
    (row,) = associations.figures(captions, {"user": {"objects/handbag": sums}}, 1)
    assert (row["female"], row["male"], row["odds"], row["npmi_male"]) == (100, 0, None, -1)
    assert not row["at_least"]
