"""A small finished ROOT, made by the stages' own workers without an engine: three sources, every kind of loss.

What is in it (profile `recommended`, four fetch shards, each a part):

=====================  ==================================================================================================
conceptual_captions    7 lines: c1, c2 (same bytes, so merged), c3 dead, c4 taken down, c5 is COCO's photograph by its
                       Flickr URL, one bad URL, one malformed
coco                   photograph 9 (also Flickr's 4242) with two captions
visual_genome          photograph 1 with four regions: two fit, one is too small, one text is empty
=====================  ==================================================================================================
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pipelines import build as pipeline
from pmd import codec, config, flow, manifests, sources
from pmd.config import inputs
from pmd.config.asked import Asked
from pmd.curate import needs as curate_needs
from pmd.curate.transforms import ReadChunk, ResolvePartition, chunk_batch
from pmd.dedupe import needs as dedupe_needs
from pmd.dedupe.group_transforms import MARKS, ResolveGroups, WriteGroups
from pmd.dedupe.transforms import (
    SEARCHES,
    Elect,
    FindGroups,
    FindHeld,
    FindLinks,
    JudgePart,
    PackHashes,
    SpreadHashed,
    SpreadHashes,
    with_survivors,
)
from pmd.engines.committing import CommitStage, target
from pmd.engines.partitions import part_batches, part_of
from pmd.engines.transforms import OUTPUTS, collect, outputs
from pmd.fetch import needs as fetch_needs
from pmd.fetch.generations import hashing, store
from pmd.fetch.ledger import asking, partitions
from pmd.fetch.outcome import Attempt, Fetched
from pmd.fetch.rejected_transforms import PAIRS, SUMS, RejectPart, with_ledger
from pmd.images import aliases, beside, takedowns
from pmd.images import needs as images_needs
from pmd.images import rules as images_rules
from pmd.images.transforms import GatherPartition, SpreadByImage, file_batch
from pmd.images.transforms import targets as image_targets
from pmd.publish import needs as publish_needs
from pmd.publish.transforms import SourceList, SpreadBoth, WriteList, tasks, with_named
from pmd.schema import keys
from pmd.shard import needs as shard_needs
from pmd.shard.samples import window_bits
from pmd.shard.transforms import CutShards, OrderWindow, SpreadViews, WriteShard, window_outputs
from pmd.shard.transforms import targets as shard_targets
from pmd.store import commits, exchange, lock, proposals, root, storage
from pmd.store.lock import Lock, State
from pmd.store.standing import Standing
from pmd.text import url_identity

SHARD_BITS = 2

C1 = "http://one.example/c1.jpg"
C2 = "http://two.example/copy-of-c1.jpg"
C3 = "http://one.example/gone.jpg"
C4 = "http://one.example/taken-down.jpg"
C5 = "http://farm1.staticflickr.com/2/4242_abcdef.jpg"
COCO_URL = "http://images.cocodataset.org/train2017/000000000009.jpg"
VG_URL = "https://cs.stanford.edu/people/rak248/VG_100K/1.jpg"

_CC3M = [
    ("a red square", C1),
    ("the same square elsewhere", C2),
    ("a picture that is gone", C3),
    ("a picture taken down", C4),
    ("a photograph that coco has too", C5),
    ("no url at all", "nowhere"),
]
_COCO = {
    "images": [
        {
            "id": 9,
            "file_name": "000000000009.jpg",
            "coco_url": COCO_URL,
            "flickr_url": "http://farm1.staticflickr.com/2/4242_abcdef_z.jpg",
            "license": 1,
            "height": 60,
            "width": 80,
        }
    ],
    "licenses": [{"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}],
    "annotations": [
        {"id": 12345, "image_id": 9, "caption": "A green field."},
        {"id": 12346, "image_id": 9, "caption": "A field under the sky. "},
    ],
}
_VG_IMAGES = [{"image_id": 1, "url": VG_URL, "width": 100, "height": 100, "coco_id": None, "flickr_id": None}]
_VG_REGIONS = [
    {
        "id": 1,
        "regions": [
            {"region_id": 10, "image_id": 1, "phrase": "the left half", "x": 0, "y": 0, "width": 50, "height": 100},
            {"region_id": 11, "image_id": 1, "phrase": "all of it", "x": 0, "y": 0, "width": 100, "height": 100},
            {"region_id": 12, "image_id": 1, "phrase": "a corner", "x": 0, "y": 0, "width": 5, "height": 5},
            {"region_id": 13, "image_id": 1, "phrase": " ", "x": 0, "y": 0, "width": 50, "height": 50},
        ],
    }
]


def write_config(folder: Path, coco: str = "train2017") -> str:
    """Write the annotation files, COCO's those of a part of it, and the configuration; return the configuration's path."""
    data = folder / "data"
    data.mkdir(parents=True)
    lines = [f"{caption}\t{url}" for caption, url in _CC3M] + ["one column only"]
    (data / "GCC-training.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (data / f"captions_{coco}.json").write_text(json.dumps(_COCO).replace("train2017", coco), encoding="utf-8")
    (data / "image_data.json").write_text(json.dumps(_VG_IMAGES), encoding="utf-8")
    (data / "region_descriptions.json").write_text(json.dumps(_VG_REGIONS), encoding="utf-8")
    (data / "takedown.txt").write_text(f"# a list\n{C4}\n", encoding="utf-8")
    text = f"""
