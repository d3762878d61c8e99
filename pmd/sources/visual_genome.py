"""Visual Genome's region descriptions, joined to `image_data.json`; releases 1.0 and 1.2.

`region_descriptions.json` is one array of 700 MB in one line: it is streamed, an image with its regions at a time,
while the 108,077 image records are kept as JSON, some 40 MB. A region is a view of its image: its box in fractions of
the width and height that upstream says the image has, since copies of the photographs differ in size.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

import orjson
import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, json_stream
from pmd.schema import keys
from pmd.sources import boxes, karpathy, records
from pmd.sources.contract import Chunk, InputFile, Rule, SourceOptions
from pmd.sources.karpathy import Exclude
from pmd.text import url_identity

NAME: Final = "visual_genome"

_MEMBERS: Final = r"(region_descriptions|image_data).*\.json"
_EXPECTED_REGIONS: Final = 'region_descriptions.json: [{"id": …, "regions": [{"region_id": …, "phrase": …}, …]}, …]'
_EXPECTED_IMAGES: Final = 'image_data.json: [{"image_id": …, "url": …, "width": …, "height": …}, …]'
#: Where release 1.0 says that some images are: 51 to 100, of the first hundred. In 1.2 they are of the second archive.
_FIRST_ADDRESS: Final = re.compile(r"https?://cs\.stanford\.edu/people/jcjohns/visual-genome/.+")


class Options(SourceOptions):
    """Options of `visual_genome`."""

    regions: Annotated[
        Literal["crop", "whole"],
        Rule(
            says="crop: a phrase belongs to its region, cut out of the image; whole: to the whole image.",
            origin="FLAVA (2112.04482) is silent; its 68M unique images only come out with crops, as in M4's builder",
            paper="crop",
            hub="crop",
            recommended="crop",
            table2="Visual Genome: the pairs stay 5.4M, its unique images fall from 5.4M to 0.1M with `whole`",
        ),
    ]
    karpathy: Annotated[str, karpathy.FILE_RULE, karpathy.FILE]
    exclude_karpathy: Annotated[Exclude, karpathy.EXCLUDE_RULE]


class VisualGenome:
    """Visual Genome's regions; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """One chunk a file of regions; the image records are its companions, those of its folder first."""
        documents = records.documents(
            files, _MEMBERS, expected="region_descriptions.json or image_data.json", all_have_rows=False
        )
        forms = {document: _form(*document) for document in documents}
        tables = [document for document in documents if forms[document] == "images"]
        regions = [document for document in documents if forms[document] == "regions"]
        if not tables or not regions:
            raise InputError(
                "an annotation file that the others need is missing",
                where=f"[sources.{NAME}] annotations",
                expected="region_descriptions.json and image_data.json (or their .zip)",
                found=", ".join(archives.location(*document) for document in documents) or "no files",
                remedy=f"pmd manifests fetch {NAME}, and name both files in `annotations`",
            )
        records.refuse_copies(regions)  # releases may have the image records of others beside them
        held = karpathy.companions(options.karpathy, options.exclude_karpathy)
        return [
            Chunk(
                path=path,
                form="regions",
                member=member,
                companions=(*(archives.location(*table) for table in _nearest_first(tables, path)), *held),
            )
            for path, member in regions
        ]

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield one draft a region, and one for each image that has none."""
        yield from records.batches(_drafts(chunk, options))


SOURCE = VisualGenome()


def _form(path: str, member: str | None) -> Literal["regions", "images"]:
    """Return which of the two a document is, by its first elements.

    Raises:
        InputError: It is neither: Visual Genome's objects, attributes, questions, …
    """
    start = records.head(path, member)
    expected = f"{_EXPECTED_REGIONS}, or {_EXPECTED_IMAGES}"
    if not start.lstrip(records.BLANK).startswith(b"["):
        remedy = _OF_OBJECTS if start.lstrip(records.BLANK).startswith(b"{") else None
        raise records.foreign(path, member, expected=expected, start=start, remedy=remedy)
    if len(start) == records.HEAD_BYTES and b'"phrase"' in start and b'"regions"' in start:
        if _GRAPH_KEY.search(start):
            raise _graphs(path, member)
        return "regions"  # its first elements may be megabytes
    first = records.first(json_stream.objects(path, None, member=member, expected=expected))
    listed = [record["regions"] for record in first if isinstance(record.get("regions"), list)]
    regions = [region for regions in listed for region in regions if isinstance(region, dict)]
    if any(name in region for region in regions for name in _GRAPH):
        raise _graphs(path, member)
    if listed and (not regions or any("phrase" in region for region in regions)):
        return "regions"
    if any({"url", "width", "height"} <= record.keys() for record in first):
        return "images"
    found = f"elements with {records.keys_of(first[0])}" if first else None
    raise records.foreign(path, member, expected=expected, start=start, found=found)


_OF_OBJECTS: Final = (
    "if it has an object a line, as jq -c '.[]' writes them, make it one list again: jq -s . FILE > NEW"
)
#: What a region of region_graphs.json has besides.
_GRAPH: Final = ("relationships", "objects")
#: One of these as a key: a phrase may be just that word.
_GRAPH_KEY: Final = re.compile(rf'"(?:{"|".join(_GRAPH)})"\s*:'.encode())


def _graphs(path: str, member: str | None) -> InputError:
    return InputError(
        "one of Visual Genome's other annotation files, which has the phrases of region_descriptions.json once more",
        where=archives.location(path, member),
        expected="region_descriptions.json and image_data.json",
        found="region_graphs.json: regions with their objects and relationships",
        remedy="take it out of `annotations`, or name the two files alone",
    )


def _nearest_first(tables: list[tuple[str, str | None]], path: str) -> list[tuple[str, str | None]]:
    """Return tables with those in the folder of `path` first: releases are kept in folders of their own."""
    folder = posixpath.dirname(path)
    return sorted(tables, key=lambda table: (posixpath.dirname(table[0]) != folder, table[0], table[1] or ""))


def _image_records(companions: Sequence[str]) -> dict[int, bytes]:
    """Return each image's record as JSON, by image id; the first file that has an image decides."""
    table: dict[int, bytes] = {}
    for companion in companions:
        path, member = archives.split_member(companion)
        for _, record in json_stream.objects(path, None, member=member, expected=_EXPECTED_IMAGES):
            if isinstance(record, dict):
                image_id = records.whole(record.get("image_id", record.get("id")))
                # A record without a whole number for an id can be nobody's image; its regions are `no_image`.
                if image_id is not None and not records.is_no_id(image_id):
                    table.setdefault(image_id, records.meta(record).encode())
    return table


