"""What of a ROOT must be equal after a rerun, whatever happened before; and what must not be left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.breaking import forks, interleaved
from benchmarks.breaking.world import SHARD_BITS


def apart(work: Callable[[], Any], note: Path) -> Any:
    """Return what a function gives, as JSON has it; done in a fork, since it starts threads."""
    _, status = os.waitpid(forks.forked(lambda: note.write_bytes(orjson.dumps(work()))), 0)
    if status:
        raise RuntimeError("what was done apart has failed: its traceback stands above")
    return orjson.loads(note.read_bytes())


def facts(root_url: str, *, verified: bool) -> dict[str, Any]:
    """Return what is claimed to be equal: the files and books of stages, the ledger's outcomes, and what `pmd verify` says.

    Between two stages of a second build that finds much: what is behind is yet to follow. It takes longer than all the rest.
    """
    from pmd import flow
    from pmd.fetch.ledger import state
    from pmd.inspection import verify
    from pmd.schema.tables import LEDGER_OUTCOME
    from pmd.store.commits import sha256

    found: dict[str, Any] = {}
    for folder, commit in interleaved.standing(root_url).items():
        name = folder.removeprefix(f"{root_url}/")
        if name.startswith("fetch/ledger/") or name == flow.AVAILABILITY.path:  # of days, and verified
            continue
        files = {file.name: file.sha256 for file in commit.files if file.name != "report.html"}
        found[name] = {"files": files, "facts": commit.facts}
        if name != "fetch/rejected":  # that of the ledger is in it, and so are the times of attempts
            found[name]["hash"] = commit.hash
        found[name]["sources"] = {source: [books.kept, books.rejected] for source, books in commit.sources.items()}
    rows = [
        sorted(map(repr, state.read_ledger(root_url, shard).select(list(LEDGER_OUTCOME)).to_pylist()))
        for shard in range(2**SHARD_BITS)
    ]
    found["ledger"] = sha256(repr(rows).encode())
    if verified:
        told = verify.verify(root_url)
        found["verify"] = [sorted({each["what"] for each in told["problems"]}), [str(each) for each in told["notes"]]]
    return orjson.loads(orjson.dumps(found))  # type: ignore[no-any-return]


def differences(root_url: str, wanted: dict[str, Any], *, verified: bool) -> list[str]:
    """Return in what a ROOT differs from what is wanted, what is not as its commit says, and what is left over."""
    from pmd import flow
    from pmd.store import lock

    found = facts(root_url, verified=verified)
    differ = [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
    if not verified:
        differ = [name for name in differ if name != "verify"]
    problems = [f"{name} differs" for name in differ]
    if "verify" in differ:
        problems.append(f"verify says {found['verify']}")
    problems += interleaved.lost(root_url).values()
    if not lock.read(root_url).ended:
        problems.append("the lock was not given back")
    beside = tuple(f"{root_url}/{name}/" for name in ("fetch/hosts", flow.RELEASE))  # these stand outside of commits
    left = [name for name in interleaved.unlisted(root_url) if not name.startswith(beside) or "/.tmp-" in name]
    return problems + [f"left over: {name.removeprefix(root_url)}" for name in left]


def settled(root_url: str) -> list[str]:
    """Return the URLs of images of which a commit says what became."""
    from pmd.fetch.ledger import state

    ledgers = [state.read_ledger(root_url, shard) for shard in state.shards(root_url)]
    return sorted({url for ledger in ledgers for urls in ledger["tried"].to_pylist() for url in urls or ()})


def largest_shard(root_url: str) -> int:
    """Return the images of the fetch shard that has most."""
    from pmd.fetch.ledger import state

    return max(state.read_ledger(root_url, shard).num_rows for shard in range(2**SHARD_BITS))
