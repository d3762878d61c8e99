"""Status: the books of every stage, read from the commits alone, and whether each stage took what the one before kept.

Nothing is recounted here (that is `pmd verify`), so it is quick on any ROOT, and says what the commits say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pmd import escape, flow
from pmd.books.balance import balance
from pmd.books.committed import Account, Committed, accounts_by_stage, made_of, read_all, stage_of
from pmd.fetch.ledger import state, sums
from pmd.schema.statuses import OK
from pmd.store import lock, register, root, storage
from pmd.store.commits import STAGE_FILE
from pmd.store.register import Generation, Register
from pmd.suppression import lists
from pmd.takedown import receipts
from pmd.terminal import bar, tables

if TYPE_CHECKING:
    from pmd.terminal.tables import Table


def books(root_url: str) -> dict[str, Any]:
    """Return what is committed under a ROOT: JSON-able, and the same for the same commits.

    Returns:
        ``sources``: source → stage → in, kept, rejected by reason. ``stages``: stage → totals, files, bytes.
        ``fetch``: images by status, those whose perceptual hash is known, generations, bytes of the store, and of how
        many generations other libraries made the pictures than are here. ``shards``:
        format → shards, samples, bytes. ``writer``: who writes or wrote last: command, host, process, since when, ``runs``
        (whether now), ``ended`` (whether well), and the ``job`` that it is at, or that one who was killed has left on an
        engine: task, engine (None: this machine), name, since when; None: nobody has written.
        ``takedown``: ``waits``: whether requests wait to be carried out; ``begun``: whether that has begun, and not ended.
        ``balance``: see `balance`; ``balanced``: whether all of it is so. ``missing``: what is not committed, and the
        command that makes it.

    Raises:
        RootError: No ROOT, or a damaged commit.
    """
    described = root.require(root_url)
    tops = dict.fromkeys(folder.above for folder, _ in flow.FOLDERS if folder.commits and folder != flow.GENERATION)
    known = register.current(root_url)
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
        "stages": _stages(standing, known, accounts),
        "fetch": _fetch(standing, known),
        "shards": {
            form: {
                "shards": sum(file.rows > 0 for file in standing[folder.path].commit.files),
                "samples": sum(file.rows for file in standing[folder.path].commit.files),
                "bytes": sum(file.bytes for file in standing[folder.path].commit.files),
            }
            for form, folder in sorted(flow.SHARDS.items())
            if folder.path in standing
        },
        "writer": _writer(root_url),
        "takedown": _takedown(root_url),
        "balance": lines,
        "balanced": all(line["ok"] for line in lines),
        "missing": _missing(standing),
    }


def _writer(root_url: str) -> dict[str, Any] | None:
    state, runs = lock.seen(root_url)
    if state.last is None:
        return None
    last, job = state.last, state.job
    if job is not None and not runs and (state.ended or job.engine is None):  # only an engine's outlives who was killed
        job = None
    return {
        "command": last.command,
        "host": last.host,
        "process": last.pid,
        "since": last.since,
        "epoch": state.epoch,
        "runs": runs,
        "ended": state.ended,
        "job": job and {"task": job.task, "engine": job.engine, "name": job.name, "since": job.since},
    }


def _takedown(root_url: str) -> dict[str, bool]:
    """Return what waits, by the names of files alone: what stands in them is not for all who may read a ROOT."""
    names = storage.list_names(storage.join(root_url, lists.FOLDER))
    return {"waits": lists.REQUESTS in names, "begun": receipts.PENDING in names}


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


def _stages(
    standing: Mapping[str, Committed], known: Register, accounts: Mapping[str, Mapping[str, Account]]
) -> dict[str, Any]:
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for generation in known.every():
        files[flow.FETCH.name] += len(generation.files)
        sizes[flow.FETCH.name] += sum(file.bytes for file in generation.files)
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
        if stage.name in accounts or files[stage.name] or any(stage_of(folder) == stage.name for folder in standing)
    }


def _fetch(standing: Mapping[str, Committed], known: Register) -> dict[str, Any]:
    """Return the images of the ledger by status, and more of the fetch."""
    generations = size = 0
    for one in known.every():
        generations += 1
        size += sum(file.bytes for file in one.files if "/store/" in file.name)
    facts = _ledger_facts(standing, known)
    images = standing[flow.DISTINCT.path].commit.files if flow.DISTINCT.path in standing else ()
    return {
        "images": sum(file.rows for file in images),
        "ledger": {status: count for status, count in sorted(facts[sums.LEDGER].items()) if count},
        "hashed": facts[sums.HASHED],
        "shards": len(known.shards),
        "generations": generations,
        "store_bytes": size,
        "made_otherwise": _made_otherwise(known.every()),
    }


def _ledger_facts(standing: Mapping[str, Committed], known: Register) -> dict[str, Any]:
    """Return `sums.facts` of all ledgers.

    The last fetch that came to its end has committed them. Since then, or where an earlier version has fetched, the run of a
    shard's only generation has counted them, and of other shards the ledgers are read. Books of a generation count an image
    once a source, so they cannot tell.
    """
    unit = standing.get(flow.AVAILABILITY.path)
    if unit is not None and unit.commit.run.get("inputs", {}).get("ledger") == known.digest:
        return dict(unit.commit.facts)
    return sums.together(_shard_facts(known.of(shard)) for shard in known.shards)


def _shard_facts(known: Sequence[Generation]) -> dict[str, Any]:
    counted = _counted(known)
    if counted is None:
        return sums.facts([state.standing(known)])
    return {sums.LEDGER: counted, sums.HASHED: counted[OK] if known[0].facts.get(state.HASH) == state.PDQ else 0}


def _counted(known: Sequence[Generation]) -> Counter[str] | None:
    """Return a shard's images by status as the run of its only generation has counted them; None where the ledger must tell."""
    if len(known) > 1 or state.LOST in known[0].facts:
        return None
    rows = sum(file.rows for file in known[0].files if not file.name.startswith("../"))
    counted = Counter[str](known[0].run.get("statuses", {}))
    return counted if counted.total() == rows else None