def _drafts(chunk: Chunk, options: Options) -> Iterator[dict[str, Any]]:
    held = karpathy.left_out(options.karpathy, options.exclude_karpathy)
    table = _image_records([companion for companion in chunk.companions if companion != options.karpathy])
    document = archives.location(chunk.path, chunk.member)
    for index, element in json_stream.objects(chunk.path, None, member=chunk.member, expected=_EXPECTED_REGIONS):
        where = f"{document}:[{index}]"
        try:
            image_id, regions = _regions_of(element)
        except records.Malformed as error:
            yield records.lost(element, "malformed_row", str(error), where)
            continue
        if not regions:
            yield records.lost(element, "no_caption", "the image has no regions", where)
            continue
        try:
            picture = _picture(image_id, table, held)
        except records.Malformed as error:
            for number, region in enumerate(regions):
                yield records.lost(region, "malformed_row", f"image record: {error}", f"{where}.regions[{number}]")
            continue
        for number, region in enumerate(regions):
            place = f"{where}.regions[{number}]"
            try:
                yield _draft(region, image_id, picture, options.regions) | {"where": place}
            except records.Malformed as error:
                yield records.lost(region, "malformed_row", str(error), place)


def _regions_of(element: Any) -> tuple[int, list[Any]]:
    record = records.mapping(element, "image")
    image_id = records.integer(record, "image_id" if "image_id" in record else "id")
    return image_id, records.items(record, "regions")


@dataclasses.dataclass(frozen=True)
class _Picture:
    """What an image's regions share.

    Attributes:
        columns: Columns of their drafts; among them the reason, where all of them leave.
        canonical: The image record, for the row's digest.
        fields: Fields of the image record that go into `meta`, beside the region's own.
    """

    columns: dict[str, Any]
    canonical: bytes
    fields: dict[str, Any]


def _picture(image_id: int, table: dict[int, bytes], held: dict[int, str]) -> _Picture:
    columns: dict[str, Any] = {
        "identity": None if records.is_no_id(image_id) else f"visual_genome:{image_id}",
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
    }
    if image_id not in table:
        columns |= {"reason": "no_image", "detail": f"image {image_id} is not in image_data.json"}
        return _Picture(columns, b"", {})
    record: dict[str, Any] = orjson.loads(table[image_id])
    coco_id, flickr_id = (records.optional_id(record, key) for key in ("coco_id", "flickr_id"))
    url = records.text(record, "url")
    file_name = "/".join(url.split("/")[-2:])
    if _FIRST_ADDRESS.fullmatch(url):
        # That of the second archive stands first.
        columns["mirrors"] = [*reversed(url_identity.visual_genome_urls(f"visual_genome:{image_id}"))]
        file_name = f"VG_100K_2/{image_id}.jpg"
    columns |= {
        "image_url": url,
        # The COCO id comes first in every source: Localized Narratives knows no other.
        "identity": f"coco:{coco_id}"
        if coco_id is not None
        else f"flickr:{flickr_id}"
        if flickr_id is not None
        else columns["identity"],
        "also": f"flickr:{flickr_id}" if coco_id is not None and flickr_id is not None else None,
        "file_name": file_name,
        "width_px": records.pixels(record, "width"),
        "height_px": records.pixels(record, "height"),
    }
    if not url.strip():
        columns |= {"reason": "no_image", "detail": "the image record has no url"}
    elif coco_id in held:
        columns |= {"reason": "evaluation_image", "detail": f"Karpathy {held[coco_id]}"}
    fields: dict[str, Any] = {key: record[key] for key in ("coco_id", "flickr_id", "url") if key in record}
    return _Picture(columns, records.canonical(record), fields)


def _draft(region: Any, image_id: int, picture: _Picture, regions: Literal["crop", "whole"]) -> dict[str, Any]:
    record = records.mapping(region, "region")
    named = next((key for key in ("image_id", "image") if key in record), None)  # 1.2, 1.0
    if named and record[named] != image_id:
        raise records.Malformed(f"{named}: the region says {record[named]}, the image that it stands in {image_id}")
    box = [records.number(record, key) for key in ("x", "y", "width", "height")]
    draft = {
        **picture.columns,
        "source_id": str(records.integer(record, "region_id" if "region_id" in record else "id")),
        "row_digest": keys.digest(records.canonical(record), picture.canonical),
        "text": records.text(record, "phrase"),
        "meta": records.meta({**record, **picture.fields}),
    }
    if regions == "crop" and "width_px" in draft:
        draft["region"], note = boxes.fractions(box, draft["width_px"], draft["height_px"])
        if "reason" not in draft:
            draft["detail"] = note
            if draft["region"] is None:
                draft["reason"] = "bad_region"
    return draft
