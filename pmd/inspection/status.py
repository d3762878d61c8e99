"""Status: the books of every stage, read from the commits alone, and whether each stage took what the one before kept.

Nothing is recounted here (that is `pmd verify`), so it is quick on any ROOT, and says what the commits say.
"""

from __future__ import annotations

import dataclasses
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from pmd import escape
from pmd.fetch import state
from pmd.store import commits, root, storage
from pmd.store.commits import STAGE_FILE, Commit

if TYPE_CHECKING:
    from rich.table import Table

#: Stages that count pairs, in order.
STAGES: Final = ("curate", "images", "fetch", "dedupe", "shard", "publish")

#: stage → the stage whose `kept` is its `in`. Publishing takes what is left of the images, not of the views that fit.
BEFORE: Final[Mapping[str, str]] = {
    "images": "curate",
    "fetch": "images",
    "dedupe": "fetch",
    "shard": "dedupe",
    "publish": "dedupe",
}

GENERATION: Final = "/generation="

_NEXT: Final = {stage: f"pmd {stage} CONFIG" for stage in (*STAGES, "audit")}


@dataclasses.dataclass(frozen=True)
class Account:
    """The books of one source in one stage, as they are written: nothing in it need add up."""

    taken: int
    kept: int
    rejected: Mapping[str, int]

    def balances(self) -> bool:
        """Return whether what came in is what was kept and rejected."""
        return self.taken == self.kept + sum(self.rejected.values())


NOTHING: Final = Account(0, 0, {})


@dataclasses.dataclass(frozen=True)
class Unit:
    """One commit and where it stands; `folder` is relative to ROOT."""

    folder: str
    commit: Commit
    accounts: Mapping[str, Account]

    def files(self) -> list[tuple[str, commits.File]]:
        """Return each file with its name relative to ROOT ("fetch/store/…", which a generation names by "../")."""
        return [(within(self.folder, file.name), file) for file in self.commit.files]


def within(folder: str, name: str) -> str:
    """Return a commit's file name relative to ROOT; ".." is resolved, since object stores do not."""
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def read_unit(root_url: str, folder: str, *, damaged: bool = False) -> Unit | None:
    """Return the commit of a folder (relative to ROOT), or None where nothing is committed; see `commits.from_json`."""
    path = storage.join(root_url, folder, STAGE_FILE)
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError:
        return None
    commit = commits.from_json(content, path, damaged=damaged)
    if commit.is_bare:
        return None
    books = orjson.loads(content)["sources"]
    # `Books` adds up by construction; what was written may not.
    accounts = {
        source: Account(int(entry.get("in", -1)), int(entry["kept"]), dict(entry["rejected"]))
        for source, entry in books.items()
    }
    return Unit(folder, commit, accounts)


def read_units(root_url: str, names: Iterable[str]) -> dict[str, Unit]:
    """Return every commit, by its folder; `names` are the files below ROOT."""
    units: dict[str, Unit] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last == STAGE_FILE and not folder.startswith("_work/"):
            unit = read_unit(root_url, folder)
            if unit is not None:
                units[folder] = unit
    return units


def stage_of(folder: str) -> str:
    """Return the stage whose books (or files) a commit's folder has: "fetch/rejected" → "fetch"."""
    top = folder.split("/", 1)[0]
    return {"views": "images", "shards": "shard"}.get(top, top)


def accounts_by_stage(units: Mapping[str, Unit]) -> dict[str, dict[str, Account]]:
    """Return stage → source → its books, of the stages that are committed.

    A stage with several folders writes the same books into each; those of the folder with the rejected pairs count.
    """
    found: dict[str, dict[str, Account]] = {}
    for stage, folder in (
        ("images", "views"),
        ("fetch", "fetch/rejected"),
        ("dedupe", "dedupe"),
        ("shard", "shards/rejected"),
    ):
        if folder in units:
            found[stage] = dict(units[folder].accounts)
    for folder, unit in units.items():
        stage = stage_of(folder)
        if stage in {"curate", "publish"}:
            found.setdefault(stage, {}).update(unit.accounts)
    return {stage: found[stage] for stage in STAGES if stage in found}


def made_of(units: Mapping[str, Unit]) -> list[str]:
    """Return the sources whose pairs the committed images were made of; a source added since is none of them."""
    if "views" not in units:
        return []
    views = units["views"]
    inputs = views.commit.run.get("inputs", {})
    curated = {folder.rpartition("source=")[2] for folder in units if folder.startswith("curate/")}
    return sorted({*views.accounts} | (curated & {*inputs}) if inputs else {*views.accounts} | curated)


def expected(stage: str, source: str, accounts: Mapping[str, Mapping[str, Account]]) -> int:
    """Return what a stage should have taken in of a source: what the stage before kept."""
    return accounts.get(BEFORE[stage], {}).get(source, NOTHING).kept


