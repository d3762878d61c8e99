"""Which texts are called English: recall and false positives of detectors on labelled captions, and their speed.

    python benchmarks/language.py [--samples ../shared/samples]

Texts whose language is certain: Multi30k's captions in four languages, whole and cut to their first four words (as long as
many titles on Flickr); COCO's captions, Localized Narratives and Visual Genome's phrases, written in English for hire;
Conceptual Captions' alt texts, English by its own filter; TaPaCo's short sentences in 73 languages; and YFCC100M's titles
and descriptions of three words or more, labelled by hand (`data/yfcc_language.tsv`, which holds no text of theirs: "und"
has only names, dates and numbers, "mixed" several languages, and neither counts). Each distinct text counts once.

A hash of the text deals texts into halves, so that the split does not depend on their order. Thresholds are chosen on one
half: of those that let at most 0.35 % of the other languages' captions, cut captions and short sentences pass, the one with
the largest recall less false rate; the false rate is the mean of those three sets', so that 72 languages of a few sentences
count like three of many. All rates are those of the other half, with Wilson's intervals (95 %); where a cell has under
1,000 texts only the interval is printed, and no rate is claimed. Speed is processor time of one core, of all texts, the median of
five runs (of langdetect one).
langdetect, which facebook/pmd's predecessor imports, is asked where it is installed
(`pip install langdetect==1.0.9`; it comes as source only, and is no part of the environment). The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pmd.audit import intervals
from pmd.sources.yfcc100m import LAYOUTS
from pmd.text import cleaning, language

LABELS = Path(__file__).parent / "data" / "yfcc_language.tsv"
WHOLE, CUT, SENTENCES = "Multi30k", "Multi30k, four words", "TaPaCo"
#: Sets whose language nobody doubts and that are whole texts: what the aim is for.
AIM = (WHOLE, "COCO", "Localized Narratives", SENTENCES)
MOST_FALSE = 0.0035
FEWEST = 1000
RUNS = 5
PROBABILITIES = [round(0.2 + 0.05 * step, 2) for step in range(15)]
SCORES = [200.0 * step for step in range(10)]
LENGTHS = ((1, 2), (3, 4), (5, 6), (7, 10), (11, None))

Row = tuple[str, str, str]  # set, language, text
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def captions(samples: Path) -> Iterator[Row]:
    """Yield every labelled text but Flickr's."""
    for code in ("en", "de", "fr", "cs"):
        for part in ("val", "test_2016_flickr"):
            with gzip.open(samples / f"langid/{part}.{code}.gz", "rt", encoding="utf-8") as file:
                for line in file.read().splitlines():
                    yield WHOLE, code, line
                    yield CUT, code, " ".join(line.split()[:4])
    for part in ("train", "val"):
        document = json.loads((samples / f"coco/captions_{part}2017.json").read_text(encoding="utf-8"))
        yield from (("COCO", "en", row["caption"]) for row in document["annotations"])
    for line in (samples / "localized_narratives/captions_only_100.tsv").read_text(encoding="utf-8").splitlines():
        yield "Localized Narratives", "en", line.split("\t")[1]
    document = json.loads((samples / "visual_genome/v1.2/region_descriptions.json").read_text(encoding="utf-8"))
    for image in document:
        yield from (("Visual Genome", "en", region["phrase"]) for region in image["regions"])
    file_name = "Validation_GCC-1.1.0-Validation.head5000.tsv"
    for line in (samples / "cc3m" / file_name).read_text(encoding="utf-8").splitlines():
        yield "Conceptual Captions", "en", line.split("\t")[0]
    for line in (samples / "langid/tapaco/tapaco_dummy_73langs.tsv").read_text(encoding="utf-8").splitlines():
        code, sentence = line.split("\t")
        yield SENTENCES, code, sentence


