"""Status: the books of every stage, read from the commits alone, and whether each stage took what the one before kept.

Nothing is recounted here (that is `pmd verify`), so it is quick on any ROOT, and says what the commits say.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pmd import escape, flow
from pmd.books.balance import balance
from pmd.books.committed import Account, Committed, accounts_by_stage, made_of, read_all, stage_of
from pmd.fetch import state
from pmd.schema.statuses import OK
from pmd.store import commits, root, storage
from pmd.store.commits import STAGE_FILE, Commit
from pmd.terminal import bar, tables

if TYPE_CHECKING:
    from pmd.terminal.tables import Table


def books(root_url: str) -> dict[str, Any]:
    """Return what is committed under a ROOT: JSON-able, and the same for the same commits.

    Returns:
        ``sources``: source → stage → in, kept, rejected by reason. ``stages``: stage → totals, files, bytes.
        ``fetch``: images by status, those whose perceptual hash is known, generations, bytes of the store, and of how
        many generations other libraries made the pictures than are here. ``shards``:
        format → shards, samples, bytes.
        ``balance``: see `balance`; ``balanced``: whether all of it is so. ``missing``: what is not committed, and the
        command that makes it.

    Raises:
        RootError: No ROOT, or a damaged commit.
    """
    described = root.require(root_url)
    tops = dict.fromkeys(folder.above for folder, _ in flow.FOLDERS if folder.commits)
    standing = read_all(root_url, [name for top in tops for name in _stage_files(root_url, top)])
    accounts = accounts_by_stage(standing)
    chosen = sorted({source for listed in accounts.values() for source in listed})
    lines = balance(standing)
    return {
        "root": root_url,
        "fetch_shard_bits": described.get("fetch_shard_bits"),
        "sources": {
            source: {stage: _entry([listed[source]]) for stage, listed in accounts.items() if source in listed}
            for source in chosen
        },
        "stages": _stages(standing, accounts),
        "fetch": _fetch(root_url, standing),
        "shards": {
            form: {
                "shards": sum(file.rows > 0 for file in standing[folder.path].commit.files),
                "samples": sum(file.rows for file in standing[folder.path].commit.files),
                "bytes": sum(file.bytes for file in standing[folder.path].commit.files),
            }
            for form, folder in sorted(flow.SHARDS.items())
            if folder.path in standing
        },
        "balance": lines,
        "balanced": all(line["ok"] for line in lines),
        "missing": _missing(standing),
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


def _stages(standing: Mapping[str, Committed], accounts: Mapping[str, Mapping[str, Account]]) -> dict[str, Any]:
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for folder, unit in standing.items():
        for _, file in unit.files():
            files[stage_of(folder)] += 1
            sizes[stage_of(folder)] += file.bytes
    return {
        stage.name: {
            **(_entry(accounts[stage.name].values()) if stage.name in accounts else {}),
            "files": files[stage.name],
            "bytes": sizes[stage.name],
        }
        for stage in flow.STAGES
        if stage.name in accounts or any(stage_of(folder) == stage.name for folder in standing)
    }


def _fetch(root_url: str, standing: Mapping[str, Committed]) -> dict[str, Any]:
    """Return the images of the ledger by status.

    Books of a generation count an image once a source, so the ledgers themselves are read: of a shard with one generation
    only their statuses.
    """
    by_shard: defaultdict[int, list[Committed]] = defaultdict(list)
    for folder, unit in standing.items():
        if unit.is_of(flow.GENERATION):
            by_shard[int(flow.GENERATION.fields(folder)[0])].append(unit)
    statuses: Counter[str] = Counter()
    hashed = 0
    for shard, generations in sorted(by_shard.items()):
        facts = generations[0].commit.facts
        if len(generations) > 1 or state.LOST in facts:
            ledger = state.read_ledger(root_url, shard)
            statuses.update(ledger["status"].to_pylist())
            hashed += ledger.num_rows - ledger["perceptual_hash"].null_count
            continue
        before = statuses[OK]
        for name, file in generations[0].files():
            if name.startswith(f"{flow.GENERATION.above}/"):
                whole = dataclasses.replace(file, name=name)
                statuses.update(commits.read_table(root_url, whole, ["status"])["status"].to_pylist())
        hashed += statuses[OK] - before if facts.get(state.HASH) == state.PDQ else 0
    images = standing[flow.DISTINCT.path].commit.files if flow.DISTINCT.path in standing else ()
    return {
        "images": sum(file.rows for file in images),
        "ledger": {status: count for status, count in sorted(statuses.items()) if count},
        "hashed": hashed,
        "shards": len(by_shard),
        "generations": sum(map(len, by_shard.values())),
        "store_bytes": sum(
            file.bytes
            for generations in by_shard.values()
            for unit in generations
            for name, file in unit.files()
            if name.startswith(f"{flow.STORE.above}/")
        ),
        "made_otherwise": _made_otherwise(unit.commit for units in by_shard.values() for unit in units),
    }


def _made_otherwise(generations: Iterable[Commit]) -> dict[str, Any]:
    """Return how many generations have pictures that other libraries made than are here, and what differs.

    Returns:
        ``generations``: how many. ``differs``: library → its versions there and the one here.
    """
    told = [commit.run[state.LIBRARIES] for commit in generations if state.LIBRARIES in commit.run]
    if not told:
        return {"generations": 0, "differs": {}}
    from pmd import codec  # decoders are slow to load

    here = codec.libraries()
    others = [libraries for libraries in told if libraries != here]
    differs = {
        name: {"there": sorted({libraries.get(name, "none") for libraries in others}), "here": here.get(name, "none")}
        for name in sorted({*here, *(name for libraries in others for name in libraries)})
        if any(libraries.get(name) != here.get(name) for libraries in others)
    }
    return {"generations": len(others), "differs": differs}


def _missing(standing: Mapping[str, Committed]) -> list[dict[str, str]]:
    have = {stage_of(folder) for folder, unit in standing.items() if not unit.is_of(flow.GENERATION)}
    missing = [
        {"stage": stage.name, "unit": "all", "run": stage.command} for stage in flow.STAGES if stage.name not in have
    ]
    chosen = made_of(standing)
    for _, unit in sorted(standing.items()):
        if not unit.is_of(flow.PAIRS):
            continue
        if chosen and unit.source not in chosen:
            missing.append({"stage": flow.IMAGES.name, "unit": unit.source, "run": "pmd build CONFIG"})
        if flow.PUBLISH.name in have and flow.LISTS.at(source=unit.source) not in standing:
            missing.append({"stage": flow.PUBLISH.name, "unit": unit.source, "run": flow.PUBLISH.command})
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


def render(summary: dict[str, Any], width: int = 130) -> str:
    """Return `books` as people read it: pairs by source and stage, why the others left, fetching, and the balance."""
    summary = escape.shown(summary)
    page = tables.Page(width)
    page.write(_pairs_table(summary))
    reasons = [
        [stage, reason, source, f"{count:,}"]
        for stage in flow.NAMES
        for source, stages in summary["sources"].items()
        for reason, count in stages.get(stage, {}).get("rejected", {}).items()
    ]
    if reasons:
        page.write(_table("\nRejected pairs", ["stage", "reason", "source", "pairs"], reasons, numbers=1))
    for line in _fetch_lines(summary["fetch"]):
        page.write(line)
    page.write(f"\nFiles in {summary['root']}", wrap=False)
    page.write(_files_table(summary))
    page.write()
    for line in _balance_lines(summary):
        page.write(line)
    for item in summary["missing"]:
        unit = "" if item["unit"] == "all" else f" of {item['unit']}"
        page.write(f"Not committed: {item['stage']}{unit}; run: {item['run']}")
    return page.text()


def _table(title: str | None, headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int) -> Table:
    """Return a table whose last `numbers` columns are figures."""
    return tables.table(headings, rows, right=range(len(headings) - numbers, len(headings)), title=title)


def _pairs_table(summary: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(_figure(stages, stage, field) for _, stage, field in _COLUMNS)]
        for name, stages in (*summary["sources"].items(), ("all", summary["stages"]))
    ]
    headings = ["source", *(heading for heading, _, _ in _COLUMNS)]
    return _table("Pairs, by source and stage", headings, rows, numbers=len(_COLUMNS))


def _files_table(summary: Mapping[str, Any]) -> Table:
    rows = [[stage, f"{entry['files']:,}", f"{entry['bytes']:,}"] for stage, entry in summary["stages"].items()]
    rows += [
        [f"  shards/{form}: {entry['samples']:,} samples", f"{entry['shards']:,}", f"{entry['bytes']:,}"]
        for form, entry in summary["shards"].items()
    ]
    return _table(None, ["stage", "files", "bytes"], rows, numbers=2)


def _fetch_lines(fetch: Mapping[str, Any]) -> list[str]:
    if not fetch["generations"]:
        return []
    statuses = ", ".join(f"{status} {count:,}" for status, count in fetch["ledger"].items())
    return [
        f"\nImages: {fetch['images']:,} wanted. In the ledger: {statuses}.",
        f"Perceptual hashes are known of {fetch['hashed']:,}; the others are computed when something asks for them.",
        f"Fetched in {bar.amount(fetch['generations'], 'generations')} of {bar.amount(fetch['shards'], 'fetch shards')}; "
        f"the store holds {fetch['store_bytes']:,} bytes.",
        *_otherwise_lines(fetch["made_otherwise"]),
    ]


def _otherwise_lines(made: Mapping[str, Any]) -> list[str]:
    if not made["generations"]:
        return []
    differs = "; ".join(
        f"{name} {', '.join(versions['there'])} (here {versions['here']})" for name, versions in made["differs"].items()
    )
    return [
        f"Other libraries made the pictures of {bar.amount(made['generations'], 'generations')}: {differs}. "
        "Pictures made anew here may have other bytes."
    ]


def _figure(stages: Mapping[str, Any], stage: str, field: str) -> str:
    entry = stages.get(stage, {})
    return f"{entry[field]:,}" if field in entry else "–"


def _balance_lines(summary: Mapping[str, Any]) -> list[str]:
    if summary["balanced"]:
        return ["The books balance: every stage took in what the one before kept, and kept or rejected all of it."]
    lines = []
    for line in summary["balance"]:
        if not line["adds_up"]:
            lines.append(f"NOT BALANCED: {line['stage']} of {line['source']}: in is not kept + rejected")
        elif not line["ok"]:
            lines.append(
                f"NOT BALANCED: {line['stage']} of {line['source']}: in {line['in']:,}, but {line['before']} kept "
                f"{line['before_kept']:,}; run: pmd build CONFIG"
            )
    return lines