root = "{folder}/pmd"
profile = "recommended"
contact = "mailto:tests@example.org"
takedown = ["{data}/takedown.txt"]
[sources.conceptual_captions]
annotations = ["{data}/GCC-training.tsv"]
[sources.coco]
annotations = ["{data}/captions_{coco}.json"]
exclude_karpathy = "none"
[sources.visual_genome]
annotations = ["{data}/image_data.json", "{data}/region_descriptions.json"]
exclude_karpathy = "none"
[shard]
samples_per_shard = 3
"""
    path = folder / "pmd.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def build(folder: Path, coco: str = "train2017") -> config.Config:
    """Build everything but the audit below `folder`/pmd; arguments as of `write_config`."""
    chosen = config.load(write_config(folder, coco))
    run_stages(chosen)
    return chosen


#: The stages that are built here: those before the audit.
STAGES = flow.STAGES[: flow.STAGES.index(flow.AUDIT)]


def run_stages(chosen: config.Config, stages: Iterable[flow.Stage] = STAGES) -> None:
    """Run stages by the workers that stand below; one that has none here by its own pipeline."""
    for stage in stages:
        if stage.name in _BY_WORKERS:
            _BY_WORKERS[stage.name](chosen)
        else:
            _run_pipeline(chosen, stage)


def _run_pipeline(chosen: config.Config, stage: flow.Stage) -> None:
    """Run a stage as `pmd STAGE` does, and remove what only a writer leaves."""
    before = {*storage.list_files(chosen.root)}
    with root.writer(chosen.root, "test"):
        pipeline.build(chosen, only=stage.name)
    storage.remove_tree(storage.join(chosen.root, root.WORK))
    for name in (lock.STATE_FILE, lock.LOCK_FILE, flow.REGISTER):
        if name not in before and storage.exists(storage.join(chosen.root, name)):
            storage.remove(storage.join(chosen.root, name))


def _meet(write: Any, merge: Any, elements: Iterable[Any]) -> Iterator[Any]:
    """Do what the transform `ByPartition` does."""
    written: list[Any] = []
    for element in elements:
        written += write(element)
    for partition, runs in exchange.by_partition(written):
        yield from merge((partition, [runs]))


def _work(chosen: config.Config, name: str) -> str:
    work = root.work_folder(chosen.root, name)
    storage.remove_tree(work)
    storage.make_folder(work)
    return work


def _accept(chosen: config.Config, work: str) -> None:
    """Commit what a stage has proposed, as a driver does."""
    found = proposals.read(work)
    for proposal in found:
        commits.claim(proposal.folder, 1)
    proposals.accept(found, Lock(chosen.root, 1, State()))
    storage.remove_tree(storage.join(chosen.root, root.WORK))


def curate(chosen: config.Config, name: str) -> None:
    """Curate one source into two partitions."""
    wanted, work = curate_needs.of(chosen, name).wanted, _work(chosen, f"curate-{name}")
    source = chosen.sources[name]
    plan = sources.load(name).plan(inputs.files(source), source.options)
    found = _meet(
        ReadChunk(name, source.options, work, 1),
        ResolvePartition(name, Asked.of(chosen, flow.CURATE.name), wanted.folder, 1, work),
        [chunk_batch(unit) for unit in plan],
    )
    CommitStage(work, (target(wanted),), (name,))(collect(found))
    _accept(chosen, work)


def make_images(chosen: config.Config) -> None:
    """Find the images, in four parts."""
    wanted, work = images_needs.of(chosen).wanted, _work(chosen, "images")
    asked = Asked.of(chosen, flow.IMAGES.name)
    root.create(chosen.root, SHARD_BITS)
    folders = {
        name: root.curate_folder(chosen.root, name) for name in curate_needs.curated(chosen, Standing(chosen.root))
    }
    files = [
        (name, storage.join(folder, file.name))
        for name, folder in folders.items()
        for file in commits.require(folder, "").under("pairs")
    ]
    found = [batch for _, path in files for batch in aliases.found(path)]
    links = aliases.links(found)
    held_out = beside.write_held_out(chosen.root, images_needs.of(chosen).left_out, links, work)
    takedown = images_rules.Takedown.of(takedowns.lines(chosen.takedown))
    views = root.views_folder(chosen.root)
    found = _meet(
        SpreadByImage(work, SHARD_BITS, asked, takedown, (), beside.write_aliases(found, work), held_out),
        GatherPartition(wanted.folder, views, SHARD_BITS, SHARD_BITS, asked, work),
        [file_batch([file]) for file in files],
    )
    CommitStage(work, image_targets(wanted, views, SHARD_BITS, SHARD_BITS))(collect(found))
    _accept(chosen, work)


def picture(colour: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    """Return a JPEG of one colour."""
    sink = io.BytesIO()
    Image.new("RGB", size, colour).save(sink, "JPEG")
    return sink.getvalue()


def _web() -> dict[bytes, bytes]:
    pictures = {
        C1: picture((200, 0, 0), (64, 48)),
        C2: picture((200, 0, 0), (64, 48)),
        COCO_URL: picture((0, 200, 0), (80, 60)),
        VG_URL: picture((0, 0, 200), (100, 100)),
    }
    return {keys.image_id(str(url_identity.of_one(url))): content for url, content in pictures.items()}


class Lane:
    """Stands in for a lane of the fetch engine: pictures of `_web`, everything else is a 404."""

    answered = True

    def __init__(self, found: dict[bytes, bytes]) -> None:
        self._found = found

    def fetch(self, todo: pa.Table, *, generation: int, **_: Any) -> Iterator[Fetched]:
        for row in todo.to_pylist():
            image_id = row["image_id"]
            location = row["locations"][0]["url"]
            content = self._found.get(image_id)
            status = "dead" if content is None else "ok"
            attempt = Attempt(
                image_id,
                location,
                generation,
                datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
                status,
                404 if content is None else 200,
                headers=json.dumps({"content-type": "image/jpeg"}),
            )
            if content is None:
                yield Fetched(image_id, status, location, (location,), (attempt,))
                continue
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
            yield Fetched(
                image_id,
                status,
                location,
                (location,),
                (attempt,),
                bytes=len(content),
                sha256=hashlib.sha256(content).digest(),
                width_px=width,
                height_px=height,
                format="jpeg",
                perceptual_hash=codec.perceptual_hash(codec.upright_rgb(content)),
                hashed_form="original",
                frames=1,
                stored=content,
                stored_form="original",
                stored_format="jpeg",
            )


def fetch(chosen: config.Config, generation: int, retry: tuple[str, ...] = ()) -> None:
    """Commit a generation of every fetch shard that has something to fetch; from the second on, nothing is dead."""
    found = _web()
    if generation:
        found[keys.image_id(str(url_identity.of_one(C3)))] = picture((9, 9, 9), (40, 40))
    cut = partitions.cut(chosen.root)
    for part in range(2**cut.part_bits):
        rows = partitions.read_images(chosen.root, part)
        for number in cut.shards(part):
            mine = rows.filter(pc.equal(rows["fetch_shard"], number))
            lane: Any = Lane(found)
            store.run_shard(store.Order(chosen.root, number, mine, chosen.fetch, retry=retry), lane)


def hash_stored(chosen: config.Config) -> None:
    """Hash what is stored without a hash."""
    began = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    for number in asking.missing(Standing(chosen.root)):
        mine = partitions.read_shard(chosen.root, number)
        hashing.run_shard(hashing.Order(chosen.root, number, mine, chosen.fetch.max_pixels, began))


def commit_rejected(chosen: config.Config) -> None:
    """Write the pairs whose image could not be had, and the sums of what was there."""
    (rejected, available), work = fetch_needs.wanted(chosen), _work(chosen, "rejected")
    part = RejectPart(chosen.root, rejected.folder, available.folder, partitions.cut(chosen.root), work)
    found = [item for batch in part_batches(SHARD_BITS) for item in part(batch)]
    CommitStage(work, (target(rejected, kind=PAIRS), target(available, kind=SUMS, sources=(), complete=with_ledger)))(
        collect(found)
    )
    _accept(chosen, work)


def dedupe(chosen: config.Config) -> None:
    """Find equal images."""
    wanted, work = dedupe_needs.wanted(chosen)[0], _work(chosen, "dedupe")
    asked = Asked.of(chosen, flow.DEDUPE.name)
    cut = partitions.cut(chosen.root)
    parts = part_batches(SHARD_BITS)
    equal = list(_meet(SpreadHashes(chosen.root, cut, work, 1), FindGroups(asked, cut.part_bits, work), parts))
    related = [batch for batch in equal if batch.schema == exchange.RUNS]
    if chosen.dedupe.near == "merge":
        of_marks = exchange.runs_of(MARKS)
        marked = dict(exchange.by_partition(exchange.as_runs(batch) for batch in equal if batch.schema == of_marks))
        spread = SpreadHashed(chosen.root, cut, work)
        hashed = [item for batch in parts for item in spread(_with(batch, marked))]
        made = list(PackHashes(work)((0, hashed)))
        find, elect = FindLinks(asked, work), Elect(asked, cut.part_bits, work)
        links = [item for batch in made if batch.schema == SEARCHES for item in find(batch)]
        related += elect((0, [*links, *(batch for batch in made if batch.schema != SEARCHES)]))
    resolve = ResolveGroups(cut.part_bits, work)
    resolved = [item for number, runs in exchange.by_partition(related) for item in resolve((number, [runs]))]
    of_parts = dict(exchange.by_partition(resolved))
    write, hold = WriteGroups(wanted.folder, cut.part_bits, work), FindHeld(chosen.root, cut, work)
    found = [item for batch in parts for item in write(_with(batch, of_parts)) if item.schema == OUTPUTS]
    held = [item for batch in parts for item in hold(batch)]
    judge = JudgePart(chosen.root, wanted.folder, cut, work)
    found += [item for batch in parts for item in judge((part_of(batch), [batch]), held)]
    CommitStage(work, (target(wanted, complete=with_survivors),))(collect([*found, outputs(())]))
    _accept(chosen, work)


def _with(batch: pa.RecordBatch, runs: Mapping[int, pa.RecordBatch]) -> tuple[int, list[pa.RecordBatch]]:
    """Return a part's PARTS of one row with its RUNS, if it has any."""
    part = part_of(batch)
    return part, [batch, *([runs[part]] if part in runs else [])]