def balance(units: Mapping[str, Unit]) -> list[dict[str, Any]]:
    """Return, for each stage after curate and each source in it, what it took in and what the one before it kept."""
    accounts = accounts_by_stage(units)
    chosen = made_of(units)
    lines = []
    for stage in STAGES:
        if stage not in accounts:
            continue
        # A source that is no longer configured keeps its pairs and its list; what is across sources has moved on.
        known = sorted({*accounts[stage]} & {*chosen} if stage == "publish" else {*accounts[stage]})
        if stage not in {"curate", "publish"}:
            known = sorted({*known, *chosen})
        for source in known:
            account = accounts[stage].get(source, NOTHING)
            before = BEFORE.get(stage)
            should = account.taken if before is None else expected(stage, source, accounts)
            lines.append(
                {
                    "stage": stage,
                    "source": source,
                    "in": account.taken,
                    "before": before,
                    "before_kept": None if before is None else should,
                    "adds_up": account.balances(),
                    "ok": account.balances() and account.taken == should,
                }
            )
    return lines


def books(root_url: str) -> dict[str, Any]:
    """Return what is committed under a ROOT: JSON-able, and the same for the same commits.

    Returns:
        ``sources``: source → stage → in, kept, rejected by reason. ``stages``: stage → totals, files, bytes.
        ``fetch``: images by status, generations, bytes of the store. ``shards``: format → shards, samples, bytes.
        ``balance``: see `balance`; ``balanced``: whether all of it is so. ``missing``: what is not committed, and the
        command that makes it.

    Raises:
        RootError: No ROOT, or a damaged commit.
    """
    described = root.require(root_url)
    names = [
        name
        for top in (
            "curate",
            "images",
            "views",
            "fetch/rejected",
            "fetch/ledger",
            "dedupe",
            "shards",
            "publish",
            "audit",
        )
        for name in _stage_files(root_url, top)
    ]
    units = read_units(root_url, names)
    accounts = accounts_by_stage(units)
    chosen = sorted({source for listed in accounts.values() for source in listed})
    lines = balance(units)
    return {
        "root": root_url,
        "fetch_shard_bits": described.get("fetch_shard_bits"),
        "sources": {
            source: {stage: _entry([listed[source]]) for stage, listed in accounts.items() if source in listed}
            for source in chosen
        },
        "stages": _stages(units, accounts),
        "fetch": _fetch(root_url, units),
        "shards": {
            folder.removeprefix("shards/"): {
                "shards": sum(file.rows > 0 for file in unit.commit.files),
                "samples": sum(file.rows for file in unit.commit.files),
                "bytes": sum(file.bytes for file in unit.commit.files),
            }
            for folder, unit in sorted(units.items())
            if folder.startswith("shards/") and folder != "shards/rejected"
        },
        "balance": lines,
        "balanced": all(line["ok"] for line in lines),
        "missing": _missing(units),
    }


def _stage_files(root_url: str, top: str) -> list[str]:
    return [f"{top}/{name}" for name in storage.list_files(storage.join(root_url, top)) if name.endswith(STAGE_FILE)]


def _entry(accounts: Iterable[Account]) -> dict[str, Any]:
    listed = list(accounts)
    rejected: Counter[str] = Counter()
    for account in listed:
        rejected.update(account.rejected)
    return {
        "in": sum(account.taken for account in listed),
        "kept": sum(account.kept for account in listed),
        "rejected": dict(sorted(rejected.items())),
    }


def _stages(units: Mapping[str, Unit], accounts: Mapping[str, Mapping[str, Account]]) -> dict[str, Any]:
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for folder, unit in units.items():
        for _, file in unit.files():
            files[stage_of(folder)] += 1
            sizes[stage_of(folder)] += file.bytes
    return {
        stage: {
            **(_entry(accounts[stage].values()) if stage in accounts else {}),
            "files": files[stage],
            "bytes": sizes[stage],
        }
        for stage in (*STAGES, "audit")
        if stage in accounts or any(stage_of(folder) == stage for folder in units)
    }


def _fetch(root_url: str, units: Mapping[str, Unit]) -> dict[str, Any]:
    """Return the images of the ledger by status.

    Books of a generation count an image once a source, so the ledgers themselves are read: of a shard with one generation
    only their statuses.
    """
    by_shard: defaultdict[int, list[Unit]] = defaultdict(list)
    for folder, unit in units.items():
        if GENERATION in folder:
            by_shard[int(folder.split("shard=")[1].split("/")[0])].append(unit)
    statuses: Counter[str] = Counter()
    for shard, generations in sorted(by_shard.items()):
        if len(generations) > 1 or state.LOST in generations[0].commit.facts:
            statuses.update(state.read_ledger(root_url, shard)["status"].to_pylist())
            continue
        for name, file in generations[0].files():
            if name.startswith("fetch/ledger/"):
                whole = dataclasses.replace(file, name=name)
                statuses.update(commits.read_table(root_url, whole, ["status"])["status"].to_pylist())
    images = units["images"].commit.files if "images" in units else ()
    return {
        "images": sum(file.rows for file in images),
        "ledger": {status: count for status, count in sorted(statuses.items()) if count},
        "shards": len(by_shard),
        "generations": sum(map(len, by_shard.values())),
        "store_bytes": sum(
            file.bytes
            for generations in by_shard.values()
            for unit in generations
            for name, file in unit.files()
            if name.startswith("fetch/store/")
        ),
    }


