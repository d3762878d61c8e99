"""What a ROOT holds, in the classes that are claimed to be equal; each function is called in a fork, and tells as JSON does.

Reading starts threads, and who forks commands has none.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.parquet as pq

#: Folders whose commits tell of days, or of each generation.
_OF_DAYS: Final = ("fetch/ledger/", "fetch/availability", "refresh/")
#: Of the release: what earlier releases had is told in it, and waves.
_RELEASE_TELLS_OF_BEFORE: Final = (
    "withdrawn.parquet",
    "README.md",
    "SHA256SUMS",
    "build.json",
    "croissant.json",
    "availability.csv",
    "availability.html",
    "availability.json",
)


def files(root: str) -> dict[str, tuple[int, int]]:
    """Return each file with its time and size, but those by which writers are told."""
    found = {}
    for path in sorted(Path(root).rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not name.startswith(("writer.", "fetch/register")):
            stat = path.stat()
            found[name] = (stat.st_mtime_ns, stat.st_size)
    return found


def standing(root: str) -> dict[str, Any]:
    """Return what stands of the fetch and of the images.

    Returns:
        ``rows``: image → what the ledger says; ``images``: image → identity and addresses; ``committed``: rows of `images`.
    """
    from pmd.fetch.ledger import partitions, state
    from pmd.store import commits
    from pmd.store import root as roots

    rows: dict[str, Any] = {}
    for shard in state.shards(root):
        for row in state.read_ledger(root, shard).to_pylist():
            told = {name: row[name] for name in ("status", "location", "tried", "bytes", "width_px", "height_px")}
            told["sha256"] = None if row["sha256"] is None else row["sha256"].hex()
            rows[row["image_id"].hex()] = told
    images: dict[str, Any] = {}
    if commits.read(roots.images_folder(root)) is not None:
        for part in range(2 ** partitions.cut(root).part_bits):
            for row in partitions.read_images(root, part).to_pylist():
                places = [place["url"] for place in row["locations"]]
                images[row["image_id"].hex()] = {"identity": row["identity"], "places": places}
    return {"rows": rows, "images": images}


def listed(root: str) -> dict[str, Any]:
    """Return the ids that the release lists, those that it says have left, and the addresses and digests in the lists."""
    rows = [
        row
        for path in sorted(Path(root).glob("release/source=*/*.parquet"))
        for row in pq.ParquetFile(path).read(columns=["pair_id", "image_url", "sha256"]).to_pylist()
    ]
    withdrawn = Path(root) / "release/withdrawn.parquet"
    gone = pq.ParquetFile(withdrawn).read()["pair_id"].to_pylist() if withdrawn.exists() else []
    return {
        "ids": sorted(row["pair_id"] for row in rows),
        "withdrawn": sorted(gone),
        "urls": sorted({row["image_url"] for row in rows if row["image_url"]}),
        "digests": sorted({row["sha256"] for row in rows if row["sha256"]}),
    }


def pairs(root: str) -> dict[str, str]:
    """Return pair → image, as curate has them: of sources that were taken out, too."""
    return {
        row["pair_id"].hex(): row["image_id"].hex()
        for path in sorted(Path(root).glob("curate/source=*/pairs/*.parquet"))
        for row in pq.ParquetFile(path).read(columns=["pair_id", "image_id"]).to_pylist()
    }


def samples(root: str) -> dict[str, list[str]]:
    """Return format → a digest of each sample, in order of shards."""
    found: dict[str, list[str]] = {}
    for form, read in (("webdataset", _tar_samples), ("parquet", _parquet_samples)):
        folder = Path(root) / "shards" / form
        commit = folder / "_stage.json"
        if commit.exists():
            names = sorted(one["name"] for one in orjson.loads(commit.read_bytes())["files"])
            found[form] = [digest for name in names for digest in read(folder / name)]
    return found


def _tar_samples(path: Path) -> Iterator[str]:
    if path.suffix != ".tar":
        return
    about: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            content = tar.extractfile(member)
            assert content is not None
            about.setdefault(key, {})[extension] = content.read()
    for key, sample in about.items():
        said = {**orjson.loads(sample.pop("json")), "text": sample.pop("txt").decode()}
        (picture,) = sample.values()
        yield _digest(key, said, picture)


def _parquet_samples(path: Path) -> Iterator[str]:
    for row in pq.ParquetFile(path).read().to_pylist():
        picture = row.pop("image")["bytes"]
        yield _digest(row.pop("key"), row, picture)


def _digest(key: str, said: dict[str, Any], picture: bytes) -> str:
    told = json.dumps({name: value for name, value in said.items() if value is not None}, sort_keys=True, default=str)
    return f"{key} {hashlib.sha256(told.encode()).hexdigest()[:12]} {hashlib.sha256(picture).hexdigest()[:12]}"


def claimed(root: str) -> dict[str, Any]:
    """Return what is claimed to be equal of two ROOTs that have one fetch: by folder, files, facts, books and hash."""
    found: dict[str, Any] = {}
    for path in sorted(Path(root).rglob("_stage.json")):
        folder = str(path.parent.relative_to(root))
        commit = orjson.loads(path.read_bytes())
        if folder.startswith(_OF_DAYS) or not commit["stage"]:
            continue
        told: dict[str, Any] = {"books": commit["sources"], "hash": commit["hash"], "facts": commit["facts"]}
        names = [one["name"] for one in commit["files"]]
        if folder.startswith("curate/"):
            told["files"] = [one["sha256"] for one in commit["files"] if one["name"].startswith("pairs/")]
            told["rejected"] = _without_place(path.parent, [name for name in names if name.startswith("rejected/")])
        else:
            told["files"] = {one["name"]: one["sha256"] for one in commit["files"] if one["name"] != "report.html"}
        found[folder] = told
    for path in sorted(Path(root).glob("release/**/*")):
        if path.is_file() and path.name not in _RELEASE_TELLS_OF_BEFORE:
            found[f"{path.relative_to(root)}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _without_place(folder: Path, names: list[str]) -> str:
    rows = [row | {"where": None} for name in names for row in pq.ParquetFile(folder / name).read().to_pylist()]
    return hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return where two of `claimed` differ, and in what."""
    found = []
    for name in sorted({*one, *other}):
        ours, theirs = one.get(name), other.get(name)
        if ours == theirs:
            continue
        if ours is None or theirs is None:
            found.append(f"{name} is only in the {'new' if ours is None else 'old'} one")
        elif isinstance(ours, dict) and isinstance(theirs, dict):
            found += [f"{name}: {key} differ" for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
        else:
            found.append(f"{name} differs")
    return found