def shard(chosen: config.Config) -> None:
    """Write shards in both formats."""
    forms = tuple(chosen.shard.formats)
    asked, wanted = Asked.of(chosen, flow.SHARD.name), shard_needs.wanted(chosen)
    cut, work = partitions.cut(chosen.root), _work(chosen, "shard")
    bits = window_bits(cut, chosen.shard.window)
    windows = list(
        _meet(
            SpreadViews(chosen.root, cut, bits, work),
            OrderWindow(chosen.root, cut, bits, asked, wanted[0].folder, work),
            part_batches(cut.part_bits),
        )
    )
    write = WriteShard(
        chosen.root,
        tuple((form, root.shards_folder(chosen.root, form)) for form in forms),
        wanted[0].hash[:8],
        asked,
        work,
    )
    found = [item for batch in CutShards(asked, work)((0, windows)) for item in write(batch)]
    found += [window_outputs(batch) for batch in windows]
    CommitStage(work, shard_targets(wanted))(collect(found))
    _accept(chosen, work)


def publish(chosen: config.Config, name: str) -> None:
    """Write a source's list."""
    wanted, work = publish_needs.of(chosen, name).wanted, _work(chosen, f"publish-{name}")
    manifest = manifests.load(name)
    curated = root.curate_folder(chosen.root, name)
    files = commits.require(curated, "").under("pairs")
    lists = exchange.Numbered({name: exchange.bits_for(len(files), 1)})
    cut = partitions.cut(chosen.root)
    found = _meet(
        SpreadBoth(chosen.root, cut, lists, work),
        WriteList({name: SourceList(manifest, wanted.folder)}, Asked.of(chosen, flow.PUBLISH.name), lists, work),
        tasks({name: [(storage.join(curated, file.name), file.bytes) for file in files]}, range(2**cut.part_bits)),
    )
    ours = target(wanted, kind=name, sources=(name,), complete=with_named)
    CommitStage(work, (ours,))(collect([*found, outputs(())]))
    _accept(chosen, work)


def _each(run: Callable[[config.Config, str], None]) -> Callable[[config.Config], None]:
    def of_all(chosen: config.Config) -> None:
        for name in sorted(chosen.sources):
            run(chosen, name)

    return of_all


def _fetch_once(chosen: config.Config) -> None:
    fetch(chosen, 0)
    commit_rejected(chosen)


_BY_WORKERS: Mapping[str, Callable[[config.Config], None]] = {
    flow.CURATE.name: _each(curate),
    flow.IMAGES.name: make_images,
    flow.FETCH.name: _fetch_once,
    flow.DEDUPE.name: dedupe,
    flow.SHARD.name: shard,
    flow.PUBLISH.name: _each(publish),
}
