"""Which texts are called English: recall and false positives of detectors on labelled captions, and their speed.

    python benchmarks/language.py [--samples ../shared/samples] [--lingua FOLDER]

Texts whose language is certain: Multi30k's captions in four languages, whole and cut to their first four words (as long as
many titles on Flickr); COCO's captions, Localized Narratives and Visual Genome's phrases, written in English for hire;
Conceptual Captions' alt texts, English by its own filter; TaPaCo's short sentences in 73 languages. Texts labelled by hand:
all titles and descriptions of YFCC100M in the samples (`data/yfcc_language.tsv`), and those of LAION's 10,000 alt texts, of
three words or more, that `default` did not call English on 28 November 2026 (`data/laion_language.tsv`), which tell what
another detector would add, not how much English there is. With `--lingua`, the word pairs and sentences in 75 languages by which
lingua is tested: the folder holds its language models' crates as cargo unpacks them, `lingua-malay-language-model-1.3.0` and
so on. Each distinct text counts once.

How the labels were decided. The files hold ids and labels, not the texts; a text was read once cleaned as the source cleans it,
and what the picture shows was not looked at. "und" has no language: file names and counters, dates, measures, and names alone,
in whatever language. A name counts as English where a word of it says in English what is named or shown ("… Falls", "… Dam", "…
Wedding"), and an event, a journey or a product is such a word; a team, a band, a company or a brand is a name. A place in its
English form ("Copenhagen, Denmark") is a name. A misspelt word counts as if spelt right. A word that several languages share
goes by the photo's other field, else it is English if English has it. "mixed" has words of two languages besides names; neither
it nor "und" counts. A text under its photo's other one is judged alone. Labels of LAION say "other" for any language but
English; a text there that was not read as English, with letters beyond Latin and three Latin words of three letters, was put
down as "mixed" by that rule. One reader labelled all, and had read both halves when the rules for names were thought of.

A hash of the text deals texts into halves, so that the split does not depend on their order. Thresholds are chosen on one
half: of those that let at most 0.35 % of the other languages' captions, cut captions and short sentences pass, the one with
the largest recall less false rate; the false rate is the mean of those three sets', so that 72 languages of a few sentences
count like three of many. All rates are those of the other half, with Wilson's intervals (95 %); where a cell has under
1,000 texts only the interval is printed, and no rate is claimed. Speed is processor time of one core, of all texts, the median of
five runs (of the peers one, on that half).
`languages` is the audit's shorter way, fastText first (`SURE_ENGLISH`); where it differs from `default` is counted.
Peers are asked where they are installed, and are no part of the environment: langdetect, which facebook/pmd's predecessor
imports (`langdetect==1.0.9`, source only), `lingua-language-detector==2.1.1`, `eldc==0.4.0`, `heliport==1.0.1` and CLD3
(`cld3-py==3.1.0`). With eldc, a vote too: CLD2 where it is sure, else English where two of CLD2, fastText and eldc find it. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import functools
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
import pyarrow.parquet as pq
import pycld2
import xxhash
from scipy import stats

from pmd.sources.yfcc100m import LAYOUTS
from pmd.text import cleaning, language
from pmd.text.tokens import Tokens

DATA = Path(__file__).parent / "data"
WHOLE, CUT, SENTENCES = "Multi30k", "Multi30k, four words", "TaPaCo"
DOUBTFUL = "LAION, in doubt"
#: Sets whose language nobody doubts and that are whole texts: what the aim is for.
AIM = (WHOLE, "COCO", "Localized Narratives", SENTENCES)
MOST_FALSE = 0.0035
FEWEST = 1000
FEWEST_WORDS = 3  # of a caption of YFCC100M
#: Every how many lines of lingua's tests in other languages than English are taken.
STEPS = {"word-pairs": 3, "sentences": 5}
RUNS = 5
PROBABILITIES = [round(0.2 + 0.05 * step, 2) for step in range(15)]
SCORES = [200.0 * step for step in range(10)]
LENGTHS = ((1, 2), (3, 4), (5, 6), (7, 10), (11, None))

Row = tuple[str, str, str]  # set, language, text
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Ask = Callable[[str], bool]  # whether a text is English


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
    """Yield YFCC100M's texts, cleaned as the source cleans them."""
    with (DATA / "yfcc_language.tsv").open(encoding="utf-8", newline="") as file:
        labels = {(row["photo_id"], row["field"]): row["language"] for row in csv.DictReader(file, delimiter="\t")}
    for count, names in LAYOUTS.items():
        with (samples / f"yfcc100m/yfcc100m_dataset_{count}col.tsv").open(encoding="utf-8", newline="\n") as file:
            for line in file:
                row = dict(zip(names, line.rstrip("\n").split("\t"), strict=True))
                for field in ("title", "description"):
                    code = labels.get((row["photoid"], field))
                    if code is not None:
                        text = cleaned(cleaning.unquote_plus(pa.array([row[field]])))[0].as_py()
                        short = len(text.split()) < FEWEST_WORDS
                        yield "YFCC100M, one and two words" if short else "YFCC100M", code, text


