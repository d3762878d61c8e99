"""The files that are fuzzed: some twenty rows each, genuine ones where the samples are here, and the demo's.

Of a source that the demo does not have, they are its golden files (`tests/sources/test_NAME.py`).
"""

from __future__ import annotations

import bz2
import dataclasses
import functools
import gzip
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.fuzzing import documents
from pmd import sources
from pmd.demo import files as demo
from pmd.demo.annotations import write_annotations
from pmd.demo.rows import build_world
from pmd.sources.contract import InputFile
from pmd.sources.yfcc100m import COLUMNS
from tests import golden

SAMPLES: Final = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "samples"
KARPATHY: Final = "dataset_coco.json"
ROWS: Final = 20

_PACKED: Final = ("gzip", "bzip2", "zstd")
_ARCHIVES: Final = ("zip", "tar", "tar.gz")


@dataclasses.dataclass(frozen=True)
class Base:
    """Whole files of one source.

    Attributes:
        source: Name of the source.
        label: What they are.
        form: How rows are found in them (`documents.READINGS`).
        files: Name → plain bytes.
        karpathy: Name of the file among them that says what is held out, or None.
        packings: How the files may come besides plain.
        options: Options of the source that differ from the profiles'.
    """

    source: str
    label: str
    form: str
    files: dict[str, bytes]
    karpathy: str | None = None
    packings: tuple[str, ...] = (*_PACKED, *_ARCHIVES)
    options: tuple[tuple[str, Any], ...] = ()


@functools.cache
def all_bases() -> dict[str, tuple[Base, ...]]:
    """Return the bases of each source; the same each time, while the samples are the same."""
    found: dict[str, list[Base]] = {}
    for base in (*_demo(), *(_genuine() if SAMPLES.is_dir() else ())):
        found.setdefault(base.source, []).append(base)
    for name in sources.names():
        if name not in found:
            found[name] = [_golden(name)]
    return {source: tuple(bases) for source, bases in sorted(found.items())}