def _missing(units: Mapping[str, Unit]) -> list[dict[str, str]]:
    have = {stage_of(folder) for folder in units if GENERATION not in folder}
    missing = [
        {"stage": stage, "unit": "all", "run": _NEXT[stage]} for stage in (*STAGES, "audit") if stage not in have
    ]
    chosen = made_of(units)
    for folder in sorted(units):
        if not folder.startswith("curate/"):
            continue
        source = folder.rpartition("source=")[2]
        if chosen and source not in chosen:
            missing.append({"stage": "images", "unit": source, "run": "pmd build CONFIG"})
        if "publish" in have and f"publish/source={source}" not in units:
            missing.append({"stage": "publish", "unit": source, "run": _NEXT["publish"]})
    return missing


#: What a column of the books table shows: heading → (stage, field).
_COLUMNS: Final[Sequence[tuple[str, str, str]]] = (
    ("in", "curate", "in"),
    ("curated", "curate", "kept"),
    ("wanted", "images", "kept"),
    ("fetched", "fetch", "kept"),
    ("deduped", "dedupe", "kept"),
    ("sharded", "shard", "kept"),
    ("published", "publish", "kept"),
)


def text(found: dict[str, Any], width: int = 130) -> str:
    """Return `books` as people read it: pairs by source and stage, why the others left, fetching, and the balance."""
    from rich.console import Console

    found = escape.shown(found)
    sink = io.StringIO()
    console = Console(file=sink, width=width, color_system=None, highlight=False, markup=False)
    console.print(_pairs_table(found))
    reasons = [
        [stage, reason, source, f"{count:,}"]
        for stage in STAGES
        for source, stages in found["sources"].items()
        for reason, count in stages.get(stage, {}).get("rejected", {}).items()
    ]
    if reasons:
        console.print(_table("\nRejected pairs", ["stage", "reason", "source", "pairs"], reasons, numbers=1))
    for line in _fetch_lines(found["fetch"]):
        console.print(line)
    console.print(_files_table(found))
    console.print()
    for line in _balance_lines(found):
        console.print(line)
    for item in found["missing"]:
        unit = "" if item["unit"] == "all" else f" of {item['unit']}"
        console.print(f"Not committed: {item['stage']}{unit}; run: {item['run']}")
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines())


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int) -> Table:
    """Return a table whose last `numbers` columns are figures."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for position, heading in enumerate(headings):
        figures = position >= len(headings) - numbers
        table.add_column(heading, justify="right" if figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _pairs_table(found: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(_figure(stages, stage, field) for _, stage, field in _COLUMNS)]
        for name, stages in (*found["sources"].items(), ("all", found["stages"]))
    ]
    headings = ["source", *(heading for heading, _, _ in _COLUMNS)]
    return _table("Pairs, by source and stage", headings, rows, numbers=len(_COLUMNS))


def _files_table(found: Mapping[str, Any]) -> Table:
    rows = [[stage, f"{entry['files']:,}", f"{entry['bytes']:,}"] for stage, entry in found["stages"].items()]
    rows += [
        [f"  shards/{form}: {entry['samples']:,} samples", f"{entry['shards']:,}", f"{entry['bytes']:,}"]
        for form, entry in found["shards"].items()
    ]
    return _table("\nFiles", ["stage", "files", "bytes"], rows, numbers=2)


def _fetch_lines(fetch: Mapping[str, Any]) -> list[str]:
    if not fetch["generations"]:
        return []
    statuses = ", ".join(f"{status} {count:,}" for status, count in fetch["ledger"].items())
    return [
        f"\nImages: {fetch['images']:,} wanted. In the ledger: {statuses}.",
        f"Fetched in {fetch['generations']:,} generations of {fetch['shards']:,} fetch shards; "
        f"the store holds {fetch['store_bytes']:,} bytes.",
    ]


def _figure(stages: Mapping[str, Any], stage: str, field: str) -> str:
    entry = stages.get(stage, {})
    return f"{entry[field]:,}" if field in entry else "–"


def _balance_lines(found: Mapping[str, Any]) -> list[str]:
    if found["balanced"]:
        return ["The books balance: every stage took in what the one before kept, and kept or rejected all of it."]
    lines = []
    for line in found["balance"]:
        if not line["adds_up"]:
            lines.append(f"NOT BALANCED: {line['stage']} of {line['source']}: in is not kept + rejected")
        elif not line["ok"]:
            lines.append(
                f"NOT BALANCED: {line['stage']} of {line['source']}: in {line['in']:,}, but {line['before']} kept "
                f"{line['before_kept']:,}; run: pmd build CONFIG"
            )
    return lines
