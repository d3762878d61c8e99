"""COCO captions: `captions_{train,val}20{14,17}.json`, or the same captions as Karpathy's `dataset_coco.json` has them.

Two passes over an annotation file: its keys may come in any order and its annotations are in no order of images, so the
image records (118,287 in the largest file) are kept as JSON, some 50 MB, and the captions are joined to them.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import orjson
import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, json_stream
from pmd.schema.licences import NOASSERTION, or_none
from pmd.sources import karpathy, records
from pmd.sources.contract import Chunk, InputFile, SourceOptions
from pmd.sources.karpathy import Exclude
from pmd.text import url_identity

NAME: Final = "coco"

_MEMBERS: Final = r"captions_.*\.json|" + karpathy.MEMBER
_EXPECTED: Final = (
    'COCO captions: {"images": [{"id": …, "file_name": …}, …], '
    '"annotations": [{"id": …, "image_id": …, "caption": …}, …]}'
)
#: The folder of an image, in upstream's archives and URLs, and what it says of the split.
_FOLDERS: Final = {"train": "train", "val": "validation", "test": "test"}
#: Where the pictures are, in the folders of upstream's archives.
_PICTURES: Final = "http://images.cocodataset.org"
_FIRST_RELEASE: Final = re.compile(r"https?://(?:www\.)?mscoco\.org/images/[0-9]+")
_CREATIVE_COMMONS: Final = re.compile(
    r"https?://creativecommons\.org/licenses/(by|by-sa|by-nd|by-nc|by-nc-sa|by-nc-nd)/([0-9]\.[0-9])/?"
)


class Options(SourceOptions):
    """Options of `coco`."""

    karpathy: Annotated[str, karpathy.FILE_RULE, karpathy.FILE]
    exclude_karpathy: Annotated[
        Exclude,
        dataclasses.replace(
            karpathy.EXCLUDE_RULE,
            hub="test",
            origin="facebook/pmd keeps COCO's validation rows, as its validation split",
        ),
    ]


class Coco:
    """COCO captions; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """One chunk a document; its form is told by its first bytes."""
        chunks = []
        for path, member in records.documents(files, _MEMBERS, expected="captions_*.json, or dataset_coco.json"):
            form = _form(path, member)
            needed = karpathy.companions(options.karpathy, options.exclude_karpathy) if form == "captions" else ()
            chunks.append(Chunk(path=path, form=form, member=member, companions=needed))
        return chunks

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield one draft a caption."""
        drafts = _karpathy_drafts if chunk.form == "karpathy" else _caption_drafts
        yield from records.batches(drafts(chunk, options))


SOURCE = Coco()


def licence_of(url: str | None) -> str:
    """Return the SPDX identifier of a licence's URL: that of one of Creative Commons', else NOASSERTION.

    "No known copyright restrictions" (Flickr Commons) and US Government works have none.
    """
    match = _CREATIVE_COMMONS.fullmatch(url or "")
    return or_none(f"CC-{match[1].upper()}-{match[2]}") if match else NOASSERTION


def folder_of(url: str | None, file_name: str, document: str) -> str | None:
    """Return the folder of an image in upstream's archives ("train2017").

    It is read from the image's URL, else from a file name of 2014 ("COCO_train2014_…"), else from the folder before it,
    else from the name of the annotation file ("captions_train2017.json"); None where none of them has it.
    """
    if url and url.endswith("/" + file_name):
        return posixpath.basename(posixpath.dirname(url))
    for name in (posixpath.basename(file_name), posixpath.dirname(file_name), posixpath.basename(document)):
        if match := re.search(r"(?:^|[_/])((?:train|val|test)20\d\d)(?:[_./]|$)", name):
            return match[1]
    return None


def split_of(folder: str | None) -> str | None:
    """Return the split that a folder's name tells: train2017 → train, val2014 → validation."""
    match = re.match(r"train|val|test", folder or "")
    return _FOLDERS[match[0]] if match else None