def alt_texts(samples: Path) -> Iterator[Row]:
    """Yield LAION's labelled alt texts."""
    texts = cleaned(pq.read_table(samples / "urls/laion_10000.parquet")["TEXT"].combine_chunks())
    with (DATA / "laion_language.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield DOUBTFUL, row["language"], texts[int(row["row"])].as_py()


def cleaned(texts: pa.Array) -> pa.Array:
    """Return decoded texts as captions of YFCC100M are cleaned."""
    return cleaning.normalise(cleaning.strip_html(texts))


def lingua_tests(crates: Path) -> Iterator[Row]:
    """Yield the word pairs and sentences that lingua's models are tested by; the English ones all."""
    codes = {name.lower(): code for name, code in pycld2.LANGUAGES}
    for crate in sorted(crates.glob("lingua-*-language-model-*")):
        name = crate.name.removeprefix("lingua-").partition("-language-model-")[0]
        for kind, step in STEPS.items():
            lines = (crate / f"testdata/{kind}.txt").read_text(encoding="utf-8").splitlines()
            code = codes.get(name, name)
            yield from ((kind, code, line) for line in (lines if code == "en" else lines[::step]))


def fasttext_and_cld2(texts: pa.Array) -> dict[str, Any]:
    """Return both detectors' answers, and the processor time of each way of asking, in seconds."""
    seconds, answers = {}, {}
    for detector in ("default", "fasttext", "cld2"):
        answers[detector], seconds[detector] = timed(texts, functools.partial(language.english, detector=detector))
    return {"seconds": seconds, **answers}


def timed(texts: pa.Array, ask: Callable[[pa.Array], Any]) -> tuple[Any, float]:
    """Return what a detector answers, and the median of its processor times, in seconds."""
    ask(texts.slice(0, 1))  # loads the model
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        answers = ask(texts)
        times.append(time.process_time() - start)
    return answers, statistics.median(times)


def langdetect() -> Ask:
    """Return a way to ask langdetect."""
    module = importlib.import_module("langdetect")
    module.DetectorFactory.seed = 0

    def ask(text: str) -> bool:
        try:
            return bool(module.detect(text) == "en")
        except module.LangDetectException:  # no letter in it
            return False

    return ask


def lingua() -> Ask:
    """Return a way to ask lingua, as accurate as it can be."""
    module = importlib.import_module("lingua")
    detector = module.LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()
    return lambda text: bool(detector.detect_language_of(text) == module.Language.ENGLISH)


def eldc() -> Ask:
    """Return a way to ask eldc."""
    module = importlib.import_module("eldc")
    module.init()
    return lambda text: bool(module.detect(text) == "en")


def heliport() -> Ask:
    """Return a way to ask heliport."""
    identifier = importlib.import_module("heliport").Identifier()
    return lambda text: str(identifier.identify(text)).startswith("eng")


def cld3() -> Ask:
    """Return a way to ask CLD3."""
    identifier = importlib.import_module("gcld3").NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=1000)
    return lambda text: bool(identifier.FindLanguage(text=text).language == "en")


