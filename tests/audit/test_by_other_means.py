"""The audit's figures by other means: pandas and matrices, written from the formulas of docs/audit.md, on audits drawn at random.

Nothing of `pmd.audit.statistics` is called here.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from benchmarks.attacking import drawn
from pmd.audit.counting.measure import CLASSES

Array = NDArray[np.float64]

#: Seeds of audits: of unequal users and hosts, and from 100 on of many that have about as much, with intervals.
SEEDS = (3, 5, 8, 11, 100, 102)


@functools.cache
def audit(seed: int) -> drawn.Audit:
    return drawn.drawn(seed, even=seed >= 100)


def frame(seed: int) -> pd.DataFrame:
    """Return all pairs: a row each, with what its text has."""
    pairs = audit(seed).pairs
    found = pd.DataFrame(dict(pairs.columns))
    found["last"], found["read"] = pairs.last, pairs.read
    found["english"] = found["read"] & (found["language"] == "en")
    for sex in ("female", "male"):
        found[sex] = found["english"] & found["gendered"].map(lambda said, sex=sex: sex in drawn.GENDERED[said])
    return found


def after(pairs: pd.DataFrame, stage: str) -> pd.DataFrame:
    return pairs[pairs["last"] >= CLASSES.index(stage)]


def near(one: Any, other: Any) -> None:
    """Hold that two numbers are one, to the six digits that are told; or two lists."""
    assert one is None if other is None else one == pytest.approx(other, rel=2e-5, abs=1e-9)


ENDS = [*itertools.product(SEEDS, (drawn.STAGES[0], drawn.STAGES[-1]))]


# This table.


def spread(some: list[tuple[Array, float]]) -> tuple[float, float]:
    """Return the variance of a sum of scores of texts that were read, by source with 1 − f, and its degrees (Welch)."""
    parts = [(factor * len(x) * x.var(ddof=1), len(x) - 1) for x, factor in some if len(x) > 1]
    variance = sum(one for one, _ in parts)
    below = sum(one**2 / degrees for one, degrees in parts)
    return variance, variance**2 / below if below else math.nan


@pytest.mark.parametrize(("seed", "stage"), ENDS)
def test_shares_and_ratios_of_this_table(seed: int, stage: str) -> None:
    pairs = frame(seed)
    for name in (*audit(seed).sources, "all"):
        mine = after(pairs if name == "all" else pairs[pairs["source"] == name], stage)
        content = audit(seed).content["all" if name == "all" else "sources"]
        told = (content if name == "all" else content[name])[stage]["gendered"]
        whole = mine.groupby("source").size()
        read = mine[mine["read"]].copy()
        read["w"] = read["source"].map(whole / read.groupby("source").size())
        factors = {source: 1 - (read["source"] == source).sum() / number for source, number in whole.items()}
        if not read["english"].any():
            continue
        share = read["w"][read["female"]].sum() / read["w"][read["english"]].sum()
        near(told["female"]["value"], share)
        top, bottom = (read["w"][read[sex]].sum() for sex in ("female", "male"))
        near(told["female_to_male"]["value"], top / bottom if bottom else None)
        if read["read"].all() and len(read) == len(mine):
            assert told["female"]["interval"] is None
            continue
        scores = read["w"] * (read["female"] - share * read["english"]) / read["w"][read["english"]].sum()
        variance, degrees = spread(
            [(scores[read["source"] == source].to_numpy(float), factor) for source, factor in factors.items()]
        )
        size = share * (1 - share) / variance if variance else 0
        if size * min(share, 1 - share) >= 10 and told["female"]["interval"]:
            half = stats.t.ppf(0.975, degrees) * math.sqrt(variance) / (share * (1 - share))
            logit = math.log(share / (1 - share))
            near(told["female"]["interval"], [1 / (1 + math.exp(-logit + sign * half)) for sign in (1, -1)])
        if not bottom or not top or told["female_to_male"]["interval"] is None:
            continue
        scores = read["w"] * (read["female"] / top - read["male"] / bottom)
        variance, degrees = spread(
            [(scores[read["source"] == source].to_numpy(float), factor) for source, factor in factors.items()]
        )
        part = top / (top + bottom)
        having = (top + bottom) ** 2 / (top * bottom * variance)
        if having * min(part, 1 - part) >= 10:
            half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
            near(
                told["female_to_male"]["interval"], [math.exp(math.log(top / bottom) + sign * half) for sign in (-1, 1)]
            )


# Another draw.


def cr2(y: Array, x: Array, clusters: Array, score: Array, rho: float) -> tuple[float, float]:
    """Return CR2's variance of Σ score × residual and Satterthwaite's degrees, in the diagonal form, by whole matrices.

    Args:
        y: Of each pair.
        x: Columns whose means are taken from y, a row a pair.
        clusters: Of each pair.
        score: What each residual counts for.
        rho: The correlation of pairs of one cluster.
    """
    same = clusters[:, None] == clusters[None, :]
    omega = np.where(same, rho, 0.0)
    np.fill_diagonal(omega, 1.0)
    left = np.eye(len(y)) - x @ np.linalg.solve(x.T @ x, x.T)
    names = np.unique(clusters)
    c = np.stack([np.where(clusters == name, score, 0.0) for name in names])
    residuals = c @ left @ y
    wanted = np.einsum("ij,jk,ik->i", c, omega, c)
    a = c @ left
    covariance = a @ omega @ a.T
    factor = wanted / np.diag(covariance)
    mean = float((factor * np.diag(covariance)).sum())
    square = float((np.outer(factor, factor) * covariance**2).sum())
    return float(factor @ residuals**2), mean**2 / square


def correlation(residuals: Array, clusters: Array) -> float:
    """Return the correlation of pairs of one cluster, by moments."""
    by = pd.DataFrame({"cluster": clusters, "e": residuals, "s": residuals**2}).groupby("cluster")
    n, e, s = by.size().to_numpy(float), by["e"].sum().to_numpy(), by["s"].sum().to_numpy()
    number, c = n.sum(), n * (n - 1)
    if not c.any() or not s.any():
        return 0.0
    rho, square = 0.05, s.sum() / number
    for _ in range(4):
        v = n * (1 + (n - 1) * rho)
        model = square * v
        square = (s.sum() + model.sum() / number) / number
        back = 2 * model * (n - 1) / number - c * model.sum() / number**2
        w = c / v**2
        rho = min(max((w @ (e**2 - s + back)) / (w @ c) / square, 0.0), 1.0)
    return rho


@pytest.mark.parametrize(("seed", "stage"), ENDS)
def test_shares_of_another_draw_of_users(seed: int, stage: str) -> None:
    pairs = frame(seed)
    for source in audit(seed).sources:
        if source == "red_caps":
            continue  # whose users and subreddits cross
        mine = after(pairs[(pairs["source"] == source) & pairs["english"]], stage)
        told = audit(seed).content["sources"][source][stage]["gendered"]["female"].get("another_draw")
        if told is None:
            assert not len(mine)
            continue
        y, users = mine["female"].to_numpy(float), mine["user"].to_numpy()
        share, number = y.mean(), len(y)
        near(told["value"], share)
        assert told["clusters"] == mine["user"].nunique()
        if told["interval"] is None or not 0 < share < 1:
            continue
        one = np.ones((number, 1))
        variance, degrees = cr2(y, one, users, np.full(number, 1 / number), correlation(y - share, users))
        near(told["degrees"], degrees)
        near(told["design_effect"], variance / (share * (1 - share) / (number - 1)))
        size = share * (1 - share) / variance
        if size * min(share, 1 - share) < 10:
            k = size * (1.959963985 / stats.t.ppf(0.975, degrees)) ** 2
            found = share * k
            ends = [stats.beta.ppf(0.025, found, k - found + 1), stats.beta.ppf(0.975, found + 1, k - found)]
        else:
            half = stats.t.ppf(0.975, degrees) * math.sqrt(variance) / (share * (1 - share))
            logit = math.log(share / (1 - share))
            ends = [1 / (1 + math.exp(-logit + sign * half)) for sign in (1, -1)]
        near(told["interval"], ends)


# Did loss strike unevenly?


@pytest.mark.parametrize("seed", SEEDS)
def test_whether_loss_struck_unevenly(seed: int) -> None:
    pairs = frame(seed)
    for test in audit(seed).content["tests"]:
        if test["section"] not in {"gendered", "languages", "countries", "years"}:
            continue
        before = CLASSES[CLASSES.index(test["stage"]) - 1]
        mine = after(pairs[pairs["source"] == test["source"]], before)
        hosts, users = (pairs[pairs["source"] == test["source"]][unit].nunique() for unit in ("host", "user"))
        assert test["cluster"] == ("host" if 1 < hosts <= users else "user")
        mine = mine[
            {
                "gendered": mine["english"],
                "languages": mine["read"],
                "countries": mine["country"] != "",
                "years": mine["year"] != "",
            }[test["section"]]
        ]
        y = {
            "gendered": lambda some, name=test["property"]: (
                (some["female"] & some["male"] if name == "both" else some[name])
                if name != "neutral"
                else some["female"] & False
            ),
            "languages": lambda some: some["english"],
            "countries": lambda some, name=test["property"]: some["country"] == name,
            "years": lambda some, name=test["property"]: some["year"] == name,
        }[test["section"]](mine).to_numpy(float)
        kept = (mine["last"] >= CLASSES.index(test["stage"])).to_numpy()
        near(test["effect"], y[kept].mean() - y.mean())
        assert test["clusters"] == mine[test["cluster"]].nunique()
        if test["refused"]:
            continue
        x = np.stack([kept, ~kept], axis=1).astype(float)
        score = np.where(kept, 1 / kept.sum() - 1 / len(y), -1 / len(y))
        means = np.where(kept, y[kept].mean(), y[~kept].mean())
        rho = correlation(y - means, mine[test["cluster"]].to_numpy())
        variance, degrees = cr2(y, x, mine[test["cluster"]].to_numpy(), score, rho)
        near(test["error"], math.sqrt(variance))
        near(test["degrees"], degrees)
        least = 0.005
        p = sum(stats.t.sf((abs(test["effect"]) + sign * least) / test["error"], degrees) for sign in (-1, 1))
        assert test["p"] == pytest.approx(min(1, p), rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_findings_are_benjamini_and_yekutielis(seed: int) -> None:
    tests = pd.DataFrame(audit(seed).content["tests"])
    for _, some in tests.groupby("section") if len(tests) else ():
        asked = some[some["p"].notna()].sort_values("p")
        m = len(asked)
        weight = sum(1 / i for i in range(1, m + 1))
        held_to = 0.05 / 9  # of nine sections
        limits = held_to * np.arange(1, m + 1) / (m * weight) if m else np.zeros(0)
        below = np.flatnonzero(asked["p"].to_numpy() <= limits)
        number = int(below[-1]) + 1 if len(below) else 0
        assert asked["finding"].tolist() == [True] * number + [False] * (m - number)
        for _, row in asked[asked["finding"]].iterrows():
            near(row["level"], 1 - number * held_to / (m * weight))
        assert asked["among"].eq(m).all()
        near(asked["held_to"].to_numpy(), held_to)
        for _, row in asked[~asked["section"].isin(["user_sizes", "host_sizes"])].iterrows():
            half = stats.t.ppf(0.5 + row["level"] / 2, row["degrees"]) * row["error"]
            assert [row["low"], row["high"]] == pytest.approx([row["effect"] - half, row["effect"] + half], abs=1e-5)


# What stands with gendered terms.


@pytest.mark.parametrize("seed", SEEDS)
def test_odds_scores_and_npmi_of_terms(seed: int) -> None:
    pairs = frame(seed)
    groups = {"nurse": "occupations", "mechanic": "occupations", "teacher": "occupations"}
    groups |= {"dog": "objects", "bicycle": "objects"}
    for source in audit(seed).sources:
        mine = after(pairs[(pairs["source"] == source) & pairs["english"]], drawn.STAGES[-1])
        female, male = int(mine["female"].sum()), int(mine["male"].sum())
        for row in audit(seed).content["sources"][source][drawn.STAGES[-1]]["associations"]["terms"]:
            some = mine[mine["beside"] == row["term"]]
            assert row["group"] == groups[row["term"]]
            if None in (row["captions"], row["female"], row["male"]):
                assert None in (row["captions"], row["female"], row["male"])
                continue
            a, b = int(some["female"].sum()), int(some["male"].sum())
            assert (row["captions"], row["female"], row["male"]) == (len(some), a, b)
            near(row["odds"], a / b / (female / male) if b else None)
            alpha = max(0.01 * min(female, male), 1)
            prior = alpha * len(some) / len(mine)
            odds = [math.log((had + prior) / (whole + alpha - had - prior)) for had, whole in ((a, female), (b, male))]
            near(row["score"], (odds[0] - odds[1]) / math.sqrt(1 / (a + prior) + 1 / (b + prior)))
            for name, had, whole in (("female", a, female), ("male", b, male)):
                p = [had / len(mine), len(some) / len(mine), whole / len(mine)]
                if had:
                    near(row[f"npmi_{name}"], math.log(p[0] / (p[1] * p[2])) / -math.log(p[0]))


# Concentration and steps.


@pytest.mark.parametrize(("seed", "stage"), ENDS)
def test_concentration_of_users(seed: int, stage: str) -> None:
    pairs = frame(seed)
    for source in audit(seed).sources:
        told = audit(seed).content["sources"][source][stage]["users"]
        sizes = after(pairs[pairs["source"] == source], stage)["user"].value_counts().to_numpy()
        if not len(sizes):
            continue
        number, whole = len(sizes), sizes.sum()
        assert told["distinct"]["value"] == number
        if number > 1:
            apart = np.abs(sizes[:, None] - sizes[None, :]).sum()
            near(told["gini"], apart / (2 * number**2 * sizes.mean()))
        assert told["hold_half"] == int(np.argmax(np.cumsum(sizes) >= whole / 2)) + 1
        if whole > 1:
            near(told["two_pairs_share_one"], (sizes * (sizes - 1)).sum() / (whole * (whole - 1)))
        if number >= 100:
            largest = np.interp(0.01 * number, np.arange(number + 1), np.r_[0, np.cumsum(sizes)])
            near(told["top_1_percent"], largest / whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_inclusion_ratios_by_step(seed: int) -> None:
    pairs = frame(seed)
    steps = [one["step"] for one in audit(seed).content["steps"]["steps"]]
    columns = {"country": "country", "host": "host", "year": "year"}
    for source in audit(seed).sources:
        mine = pairs[pairs["source"] == source]
        overall = [len(after(mine, step)) for step in steps]
        for by, column in columns.items():
            for row in audit(seed).content["steps"]["sources"][source]["by"].get(by, {}).get("rows", ()):
                pairs_of = [len(after(mine[mine[column] == row["value"]], step)) for step in steps]
                for place, told in enumerate(row["pairs"]):
                    if told is not None and not row["as_before"][place]:
                        assert told == pairs_of[place]
                exact = [
                    not held and told is not None for held, told in zip(row["as_before"], row["pairs"], strict=True)
                ]
                for place in range(1, len(steps)):
                    if row["ratios"][place] is not None and exact[place] and exact[place - 1]:
                        kept = pairs_of[place] / pairs_of[place - 1]
                        near(row["ratios"][place], kept / (overall[place] / overall[place - 1]))