#: What a record of COCO's other annotation files has, and the files; the first that fits is told.
_OTHER_FILES: Final = (
    ({"segments_info"}, "panoptic"),
    ({"keypoints"}, "person_keypoints"),
    ({"question"}, "questions"),
    ({"category_id"}, "instances or stuff: things with boxes and masks"),
    ({"bbox"}, "instances or stuff: things with boxes and masks"),
)


def _form(path: str, member: str | None) -> str:
    """Return "karpathy" or "captions".

    Raises:
        InputError: It is neither. COCO's other annotation files are told by name: a glob easily finds them too.
    """
    start = records.head(path, member)
    if not start.lstrip(records.BLANK).startswith(b"{"):
        raise records.foreign(path, member, expected=_EXPECTED, start=start)
    if b'"sentids"' in start or b'"sentences"' in start:
        karpathy.refuse_others(path, member)
        return "karpathy"
    try:
        first = records.first(json_stream.objects(path, "annotations", member=member, expected=_EXPECTED))
    except json_stream.NoListError as error:
        if {"'images'", "'info'"} <= set(re.findall("'[^']*'", error.found or "")):
            raise _other(path, member, "image_info (images without annotations)") from None
        raise
    if not any("caption" in record for record in first):
        for record in first:
            for names, what in _OTHER_FILES:
                if names <= record.keys():
                    raise _other(path, member, what)
        if len(first) > 1:  # one alone may be a bad row
            found = f"annotations[0] with {records.keys_of(first[0])}"
            raise records.foreign(path, member, expected=_EXPECTED, found=found)
    first = records.first(json_stream.objects(path, "images", member=member, expected=_EXPECTED))
    _refuse_other_pictures(first, path, member)
    _refuse_other_ids(first, path, member)
    return "captions"


def _refuse_other_pictures(first: list[dict[str, Any]], path: str, member: str | None) -> None:
    """Refuse a document of this form whose pictures are not COCO's: its ids would stand for photographs of COCO.

    Raises:
        InputError: Of the first images that have a name or a URL, none has one as COCO's have.
    """
    named = [names for record in first if (names := [str(record[key]) for key in _NAMING if record.get(key)])]
    # One alone may be a bad record.
    if len(named) > 1 and not any(_COCO_PICTURE.search(name) for names in named for name in names):
        raise InputError(
            "captions in COCO's form, of pictures that are not COCO's",
            where=archives.location(path, member),
            expected="images called 000000000009.jpg or COCO_train2014_000000000009.jpg, or with URLs of cocodataset.org",
            found=" and ".join(named[0]),
            remedy="take the file out of `annotations`: write it as a table of URLs and captions, and name that under a "
            'source of its own, reader = "url_text"',
        )


def _refuse_other_ids(first: list[dict[str, Any]], path: str, member: str | None) -> None:
    """Refuse COCO's pictures under ids that are not COCO's, as programs have that number anew what they export.

    Raises:
        InputError: Of the first images whose name tells their id, none has it.
    """
    told = [(record.get("id"), number) for record in first if (number := _id_in_name(record)) is not None]
    # One alone may be a bad record.
    if len(told) > 1 and not any(image_id == number for image_id, number in told):
        raise InputError(
            "COCO's pictures under ids that are not COCO's, which would stand for other photographs",
            where=archives.location(path, member),
            expected="images with the ids that their file names tell: 9 of 000000000009.jpg",
            found=f"the id {told[0][0]} of the file of image {told[0][1]}",
            remedy="give upstream's captions_*.json: some programs number images and captions anew when they export",
        )


def _id_in_name(picture: dict[str, Any]) -> int | None:
    """Return the id that the name of a picture's file tells, or None."""
    match = _NUMBERED.search(str(picture.get("file_name")))
    return int(match[1]) if match else None