PEERS: dict[str, Callable[[], Ask]] = {
    "langdetect": langdetect,
    "lingua": lingua,
    "eldc": eldc,
    "heliport": heliport,
    "CLD3": cld3,
}


def asked_peers(texts: list[str]) -> Iterator[tuple[str, Mask, float]]:
    """Yield each peer that is installed, which texts it calls English, and its processor time."""
    for name, made in PEERS.items():
        try:
            ask = made()
        except ImportError:
            continue
        ask("a text that loads the model")
        start = time.process_time()
        found = np.array([ask(text) for text in texts])
        yield name, found, time.process_time() - start


def cell(found: Mask, rows: Mask) -> dict[str, Any]:
    """Return how many of some rows are called English, with Wilson's interval."""
    size, called = int(rows.sum()), int(found[rows].sum())
    if not size:
        return {"texts": 0}
    low, high = stats.binomtest(called, size).proportion_ci(method="wilson")
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
    parser.add_argument("--lingua", type=Path, help="a folder of lingua's crates, for their test data")
    arguments = parser.parse_args()
    samples = arguments.samples
    if not (samples / "langid").is_dir():
        sys.stdout.write("no samples: this benchmark needs their labelled texts\n{}\n")
        return
    tests = lingua_tests(arguments.lingua) if arguments.lingua else ()
    rows = list(dict.fromkeys([*captions(samples), *flickr(samples), *alt_texts(samples), *tests]))
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
    short = f"languages ({language.SURE_ENGLISH})"
    codes_of, seconds = timed(pa.array(texts), lambda some: language.languages(Tokens.of(some)))
    found[short] = np.array(codes_of.to_pylist()) == "en"
    rates[short] = round(len(texts) / seconds)
    reported = ~tuning & counts
    for name, answers, seconds in asked_peers([texts[place] for place in np.flatnonzero(~tuning)]):
        found[name] = np.zeros(len(texts), np.bool_)
        found[name][~tuning] = answers
        rates[name] = round(len(answers) / seconds)
    if "eldc" in found:
        two = cld2.astype(int) + (guesses == "en") + found["eldc"] >= 2
        found["vote with eldc"] = np.where(np.array(language.ask_cld2(plain).sure), cld2, two)

    cells: dict[str, Mask] = {"captions and short sentences": np.isin(sets, AIM)}
    cells |= {"the same and cut captions": np.isin(sets, (*AIM, CUT))}
    cells |= {f"set: {name}": sets == name for name in dict.fromkeys(sets.tolist())}
    usual = ~np.isin(sets, [DOUBTFUL, *STEPS])
    cells |= {
        f"words: {low}–{high}" if high else f"words: {low} or more": usual
        & (words >= low)
        & (words <= (high or words.max()))
        for low, high in LENGTHS
    }
    others = [code for code in dict.fromkeys(codes[counts].tolist()) if code != "en"]
    by_language = {f"language: {code}": usual & (codes == code) for code in others}
    by_language |= {f"{kind}: {code}": (sets == kind) & (codes == code) for kind in STEPS for code in others}
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
    differ = found[short] != found[default]
    result["languages_differ"] = {
        "texts": int(differ.sum()),
        "english, found by languages": int((differ & english & found[short]).sum()),
        "english, missed by languages": int((differ & english & ~found[short]).sum()),
        "other, called english by languages": int((differ & ~english & counts & found[short]).sum()),
        "other, called english by default": int((differ & ~english & counts & ~found[short]).sum()),
    }
    sys.stdout.write(f"\nwhere `languages` differs: {result['languages_differ']} of {len(texts)}\n")
    names = (codes == "und") & (sets == "YFCC100M")
    result["names_called_english"] = [int(found[default][names].sum()), int(names.sum())]
    called, size = result["names_called_english"]
    sys.stdout.write(f"\nnames, dates and numbers called English by default: {called} of {size}\n")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