def _made_otherwise(generations: Iterable[Generation]) -> dict[str, Any]:
    """Return how many generations have pictures that other libraries made than are here, and what differs.

    Returns:
        ``generations``: how many. ``differs``: library → its versions there and the one here.
    """
    told = [one.run[state.LIBRARIES] for one in generations if state.LIBRARIES in one.run]
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
    have = {stage_of(folder) for folder in standing}
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


#: What the columns of the books table show: heading, stage, field.
_COLUMNS: Final[Sequence[tuple[str, str, str]]] = (
    ("in", flow.STAGES[0].name, "in"),
    *((stage.kept, stage.name, "kept") for stage in flow.COUNTING),
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
    for line in _writer_lines(summary["writer"]):
        page.write(line)
    for line in _takedown_lines(summary["takedown"], summary["writer"]):
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
        [f"  shards/{form}: {bar.amount(entry['samples'], 'samples')}", f"{entry['shards']:,}", f"{entry['bytes']:,}"]
        for form, entry in summary["shards"].items()
    ]
    return _table(None, ["stage", "files", "bytes"], rows, numbers=2)


def _fetch_lines(fetch: Mapping[str, Any]) -> list[str]:
    if not fetch["generations"]:
        return []
    statuses = ", ".join(f"{status} {count:,}" for status, count in fetch["ledger"].items())
    settled = sum(fetch["ledger"].values())
    return [
        f"\nImages: {fetch['images']:,} wanted, {settled:,} settled{_share(settled, fetch['images'])}. "
        f"In the ledger: {statuses}.",
        f"Perceptual hashes are known of {fetch['hashed']:,}; the others are computed when something asks for them.",
        f"Fetched in {bar.amount(fetch['generations'], 'generations')} of {bar.amount(fetch['shards'], 'fetch shards')}; "
        f"the store holds {fetch['store_bytes']:,} bytes.",
        *_otherwise_lines(fetch["made_otherwise"]),
    ]


def _share(part: int, whole: int) -> str:
    """Return in words which part of the whole is done, as long as it is not all; it is never rounded up to all."""
    return f" ({100 * part // whole} %)" if part < whole else ""


def _writer_lines(writer: Mapping[str, Any] | None) -> list[str]:
    """Return who writes, and what he is at; nothing of one who has ended."""
    if writer is None or (writer["ended"] and not writer["runs"]):
        return []
    who = f"{writer['command']} (process {writer['process']} on {writer['host']}, since {writer['since']})"
    job = _job_in_words(writer["job"])
    if writer["runs"]:
        return [f"Running: {who}", *([f"It is at {job}."] if job else [])]
    killed = f"Not ended: {who}: it was killed. What it had committed stays; the same command does the rest."
    left = f"Its job may still run: {job}. The next command that writes here has it end."
    return [killed, *([left] if job else [])]


def _job_in_words(job: Mapping[str, Any] | None) -> str:
    if job is None:
        return ""
    where = "on this machine" if job["engine"] is None else f"on {job['engine']}"
    called = f", job {job['name']}" if job["name"] else ""
    return f"{job['task']}, {where}{called}, since {job['since']}"


def _takedown_lines(takedown: Mapping[str, bool], writer: Mapping[str, Any] | None) -> list[str]:
    """Return what waits; nothing of what is under way, or was killed just now: that is told of the writer."""
    if takedown["begun"] and not (writer is not None and (writer["runs"] or not writer["ended"])):
        return ["Takedown: one did not come to its end; run: pmd takedown apply CONFIG"]
    if takedown["waits"] and not takedown["begun"]:
        return ["Takedown: requests wait, and what they name is still here; run: pmd takedown apply CONFIG"]
    return []


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
    command = "pmd takedown apply CONFIG" if summary["takedown"]["begun"] else "pmd build CONFIG"
    lines = []
    for line in summary["balance"]:
        if not line["adds_up"]:
            lines.append(f"NOT BALANCED: {line['stage']} of {line['source']}: in is not kept + rejected")
        elif not line["ok"]:
            lines.append(
                f"NOT BALANCED: {line['stage']} of {line['source']}: in {line['in']:,}, but {line['before']} kept "
                f"{line['before_kept']:,}; run: {command}"
            )
    return lines
