"""Files without an end: lines, strings, numbers, lists, fields and names, each read with its peak of memory."""

from __future__ import annotations

import bz2
import gzip
import multiprocessing
import resource
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from benchmarks.fuzzing.bases import Base
from benchmarks.fuzzing.reading import read, written
from benchmarks.fuzzing.running import LIMIT_BYTES, LIMIT_S, limit_memory

#: What an endless file may take at its peak, beyond what the process has when it starts.
ENDLESS_BYTES: Final = 1 << 30
MIB: Final = 1 << 20


def _repeat(path: Path, head: bytes, unit: bytes, size: int) -> None:
    """Write a head, and a unit again and again up to a size, compressed as the name ends."""
    opener: Callable[..., Any] = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    block = unit * (MIB // len(unit))
    with opener(path, "wb") as file:
        file.write(head)
        for _ in range(size // MIB):
            file.write(block)


_COCO_HEAD: Final = b'{"licenses": [], "images": [{"id": 1, "file_name": "a.jpg"}], "annotations": ['
_VG_TABLE: Final = (
    b'[{"image_id": 1, "url": "http://a/b/1.jpg", "width": 9, "height": 9, "coco_id": null, "flickr_id": null}]'
)
_WIT_HEAD: Final = "\t".join(
    ("language", "page_url", "image_url", "page_title", "section_title", "hierarchical_section_title",
     "caption_reference_description", "caption_attribution_description", "caption_alt_text_description", "mime_type",
     "original_height", "original_width", "is_main_image", "attribution_passes_lang_id", "page_changed_recently",
     "context_page_description", "context_section_description")
).encode() + b"\n"  # fmt: skip

#: Name → (source, file, what it begins with, what follows without an end).
ENDLESS: Final[dict[str, tuple[str, str, bytes, bytes]]] = {
    "line": ("conceptual_12m", "cc12m.tsv", b"http://a/b.jpg\ta caption\n", b"word "),
    "line in gzip": ("yfcc100m", "yfcc100m_dataset.gz", b"", b"\0"),
    "line in bzip2": ("conceptual_captions", "Train.tsv.bz2", b"a caption\thttp://a/b.jpg\n", b"a"),
    "JSON line": ("localized_narratives__flickr30k", "flickr30k_train.jsonl", b'{"dataset_id": "', b"a"),
    "quoted field": ("wit", "wit_v1.train.all.tsv", _WIT_HEAD + b'"', b"a line\n"),
    "columns": ("wit", "wit_v1.train.all.tsv.gz", _WIT_HEAD, b"\t"),
    "JSON string": ("coco", "captions_train2017.json", _COCO_HEAD + b'{"caption": "', b"a"),
    "JSON string of escapes": ("coco", "captions_train2017.json.gz", _COCO_HEAD + b'{"caption": "', rb"\""),
    "JSON number": ("sbu_captions", "sbu-captions-all.json", b'{"image_urls": [', b"1"),
    "JSON lists in lists": ("coco", "captions_train2017.json", _COCO_HEAD, b"["),
    "JSON objects in objects": ("red_caps", "pics_2017.json", b'{"annotations": [', b'{"a":'),
    "JSON element": ("visual_genome", "region_descriptions.json", b'[{"id": 1, "regions": [', b'{"phrase": "a"}, '),
    "JSON element before the lists": ("coco", "captions_train2017.json", b'{"info": [', b'{"phrase": "a"}, '),
    "JSON keys": ("red_caps", "pics_2017.json", b'{"annotations": [{', b'"k": 1, '),
    "JSON white space": ("red_caps", "pics_2017.json", b'{"annotations": [', b" "),
    "nothing but zeros": ("sbu_captions", "sbu-captions-all.json", b"", b"\0"),
}  # fmt: skip


def _tar_of_a_name(kind: bytes) -> bytes:
    """Return a tar whose first header announces a name, or a set of attributes, of eight gigabytes."""
    header = bytearray(512)
    header[0:13], header[100:107], header[124:136] = b"././@LongLink", b"0000644", b"77777777777\0"
    header[156:157], header[257:265], header[148:156] = kind, b"ustar\x0000", b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"a" * 4096


def endless(size: int) -> Iterator[tuple[str, str, str, float, float]]:
    """Read endless files of a size; yield (name, source, outcome or what is wrong with it, peak in MB, seconds)."""
    for name, (source, file, head, unit) in ENDLESS.items():
        with written({"image_data.json": _VG_TABLE} if source == "visual_genome" else {}) as folder:
            _repeat(folder / file, head, unit, size)
            yield name, source, *_apart(source, folder)
    for name, kind in (("tar: long name", b"L"), ("tar: attributes", b"x"), ("tar: global attributes", b"g")):
        with written({"annotations.tar": _tar_of_a_name(kind)}) as folder:
            yield name, "sbu_captions", *_apart("sbu_captions", folder)
    with written({}) as folder:
        with (
            zipfile.ZipFile(folder / "annotations.zip", "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("captions_train2017.json", "w") as member,
        ):
            member.write(_COCO_HEAD + b'{"caption": "')
            for _ in range(size // MIB):
                member.write(b"a" * MIB)
        yield "JSON string in a zip bomb", "coco", *_apart("coco", folder)


def _apart(source: str, folder: Path) -> tuple[str, float, float]:
    """Read files in a process of their own; return the outcome, its peak of memory beyond the start's, and its time."""
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_read_apart, args=(source, folder, send))
    begun = time.monotonic()
    process.start()
    send.close()
    try:
        outcome, peak = receive.recv() if receive.poll(6 * LIMIT_S) else ("crash: not done in time", 0)
    except EOFError:
        outcome, peak = "crash: the process died", 0
    process.kill()
    process.join()
    if peak > ENDLESS_BYTES:
        outcome = f"violation: {peak / 1e6:.0f} MB at its peak"
    return outcome, peak / 1e6, time.monotonic() - begun


def _read_apart(source: str, folder: Path, results: Connection) -> None:
    limit_memory(2 * LIMIT_BYTES)
    base = Base(source, "endless", "lines", {})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome = read(base, "paper", folder, sorted(path.name for path in folder.iterdir()))
        told = "violation: read to its end" if outcome.refusal is None else f"refused: {outcome.refusal.problem}"
    except BaseException:  # noqa: BLE001  a crash is what is looked for
        told = f"crash: {traceback.format_exc()}"
    results.send((told, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))
