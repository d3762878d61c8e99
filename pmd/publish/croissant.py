"""Published lists as Croissant 1.1 with the RAI vocabulary 1.0: what machines read of a data set before they load it.

Each file is a FileObject with its digest, each source a FileSet and a RecordSet whose fields are the columns. Addresses are
relative: records load from the folder itself, without a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from pmd.config.options import CardOptions, DedupeOptions, FetchOptions
from pmd.publish import card
from pmd.publish.census import Listed, Part
from pmd.publish.columns import COLUMNS
from pmd.publish.rules import PUBLISHED
from pmd.terminal import bar

_PARQUET: Final = "application/x-parquet"

#: The standard context of Croissant 1.1.
CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe(
    options: CardOptions, fetch: FetchOptions, dedupe: DedupeOptions, listed: Sequence[Listed], measured: Sequence[str]
) -> dict[str, Any]:
    """Return croissant.json; arguments as those of the card, and what was asked of hosts and of equal images."""
    there = [item for item in listed if item.rows]
    pairs = bar.amount(sum(item.rows for item in there), "image-text pairs")
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": options.title,
        "description": f"{pairs} as URLs, captions, checksums and stated licences.",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "version": options.version,
        "license": card.LICENCE_FILE,
        "citeAs": card.FLAVA,
        "keywords": ["image-text pairs", "vision-language pre-training", "URL list"],
        "isLiveDataset": False,
        **_responsibly(options, fetch, dedupe, listed, measured),
        "distribution": [entry for item in there for entry in (*(_file(part) for part in item.parts), _file_set(item))],
        "recordSet": [_records(item) for item in there],
    }
    if options.released:
        described["datePublished"] = options.released
    if options.url:
        described["url"] = options.url
    if options.authors:
        described["creator"] = [{"@type": "sc:Person", "name": name} for name in options.authors]
    return described


def _responsibly(
    options: CardOptions, fetch: FetchOptions, dedupe: DedupeOptions, listed: Sequence[Listed], measured: Sequence[str]
) -> dict[str, Any]:
    contact = f" Write to {options.contact}." if options.contact else ""
    return {
        "rai:dataCollection": "Image-text pairs were read from the annotation files that its sources publish, and their images "
        f"fetched once each, {_allowed(fetch)}",
        "rai:dataCollectionType": ["Web Scraping", "Secondary Data Analysis"],
        "rai:dataCollectionRawData": "The sources' own annotation files; build.json has their digests.",
        "rai:dataPreprocessingProtocol": [
            "Texts are brought to NFC, white space is collapsed, and each source's own filter is applied.",
            f"Images that are gone, that do not decode or are known placeholders leave. {_equal(dedupe)}",
            "Evaluation images are left out where the configuration says so. Each pair that left is counted with its reason.",
        ],
        "rai:dataBiases": [*measured] or ["Not measured."],
        "rai:dataLimitations": card.limits(listed),
        "rai:personalSensitiveInformation": "No field names a person but the text, as its author wrote it, and the URL, in "
        "which hosts may "
        "put a user's name or id. Images show people. No field on people was added.",
        "rai:dataUseCases": "Research on models of images and language, and on such data sets themselves.",
        "rai:dataSocialImpact": "Such pairs repeat what is said and shown on the "
        f"{'English-speaking ' if card.written_in(listed) == ('en',) else ''}web; models learn it.",
        "rai:dataReleaseMaintenancePlan": "What is taken down, or gone, is left out of the next release." + contact,
    }


def _allowed(fetch: FetchOptions) -> str:
    """Return by whose leave images were fetched: headers are always heeded, the others unless they are switched off."""
    asked = {"robots.txt": fetch.robots, "TDMRep": fetch.tdmrep, "answers' headers": True}
    heeded, others = ([name for name, is_asked in asked.items() if is_asked is wanted] for wanted in (True, False))
    *first, last = heeded
    said = f"as {', '.join(first)} and {last} allow." if first else f"as {last} allow."
    return f"{said} Not heeded: {' and '.join(others)}." if others else said


def _equal(dedupe: DedupeOptions) -> str:
    """Return what became of images that are alike."""
    merged = [name for name, asked in (("equal", dedupe.same_bytes), ("nearly equal", dedupe.near)) if asked == "merge"]
    said = (
        [f"{' and '.join(merged).capitalize()} ones are one."] if merged else ["Equal ones are kept, each by itself."]
    )
    if dedupe.repeated_bytes:
        said.append(f"What {dedupe.repeated_bytes} images or more have the bytes of leaves as a placeholder.")
    return " ".join(said)


def _file(part: Part) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": part.path,
        "name": part.path.rpartition("/")[2],
        "contentUrl": part.path,
        "contentSize": f"{part.bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": part.sha256,
    }


def _file_set(item: Listed) -> dict[str, Any]:
    folder = item.parts[0].path.rpartition("/")[0]
    return {
        "@type": "cr:FileSet",
        "@id": f"{item.name}-files",
        "name": f"{item.name}-files",
        "description": f"The list of {item.title}.",
        "encodingFormat": _PARQUET,
        "includes": f"{folder}/*.parquet",
    }


def _records(item: Listed) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": item.name,
        "name": item.name,
        "description": f"{item.title}: {bar.amount(item.rows, 'pairs')}.",
        "key": {"@id": f"{item.name}/pair_id"},
        "field": [_field(item, column) for column in PUBLISHED],
    }


def _field(item: Listed, column: pa.Field) -> dict[str, Any]:
    is_list = pa.types.is_list(column.type)
    kind = column.type.value_type if is_list else column.type
    field = {
        "@type": "cr:Field",
        "@id": f"{item.name}/{column.name}",
        "name": column.name,
        "description": COLUMNS[column.name],
        "dataType": "sc:Float"
        if pa.types.is_floating(kind)
        else "sc:Integer"
        if pa.types.is_integer(kind)
        else "sc:Text",
        "source": {"fileSet": {"@id": f"{item.name}-files"}, "extract": {"column": column.name}},
    }
    return field | ({"isArray": True, "arrayShape": "4"} if is_list else {})