#: COCO's names of files.
_COCO_FILE: Final = re.compile(r"(?:^|/)(?:COCO_(?:train|val|test)20[0-9]{2}_)?([0-9]{12})\.jpg$")
#: The id in the names of COCO's files.
_NUMBERED: Final = re.compile(r"(?:^|[/_])([0-9]{12})\.jpg$")
#: What names an image record's picture, and what COCO's names have in them.
_NAMING: Final = ("file_name", "coco_url")
_COCO_PICTURE: Final = re.compile(
    rf"{_COCO_FILE.pattern}|^https?://(?:www\.|images\.)?(?:mscoco|cocodataset)\.org/"
    r"|(?:^|/)[0-9]{1,6}\.[a-z]+$"  # no id of COCO's has more than six digits
)


def _other(path: str, member: str | None, what: str) -> InputError:
    return InputError(
        "one of COCO's other annotation files, which has no captions",
        where=archives.location(path, member),
        expected="captions_*.json, or dataset_coco.json",
        found=what,
        remedy="take it out of `annotations`, or name the files of captions alone: captions_*.json",
    )


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """What an annotation file says of its images: id → record as JSON; licence id → URL."""

    images: dict[int, bytes]
    licences: dict[int, str]


def _pictures(chunk: Chunk) -> _Pictures:
    images: dict[int, bytes] = {}
    licences: dict[int, str] = {}
    for name, _, value in json_stream.objects_of(
        chunk.path, ["licenses", "images"], member=chunk.member, expected=_EXPECTED, optional=["licenses"]
    ):
        # A record without a whole number for an id can be nobody's image; its captions, if any, are `no_image`.
        if isinstance(value, dict) and (number := records.whole(value.get("id"))) is not None:
            if name == "images":
                if records.is_no_id(number):
                    continue
                images.setdefault(number, records.meta(value).encode())
            elif isinstance(value.get("url"), str):
                licences.setdefault(number, value["url"])
    return _Pictures(images, licences)


def _caption_drafts(chunk: Chunk, options: Options) -> Iterator[dict[str, Any]]:
    held = karpathy.left_out(options.karpathy, options.exclude_karpathy)
    pictures = _pictures(chunk)
    document = archives.location(chunk.path, chunk.member)
    for index, annotation in json_stream.objects(chunk.path, "annotations", member=chunk.member, expected=_EXPECTED):
        where = f"{document}:annotations[{index}]"
        try:
            yield {**_caption_draft(annotation, pictures, held, document), "where": where}
        except records.Malformed as error:
            yield records.lost(annotation, "malformed_row", str(error), where)


def _caption_draft(annotation: Any, pictures: _Pictures, held: dict[int, str], document: str) -> dict[str, Any]:
    record = records.mapping(annotation, "annotation")
    image_id = records.integer(record, "image_id")
    draft: dict[str, Any] = {
        "source_id": str(records.integer(record, "id")),
        "text": records.text(record, "caption"),
        "identity": None if records.is_no_id(image_id) else f"coco:{image_id}",
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
    }
    image = pictures.images.get(image_id)
    if image is None:
        return draft | {
            "row_digest": records.row_digest(record),
            "meta": records.meta(record),
            "reason": "no_image",
            "detail": f"image_id {image_id} is not in `images`",
        }
    picture: dict[str, Any] = orjson.loads(image)
    if (number := _id_in_name(picture)) not in (None, image_id):
        raise records.Malformed(f"image_id {image_id}: its file_name is that of image {number}")
    draft |= {
        "row_digest": records.row_digest(record, picture),
        "meta": records.meta({**record, "image": picture}),
        **_picture_columns(picture, pictures.licences, document),
    }
    if image_id in held:
        draft |= {"reason": "evaluation_image", "detail": f"Karpathy {held[image_id]}"}
    elif not draft["image_url"] and not draft["file_name"]:
        draft |= {"reason": "no_image", "detail": "the image has neither coco_url nor file_name"}
    return draft