def _demo() -> Iterator[Base]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {str(path.relative_to(folder)): path for path in write_annotations(build_world(), Path(folder))}
        content = {name: path.read_bytes() for name, path in paths.items()}
        with zipfile.ZipFile(paths[demo.RED_CAPS_FILE]) as archive:
            red_caps = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}

    def named(name: str) -> dict[str, bytes]:
        return {name.rsplit("/", 1)[1]: content[name]}

    held_out = json.loads(content[demo.KARPATHY_FILE])
    by_split = {image["split"]: image for image in held_out["images"]}
    few_images = [*held_out["images"][: ROWS // 5], *by_split.values()]
    held = {KARPATHY: json.dumps({**held_out, "images": few_images}).encode()}
    captions = {demo.COCO_FILE.rsplit("/", 1)[1]: _coco(json.loads(content[demo.COCO_FILE]))}
    yield Base("coco", "demo", "coco", captions)
    yield Base("coco", "demo, without held-out images", "coco", {**captions, **held}, KARPATHY)
    yield Base("coco", "demo, Karpathy's file", "karpathy", held)
    genome = {**named(demo.VG_REGIONS_FILE), **named(demo.VG_IMAGES_FILE)}
    yield Base("visual_genome", "demo", "visual genome", genome)
    yield Base("visual_genome", "demo, without held-out images", "visual genome", {**genome, **held}, KARPATHY)
    for source, names in (
        ("localized_narratives__openimages", (demo.LN_OPENIMAGES_FILE,)),
        ("localized_narratives__coco", (demo.LN_COCO_FILE,)),
        ("localized_narratives__coco", (demo.LN_COCO_FULL_FILE,)),
        ("localized_narratives__flickr30k", (demo.LN_FLICKR30K_FILE,)),
        ("localized_narratives__ADE20k", (demo.LN_ADE20K_FILE,)),
    ):
        for name in names:
            yield Base(source, f"demo, {name.rsplit('/', 1)[1]}", "narratives", named(name))
    yield Base(
        "localized_narratives__coco",
        "demo, without held-out images",
        "narratives",
        {**named(demo.LN_COCO_FILE), **held},
        KARPATHY,
    )
    yield Base("red_caps", "demo", "red caps", {name.rsplit("/", 1)[1]: data for name, data in red_caps.items()})
    lines = bz2.decompress(content[demo.YFCC_FILE]).splitlines(keepends=True)
    yield Base("yfcc100m", "demo", "lines", {"yfcc100m_dataset": b"".join(lines)})
    yield Base("yfcc100m", "demo, dump", "dump", {"yfcc100m_dataset.sql": dump(lines)}, packings=())
    yield Base("sbu_captions", "demo", "lists", named(demo.SBU_FILE))
    lists = json.loads(content[demo.SBU_FILE])
    pair = {
        f"SBU_captioned_photo_dataset_{word}.txt": "".join(
            # As upstream's text files have them: a space before each, no line break within.
            f" {' '.join(value.split())}\n"
            for value in lists[key]
        ).encode()
        for word, key in (("urls", "image_urls"), ("captions", "captions"))
    }
    yield Base("sbu_captions", "demo, text files", "line pairs", pair)
    yield Base("conceptual_captions", "demo", "lines", named(demo.CC3M_FILE))
    yield Base("conceptual_12m", "demo", "lines", named(demo.CC12M_FILE))
    wit = {demo.WIT_FILE.rsplit("/", 1)[1]: gzip.decompress(content[demo.WIT_FILE])}
    yield Base("wit", "demo", "records", wit)


def _genuine() -> Iterator[Base]:
    for name in ("captions_train2017.json", "captions_val2017.json"):
        yield Base("coco", name, "coco", {name: _coco(_load(f"coco/{name}"))})
    for release in ("v1.0", "v1.2"):
        regions = _load(f"visual_genome/{release}/region_descriptions.json")
        few = [{**image, "regions": image["regions"][:6]} for image in regions[:4]]
        files = {
            "region_descriptions.json": _dumped(few),
            "image_data.json": _read(f"visual_genome/{release}/image_data.json"),
        }
        yield Base("visual_genome", release, "visual genome", files)
    narratives = _read("localized_narratives/coco_val_captions.jsonl")
    yield Base("localized_narratives__coco", "genuine", "narratives", {"coco_val_captions.jsonl": narratives})
    with zipfile.ZipFile(SAMPLES / "redcaps/annotations.zip") as archive:
        posts = {
            info.filename.rsplit("/", 1)[1]: archive.read(info)
            for info in archive.infolist()
            if b'"image_id"' in archive.read(info)
        }
    yield Base("red_caps", "genuine", "red caps", posts)
    for name in ("yfcc100m_dataset_25col.tsv", "yfcc100m_dataset_23col.tsv", "yfcc100m_dataset_23col_crlf.tsv"):
        spread = _spread(_read(f"yfcc100m/{name}"))
        yield Base("yfcc100m", name, "lines", {name: b"".join(spread)})
    yield Base(
        "yfcc100m",
        "genuine, dump",
        "dump",
        {"yfcc100m_dataset.sql": dump(_spread(_read("yfcc100m/yfcc100m_dataset_23col.tsv")))},
        packings=(),
    )
    yield Base("sbu_captions", "genuine", "lists", {"sbu-captions-all.json": _read("sbu/sbu-captions-all.json")})
    validation = "Validation_GCC-1.1.0-Validation.head5000.tsv"
    files = {validation: b"".join(_spread(_read(f"cc3m/{validation}")))}
    yield Base("conceptual_captions", "genuine, validation", "lines", files)
    train = {"Train_GCC-training.tsv": _read("cc3m/Train_GCC-training.tsv")}
    yield Base("conceptual_captions", "genuine, train", "lines", train)
    yield Base("conceptual_12m", "genuine", "lines", {"cc12m.tsv": _read("cc12m/cc12m.tsv")})
    for name in ("tfds_train-00000-of-00009.tsv", "wit_v1.train.all-00000-of-00010.plain-text.tsv.gz"):
        yield Base("wit", name, "records", {name: _read(f"wit/{name}")})


def _golden(name: str) -> Base:
    """Return the golden files of a source, as plain bytes."""
    module = golden.module(name)
    with tempfile.TemporaryDirectory() as folder:
        files = golden.texts(module.write_golden(Path(folder)))
    options = golden.options(name)
    return Base(name, "golden", _form(name, files, options), files, options=tuple(options.items()))


def _form(name: str, files: dict[str, bytes], options: dict[str, Any]) -> str:
    """Return the form of lines whose rows stand where the reader says that its rows do; `UNREAD` where none has them there."""
    source = sources.load(name)
    chosen = source.options(**{**source.options.profile_values("paper"), **options})
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / file for file in files]
        for path in paths:
            path.write_bytes(files[path.name])
        chunks = source.plan([InputFile(str(path), path.stat().st_size) for path in paths], chosen)
        batches = [batch for chunk in chunks for batch in source.read(chunk, chosen)]
        places = {where.removeprefix(f"{folder}/") for batch in batches for where in batch["where"].to_pylist()}
    for form in ("lines", "headed lines"):
        if places == {f"{row.document}:{row.place}" for row in documents.rows(form, files, None)}:
            in_json = form == "lines" and all(content.lstrip().startswith(b"{") for content in files.values())
            return "narratives" if in_json else form
    return documents.UNREAD


def dump(lines: Sequence[bytes]) -> bytes:
    """Return the Multimedia Commons' database of lines of YFCC100M."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 1024")
    declared = ", ".join(f"{name} {'INTEGER PRIMARY KEY' if name == 'photoid' else 'TEXT'}" for name in COLUMNS)
    connection.execute(f"CREATE TABLE {documents.TABLE} ({declared})")
    for line in lines:
        fields = line.rstrip(b"\r\n").split(b"\t")
        if len(fields) == 25:
            fields = [fields[1], *fields[3:]]
        try:
            row = [int(fields[0]), *(field.decode() for field in fields[1:])]
        except ValueError:  # a line that is no row
            continue
        if len(row) == len(COLUMNS):
            connection.execute(f"INSERT OR IGNORE INTO {documents.TABLE} VALUES ({','.join('?' * len(row))})", row)
    connection.commit()
    content = connection.serialize()
    connection.close()
    return content


def _read(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def _load(name: str) -> Any:
    return json.loads(_read(name))


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _spread(document: bytes) -> list[bytes]:
    """Return `ROWS` lines from all over a file."""
    lines = document.splitlines(keepends=True)
    return lines[:: max(len(lines) // ROWS, 1)][:ROWS]


def _coco(document: dict[str, Any]) -> bytes:
    annotations = document["annotations"][:: max(len(document["annotations"]) // ROWS, 1)][:ROWS]
    wanted = {annotation["image_id"] for annotation in annotations}
    images = [image for image in document["images"] if image["id"] in wanted]
    return _dumped({**document, "images": images, "annotations": annotations})