def flickr(samples: Path) -> Iterator[Row]:
    """Yield YFCC100M's labelled texts, cleaned as the source cleans them."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        labels = {(row["photo_id"], row["field"]): row["language"] for row in csv.DictReader(file, delimiter="\t")}
    for count, names in LAYOUTS.items():
        with (samples / f"yfcc100m/yfcc100m_dataset_{count}col.tsv").open(encoding="utf-8", newline="\n") as file:
            for line in file:
                row = dict(zip(names, line.rstrip("\n").split("\t"), strict=True))
                for field in ("title", "description"):
                    code = labels.get((row["photoid"], field))
                    if code is not None:
                        cleaned = cleaning.normalise(cleaning.strip_html(cleaning.unquote_plus(pa.array([row[field]]))))
                        yield "YFCC100M", code, cleaned[0].as_py()


def fasttext_and_cld2(texts: pa.Array) -> dict[str, Any]:
    """Return both detectors' answers, and the processor time of each way of asking, in seconds."""
    seconds, answers = {}, {}
    for detector in ("default", "fasttext", "cld2"):
        language.english(texts.slice(0, 1), detector=detector)  # loads the model
        times = []
        for _ in range(RUNS):
            start = time.process_time()
            answers[detector] = language.english(texts, detector=detector)
            times.append(time.process_time() - start)
        seconds[detector] = statistics.median(times)
    return {"seconds": seconds, **answers}


def langdetect(texts: list[str]) -> tuple[Mask, float] | None:
    """Return which texts langdetect calls English, and its processor time; None where it is not installed."""
    try:
        module = importlib.import_module("langdetect")
    except ImportError:
        return None
    module.DetectorFactory.seed = 0
    module.detect("a text that loads the profiles")

    def is_english(one: str) -> bool:
        try:
            return bool(module.detect(one) == "en")
        except module.LangDetectException:  # no letter in it
            return False

    start = time.process_time()
    found = np.array([is_english(one) for one in texts])
    return found, time.process_time() - start


def cell(found: Mask, rows: Mask) -> dict[str, Any]:
    """Return how many of some rows are called English, with Wilson's interval."""
    size, called = int(rows.sum()), int(found[rows].sum())
    if not size:
        return {"texts": 0}
    low, high = intervals.wilson(called / size, size)
    rate = round(called / size, 5) if size >= FEWEST else None
    return {"texts": size, "english": called, "rate": rate, "interval": [round(low, 5), round(high, 5)]}


def shown(found: dict[str, Any]) -> str:
    """Return a cell in words."""
    if not found["texts"]:
        return "–"
    rate = "too few" if found["rate"] is None else f"{100 * found['rate']:.2f} %"
    return f"{rate} ({100 * found['interval'][0]:.2f}–{100 * found['interval'][1]:.2f}; {found['texts']:,})"


