"""What a whole audit takes of a processor, beside pandas by hand and nPMI by its formula on the same rows.

    python benchmarks/audit_rate.py [--rows 1000000] [--samples ../shared/samples] [--out FOLDER] [--turns 1]
        [--no-hand] [--no-floor]

A ROOT of so many pairs, in PMD's proportions, is generated (`benchmarks/audit_root.py`) and audited by the pipeline that
production runs, in two processes: with as large a part of the texts as an audit of all of PMD reads by default, and with all
texts. What an audit of a few rows takes is start-up, and is taken off. Rates are pairs a second of two cores: pairs by half of
the processor time, which says the same whatever else the machine does, but for caches that it shares. The time that CLD2 takes
for a text says how busy the machine was: 5.3 µs where nothing else runs.

Steps are told of one more audit, in one process: processor time by what workers run, and of files of pairs by what is called.

*The floor* is what must be done of each pair whatever its text says, by the functions that production runs, in one process and
without an engine: the columns are read, the fields of `meta` found, hosts' domains told, users hashed to 64 bits, texts summed up
by their letters, and what became of the pair is read and looked up. No text is looked at, nothing is counted, and nothing meets.

*By hand*: pairs, words, users, hosts, years and repeated texts of each source, and what is left in the end, as one would
count them in a notebook; and nPMI of single words with female ones by its formula, of the texts that are left and are English
(telling languages is not counted). Pairs, words and users must be the audit's; nPMI is compared. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import re
import resource
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import audit_root
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.scaling.measuring import cost
from pipelines import audit
from pmd import config
from pmd.audit.counting import context, distinct, fates, measure, repeated, units
from pmd.audit.texts import lexicon, vocabulary
from pmd.dedupe import rules as dedupe_rules
from pmd.engines import transforms
from pmd.fetch.ledger import partitions
from pmd.store import commits, parquet_files, root, storage
from pmd.text import language
from pmd.text.tokens import Tokens

#: Pairs of PMD, and texts of a source that are read by default.
_PMD_PAIRS: Final = 70_000_000
_TEXTS: Final = 200_000
#: Rows of the ROOT that tells what start-up takes.
_FEW: Final = 20_000
#: What is timed of files of pairs: where it is looked up, and its name.
_WITHIN: Final = (
    (measure, "look"),
    (measure, "measure"),
    (distinct, "occurrences"),
    (units, "occurrences"),
    (context, "occurrences"),
    (repeated, "occurrences"),
)
_ALL: Final = 2**31 - 1


class Steps:
    """Adds up the processor time of threads by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._one = threading.Lock()

    def timed(self, name: str, produce: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time, to the last of what it yields, is added under a name."""

        @functools.wraps(produce)
        def wrapped(*given: Any, **named: Any) -> Any:
            start = time.thread_time()
            made = produce(*given, **named)
            made = list(made) if isinstance(made, Iterator) else made
            with self._one:
                self.seconds[name] += time.thread_time() - start
            return made

        return wrapped

    def task(self, run: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return what runs a worker's function, timed under the function's name."""

        def wrapped(worker: Any, *given: Any) -> Iterator[Any]:
            name = type(worker._function).__name__
            return iter(self.timed(name, lambda: list(run(worker, *given)))())

        return wrapped


def audited(path: str, workers: int, steps: Path | None) -> None:
    """Run an audit in this process, and tell its steps."""
    chosen = config.load(path)
    found = Steps()
    with root.writer(chosen.root, "benchmark"):
        if steps is None:
            audit.build(chosen, [f"--direct_num_workers={workers}"])
            return
        patches = [mock.patch.object(transforms.PerTask, "_run", found.task(transforms.PerTask._run))]
        for module, name in _WITHIN:
            label = f"{module.__name__.rpartition('.')[2]}.{name}"
            patches.append(mock.patch.object(module, name, found.timed(label, getattr(module, name))))
        for patch in patches:
            patch.start()
        audit.build(chosen, ["--direct_num_workers=1"])
    used = resource.getrusage(resource.RUSAGE_SELF)
    found.seconds["all"] = used.ru_utime + used.ru_stime
    steps.write_text(json.dumps(found.seconds))


def by_hand(path: str, told: Path) -> None:
    """Count with pandas in this process, and tell figures and seconds."""
    import pandas as pd

    folder = Path(config.load(path).root)
    start = time.process_time()
    tables = [pq.read_table(file, columns=list(measure.COLUMNS)) for file in sorted(folder.glob("curate/*/pairs/*"))]
    rows = pa.concat_tables([table.drop_columns(["image_id"]) for table in tables]).to_pandas()
    del tables
    rows["source"] = rows["source"].astype("category")
    rows["words"] = rows["text"].str.split().str.len()
    rows["host"] = rows["image_url"].str.extract(r"https?://(?:[^/]*\.)?([^./]+\.[^./]+)/", expand=False)
    metas = rows["meta"].map(json.loads)
    rows["user"] = metas.map(lambda meta: meta.get("uid") or meta.get("author") or meta.get("user_id"))
    rows["year"] = metas.map(lambda meta: (meta.get("datetaken") or "")[:4])
    del metas
    by = rows.groupby("source", observed=True)
    found = {
        "pairs": by.size().to_dict(),
        "words": by["words"].sum().to_dict(),
        "users": by["user"].nunique().to_dict(),
        "hosts": {name: some["host"].value_counts().head(20).to_dict() for name, some in by},
        "years": int(by["year"].value_counts().shape[0]),
        "repeated": int((rows["text"].str.lower().value_counts() >= repeated.FREQUENT).sum()),
    }
    rows = rows.loc[rows["pair_id"].isin(_left(folder)), ["source", "text"]].reset_index(drop=True)
    pandas_s = time.process_time() - start
    codes = [
        language.languages(Tokens.of(pa.array(rows["text"][at : at + 65_536], pa.string())))
        for at in range(0, len(rows), 65_536)
    ]
    english = pc.equal(pa.concat_arrays(codes), "en").to_numpy(zero_copy_only=False)
    start = time.process_time()
    texts = rows.loc[english].reset_index(drop=True)
    found["npmi"] = _npmi(pd, texts)
    told.write_text(json.dumps({"pandas": pandas_s, "npmi": time.process_time() - start, "found": found}, default=str))


def floor(path: str, told: Path) -> None:
    """Touch each pair once in this process, and tell processor time by step."""
    chosen, found = config.load(path), Steps()
    with tempfile.TemporaryDirectory() as work:
        _touch_all(found, chosen.root, sorted(chosen.sources), work)
    told.write_text(json.dumps(found.seconds))


def _touch_all(found: Steps, folder: str, sources: list[str], work: str) -> None:
    known = found.timed("what became of it", _fates)(folder, work)
    for source in sources:
        wanted = [name for name in measure.columns_of(source) if name != "source"]
        of_source = root.curate_folder(folder, source)
        for file in commits.require(of_source, "").under("pairs"):
            read = parquet_files.iterate(storage.join(of_source, file.name), wanted, 2**15, 2**22)
            while (rows := found.timed("columns read", next)(read, None)) is not None:
                _touch(found, known, rows, source)


def _touch(found: Steps, known: fates.Known, rows: pa.RecordBatch, source: str) -> None:
    found.timed("what became of it", known.last)(rows["pair_id"])
    cut = found.timed("fields of meta", measure.cut)(rows, source)
    found.timed("domain of its host", measure._domains)(rows["image_url"])
    found.timed("letters of its text", repeated.letters)(rows["text"])
    if field := measure.recorded(source).user:
        names = pc.fill_null(cut["meta"].field(field), "").dictionary_encode()
        found.timed("hash of its user", measure.unit_hashes)("user", source, names)


def _fates(folder: str, work: str) -> fates.Known:
    """Return what became of all pairs, in one file of a folder."""
    cut = partitions.cut(folder)
    rows = []
    for part in range(2**cut.part_bits):
        ledger = partitions.read_ledger(folder, cut.shards(part), ("image_id", "status"))
        rows.append(fates.of_part(folder, part, ledger, dedupe_rules.read_groups(folder, part)))
    return fates.Known.of(0, [fates.pack(work, 0, pa.Table.from_batches(rows))])


def _left(folder: Path) -> Any:
    """Return the pairs that are in the shards."""
    views = pq.read_table(folder / "views/pairs", columns=["pair_id", "image_id"]).to_pandas()
    ledger = pq.read_table(folder / "fetch/ledger", columns=["image_id", "status"], partitioning=None).to_pandas()
    groups = pq.read_table(folder / "dedupe/groups", columns=["image_id", "relation"]).to_pandas()
    out = pq.read_table(folder / "shards/rejected", columns=["pair_id"]).to_pandas()
    there = views["image_id"].isin(ledger.loc[ledger["status"] == "ok", "image_id"])
    gone = views["image_id"].isin(groups.loc[groups["relation"] == "repeated_bytes", "image_id"])
    return views.loc[there & ~gone & ~views["pair_id"].isin(out["pair_id"]), "pair_id"]


def _npmi(pd: Any, texts: Any) -> dict[str, dict[str, tuple[int, float]]]:
    """Return, by source, terms of one word → captions with it, and nPMI with female terms of one word."""
    known = lexicon.load()
    assert isinstance(known, lexicon.Lexicon)
    female = {form[0] for form, lists in known.terms.items() if "female" in lists and len(form) == 1}
    wanted = {term.name for term in vocabulary.associated() if re.fullmatch("[a-z]+", term.name)} - female
    words = texts["text"].str.lower().str.findall(r"[a-z0-9]+").explode()
    words = words[words.isin(wanted | female)]
    having = pd.DataFrame({"row": words.index, "word": words.to_numpy()}).drop_duplicates()
    having["source"] = texts["source"].to_numpy()[having["row"]]
    sexed = having["row"].isin(having.loc[having["word"].isin(female), "row"])
    found: dict[str, dict[str, tuple[int, float]]] = {}
    for source, whole in texts["source"].value_counts().items():
        mine = (having["source"] == source).to_numpy()
        women = having.loc[mine & having["word"].isin(female), "row"].nunique()
        each = having.loc[mine & having["word"].isin(wanted), "word"].value_counts()
        both = having.loc[mine & sexed & having["word"].isin(wanted), "word"].value_counts()
        found[source] = {
            word: (int(each[word]), math.log(count * whole / (each[word] * women)) / -math.log(count / whole))
            for word, count in both.items()
            if count < whole
        }
    return found


def compared(content: dict[str, Any], hand: dict[str, Any]) -> dict[str, Any]:
    """Return how far nPMI by hand is from the audit's; raise where figures of all pairs are not the same."""
    apart = []
    for name, stages in content["sources"].items():
        told = stages["curate"]
        assert told["pairs"] == hand["pairs"][name]
        assert abs(told["words"]["mean"] - hand["words"][name] / hand["pairs"][name]) < 1e-4 * told["words"]["mean"]
        users = told["users"].get("distinct")
        assert users is None or users["value"] == hand["users"][name]
        of_source = hand["npmi"].get(name, {})
        apart += [
            abs(row["npmi_female"] - of_source[row["term"]][1])
            for row in stages["shard"]["associations"]["terms"]
            if row["term"] in of_source
        ]
    return {"terms": len(apart), "npmi_apart": sorted(apart)[len(apart) // 2] if apart else None}


def busy() -> float:
    """Return how many microseconds CLD2 takes for a text."""
    texts = ["A man rides a wave on top of a surfboard", "Hund im Garten am Haus meiner Eltern"] * 5000
    start = time.process_time()
    language.ask_cld2(texts)
    return (time.process_time() - start) / len(texts) * 1e6


@dataclasses.dataclass(frozen=True)
class Run:
    """What an audit took: processor time, and the largest process."""

    processor_s: float
    peak_bytes: int


def run(*given: str) -> Run:
    """Run this file with other arguments in a process of its own."""
    took = cost([sys.executable, __file__, *given])
    return Run(took.processor_s, took.peak_bytes)


def measured(folder: Path, samples: Path, rows: int, turns: int) -> dict[str, Any]:
    """Return what audits of so many rows take."""
    many, few = (folder / f"{number}" for number in (rows, _FEW))
    for place, number in ((many, rows), (few, _FEW)):
        audit_root.make(place, samples, number)
    found: dict[str, Any] = {"rows": rows, "kinds": {}, "cld2_us": []}
    for name, texts in (("sampled", max(_TEXTS * rows // _PMD_PAIRS, 1)), ("all texts", _ALL)):
        paths = [str(audit_root.configured(place, f"{name.split()[0]}.toml", texts)) for place in (many, few)]
        started, took = [], []
        for _ in range(turns):
            started.append(run("--audit", paths[1], "--workers", "2"))
            took.append(run("--audit", paths[0], "--workers", "2"))
            found["cld2_us"].append(round(busy(), 1))
        told = folder / "steps.json"
        run("--audit", paths[0], "--steps", str(told))
        start_s, all_s = (min(one.processor_s for one in some) for some in (started, took))
        found["kinds"][name] = {
            "texts_a_source": texts,
            "start_s": start_s,
            "processor_s": all_s,
            "pairs_a_second_on_two_cores": (rows - _FEW) / (all_s - start_s) * 2,
            "peak_bytes": max(one.peak_bytes for one in took),
            "steps_us": {step: seconds / rows * 1e6 for step, seconds in sorted(json.loads(told.read_text()).items())},
        }
    return found


def with_hand(found: dict[str, Any], folder: Path) -> None:
    """Add what pandas takes for the rows that were audited, and how its figures are apart from the audit's."""
    path, told = folder / f"{found['rows']}" / "all.toml", folder / "hand.json"
    took = run("--by-hand", str(path), "--steps", str(told))
    hand = json.loads(told.read_text())
    content = json.loads((folder / f"{found['rows']}" / "root/audit/audit.json").read_text())
    found["by_hand"] = {
        "pandas_s": hand["pandas"],
        "npmi_s": hand["npmi"],
        "peak_bytes": took.peak_bytes,
        **compared(content, hand["found"]),
    }


def with_floor(found: dict[str, Any], folder: Path) -> None:
    """Add what each pair takes whatever is asked of it."""
    told = folder / "floor.json"
    run("--floor", str(folder / f"{found['rows']}" / "sampled.toml"), "--steps", str(told))
    found["floor_us"] = {step: seconds / found["rows"] * 1e6 for step, seconds in json.loads(told.read_text()).items()}


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(f"{found['rows']:,} pairs; a text took CLD2 {found['cld2_us']} µs")
    for name, kind in found["kinds"].items():
        print(
            f"  {name:10} {kind['processor_s']:8.1f} s of processor, of which start-up {kind['start_s']:.1f}; "
            f"{kind['pairs_a_second_on_two_cores']:,.0f} pairs a second on two cores; "
            f"largest process {kind['peak_bytes'] / 1e9:.2f} GB"
        )
        for step, microseconds in kind["steps_us"].items():
            print(f"    {step:24}{microseconds:8.2f} µs a pair")
    if "floor_us" in found:
        whole = sum(found["floor_us"].values())
        print(f"  the floor: {whole:.2f} µs a pair, {2e6 / whole:,.0f} pairs a second on two cores")
        for step, microseconds in found["floor_us"].items():
            print(f"    {step:24}{microseconds:8.2f} µs a pair")
    if "by_hand" in found:
        hand = found["by_hand"]
        print(
            f"  by hand: pandas {hand['pandas_s']:.1f} s, nPMI {hand['npmi_s']:.1f} s, "
            f"largest process {hand['peak_bytes'] / 1e9:.2f} GB; nPMI of {hand['terms']} terms {hand['npmi_apart']} apart"
        )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/pmd-audit-rate"))
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--no-hand", action="store_true", help="without pandas and nPMI by hand")
    parser.add_argument("--no-floor", action="store_true", help="without the floor")
    parser.add_argument("--audit", help=argparse.SUPPRESS)
    parser.add_argument("--floor", help=argparse.SUPPRESS)
    parser.add_argument("--by-hand", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.audit:
        audited(told.audit, told.workers, told.steps)
    elif told.by_hand:
        by_hand(told.by_hand, told.steps)
    elif told.floor:
        floor(told.floor, told.steps)
    else:
        found = measured(told.out, told.samples, told.rows, told.turns)
        if not told.no_hand:
            with_hand(found, told.out)
        if not told.no_floor:
            with_floor(found, told.out)
        show(found)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