def _picture_columns(picture: dict[str, Any], licences: dict[int, str], document: str) -> dict[str, Any]:
    """Return the columns that an image record fills."""
    url = records.optional_text(picture, "coco_url")
    file_name = records.optional_text(picture, "file_name")
    licence = licences.get(records.optional_integer(picture, "license") or 0)
    folder = folder_of(url, file_name, document) if file_name else None
    if folder and file_name:
        file_name = posixpath.basename(file_name)  # some programs write the folder before it
    today = _today(picture, folder)
    return {
        "image_url": url if url and url.strip() else today,
        "mirrors": [today] if today and _FIRST_RELEASE.fullmatch(url or "") else None,
        "also": _flickr_photo(picture),
        "file_name": f"{folder}/{file_name}" if folder else file_name,
        "width_px": records.optional_pixels(picture, "width"),
        "height_px": records.optional_pixels(picture, "height"),
        "image_licence": licence_of(licence),
        "licence_evidence": licence,
        "split": split_of(folder),
    }


def _today(picture: dict[str, Any], folder: str | None) -> str | None:
    """Return the address of a picture whose file has COCO's name, in a folder of upstream's.

    The first release gave a page for it, `http://mscoco.org/images/9`, and the files before that nothing.
    """
    match = _COCO_FILE.search(str(picture.get("file_name")))
    if match is None or folder is None:
        return None
    name = f"{match[1]}.jpg" if folder.endswith("2017") else f"COCO_{folder}_{match[1]}.jpg"
    return f"{_PICTURES}/{folder}/{name}"


def _flickr_photo(picture: dict[str, Any]) -> str | None:
    """Return the identity of the Flickr photo that a COCO image was made of, if its URL tells.

    The earliest files call that URL `url`.
    """
    url = records.optional_text(picture, "flickr_url") or picture.get("url")
    identity = url_identity.of_one(url) if isinstance(url, str) else None
    return identity if identity and identity.startswith("flickr:") else None


def _karpathy_drafts(chunk: Chunk, options: Options) -> Iterator[dict[str, Any]]:
    document = archives.location(chunk.path, chunk.member)
    for index, image in karpathy.images(chunk.path, chunk.member):
        where = f"{document}:images[{index}]"
        try:
            shared, picture, sentences = _karpathy_image(image)
        except records.Malformed as error:
            yield records.lost(image, "malformed_row", str(error), where)
            continue
        if not sentences:
            yield shared | records.lost(image, "no_caption", "the image has no sentences", where)
        held = picture["split"] in karpathy.HELD_OUT[options.exclude_karpathy]
        for number, sentence in enumerate(sentences):
            place = f"{where}.sentences[{number}]"
            try:
                draft = shared | _sentence_columns(sentence, picture) | {"where": place}
            except records.Malformed as error:
                yield records.lost(sentence, "malformed_row", str(error), place)
                continue
            if held:
                draft |= {"reason": "evaluation_image", "detail": f"Karpathy {picture['split']}"}
            yield draft


def _karpathy_image(image: Any) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Return the columns that an image's captions share, its record without `sentences`, and the sentences."""
    record = records.mapping(image, "image")
    coco_id = karpathy.coco_id_of(record)
    folder, file_name = records.text(record, "filepath"), records.text(record, "filename")
    if (number := _id_in_name({"file_name": file_name})) not in (None, coco_id):
        raise records.Malformed(f"cocoid {coco_id}: its filename is that of image {number}")
    split = karpathy.SPLITS[karpathy.split_of(record)]
    sentences = records.items(record, "sentences")
    shared = {
        "image_url": f"{_PICTURES}/{folder}/{file_name}",
        "identity": f"coco:{coco_id}",
        "file_name": f"{folder}/{file_name}",
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
        "split": split,
    }
    return shared, {key: value for key, value in record.items() if key != "sentences"}, sentences


def _sentence_columns(sentence: Any, picture: dict[str, Any]) -> dict[str, Any]:
    record = records.mapping(sentence, "sentence")
    return {
        "source_id": str(records.integer(record, "sentid")),
        "text": records.text(record, "raw"),
        "row_digest": records.row_digest(record, picture),
        "meta": records.meta({**record, "image": picture}),
    }