def tuned(
    rule: Callable[[float], Mask], thresholds: list[float], sets: np.ndarray, english: Mask, half: Mask
) -> float | None:
    """Return the threshold with the largest recall less false rate among those with few false ones, if there is any."""
    best: tuple[float, float] | None = None
    ours = half & np.isin(sets, (*AIM, CUT))
    for threshold in thresholds:
        found = rule(threshold)
        false = float(np.mean([found[ours & ~english & (sets == name)].mean() for name in (WHOLE, CUT, SENTENCES)]))
        worth = (round(float(found[ours & english].mean()) - false, 6), threshold)
        if found[ours & ~english].mean() <= MOST_FALSE and (best is None or worth > best):
            best = worth
    return best and best[1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    samples = parser.parse_args().samples
    if not (samples / "langid").is_dir():
        sys.stdout.write("no samples: this benchmark needs their labelled texts\n{}\n")
        return
    rows = list(dict.fromkeys([*captions(samples), *flickr(samples)]))
    sets, codes = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    texts = [row[2] for row in rows]
    english, counts = codes == "en", ~np.isin(codes, ["und", "mixed"])
    tuning = np.array([xxhash.xxh3_64_intdigest(one.encode()) % 2 == 0 for one in texts])
    words = cleaning.word_count(pa.array(texts)).to_numpy(zero_copy_only=False)

    asked = fasttext_and_cld2(pa.array(texts))
    guesses = np.array(asked["fasttext"]["language"].to_pylist())
    scores = asked["fasttext"]["score"].to_numpy(zero_copy_only=False)
    cld2 = np.array(asked["cld2"]["language"].to_pylist()) == "en"
    plain = language.readable(pa.array(texts)).to_pylist()

    def fasttext_first(least: float) -> Mask:
        return np.where(scores >= least, guesses == "en", cld2)

    def cld2_first(least: float) -> Mask:
        sure = np.array(language.ask_cld2(plain, least).sure)
        return np.where(sure, cld2, fasttext_first(language.SURE_PROBABILITY))

    rules: dict[str, tuple[Callable[[float], Mask], list[float]]] = {
        "CLD2 where sure, then fastText, then CLD2": (cld2_first, SCORES),
        "fastText where sure, else CLD2": (fasttext_first, PROBABILITIES),
        "fastText where sure or both agree": (
            lambda least: (guesses == "en") & ((scores >= least) | cld2),
            PROBABILITIES,
        ),
        "fastText where sure": (lambda least: (guesses == "en") & (scores >= least), PROBABILITIES),
    }
    chosen = {
        name: tuned(rule, thresholds, sets, english & counts, tuning & counts)
        for name, (rule, thresholds) in rules.items()
    }
    default = f"default ({language.SURE_SCORE})"
    found: dict[str, Mask] = {
        default: np.array(asked["default"]["is_english"].to_pylist()),
        **{f"{name} ({chosen[name]:g})": rules[name][0](threshold) for name, threshold in chosen.items() if threshold},
        "both agree or fastText ≥ 0.5": rules["fastText where sure or both agree"][0](0.5),
        "fastText": guesses == "en",
        "CLD2": cld2,
    }
    rates = {
        name: round(len(texts) / asked["seconds"][key])
        for name, key in zip((default, "fastText", "CLD2"), ("default", "fasttext", "cld2"), strict=True)
    }
    reported = ~tuning & counts
    peer = langdetect([texts[place] for place in np.flatnonzero(~tuning)])
    if peer is not None:
        found["langdetect"] = np.zeros(len(texts), np.bool_)
        found["langdetect"][~tuning] = peer[0]
        rates["langdetect"] = round(int((~tuning).sum()) / peer[1])

    cells: dict[str, Mask] = {"captions and short sentences": np.isin(sets, AIM)}
    cells |= {"the same and cut captions": np.isin(sets, (*AIM, CUT))}
    cells |= {f"set: {name}": sets == name for name in dict.fromkeys(sets.tolist())}
    cells |= {
        f"words: {low}–{high}" if high else f"words: {low} or more": (words >= low) & (words <= (high or words.max()))
        for low, high in LENGTHS
    }
    others = [code for code in dict.fromkeys(codes[counts].tolist()) if code != "en"]
    by_language = {f"language: {code}": codes == code for code in others}
    result: dict[str, Any] = {"texts": len(texts), "chosen": chosen, "texts_per_core_s": rates, "detectors": {}}
    for name, mask in found.items():
        sys.stdout.write(f"\n{name}" + (f": {rates[name]:,} texts/s a core" if name in rates else "") + "\n")
        table = {}
        for label, group in cells.items():
            recall, false = (cell(mask, reported & kind & group) for kind in (english, ~english))
            table[label] = {"recall": recall, "false": false}
            sys.stdout.write(f"  {label:32} recall {shown(recall):34} false {shown(false)}\n")
        for label, group in by_language.items():
            false = cell(mask, reported & group)
            if false["texts"] >= FEWEST or false.get("english"):
                table[label] = {"false": false}
                sys.stdout.write(f"  {label:32} {'':41} false {shown(false)}, {false['english']} of {false['texts']}\n")
        result["detectors"][name] = table
    names = codes == "und"
    result["names_called_english"] = [int(found[default][names].sum()), int(names.sum())]
    called, size = result["names_called_english"]
    sys.stdout.write(f"\nnames, dates and numbers called English by default: {called} of {size}\n")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
