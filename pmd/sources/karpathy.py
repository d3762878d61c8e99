"""Karpathy's split of COCO: which images every evaluation on COCO holds out, and their captions a second time.

`dataset_coco.json`, plain or inside `caption_datasets.zip`, is read here for all who need it: COCO, Localized
Narratives on COCO and Visual Genome leave out its validation and test images (`held_out`), and COCO may read its
captions instead of the annotation files' (`images`). No source itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final, Literal

from pmd.errors import InputError
from pmd.formats import archives, json_stream
from pmd.sources import records
from pmd.sources.contract import InputFile, NamesFiles, Rule
from pmd.store import storage

#: Value of the option `karpathy` when no file was given.
NONE: Final = "none"

MEMBER: Final = r"dataset_coco\.json"

EXPECTED: Final = 'Karpathy\'s dataset_coco.json: {"images": [{"cocoid": …, "split": …, "sentences": […]}, …]}'

_NOT_HIS: Final = "not Karpathy's split of COCO"

#: Karpathy's split → the split that a pair is in; `restval` is what its users add to training.
SPLITS: Final[dict[str, str]] = {"train": "train", "restval": "train", "val": "validation", "test": "test"}

#: What `exclude_karpathy` may say, and the splits that it leaves out.
Exclude = Literal["none", "test", "val_and_test"]
HELD_OUT: Final[dict[str, frozenset[str]]] = {
    "none": frozenset(),
    "test": frozenset({"test"}),
    "val_and_test": frozenset({"val", "test"}),
}

#: The two options that COCO, Localized Narratives on COCO and Visual Genome share.
FILE_RULE: Final = Rule(
    says='Path of dataset_coco.json, plain or inside caption_datasets.zip; "none" where there is none.',
    origin="Karpathy and Fei-Fei (2015), deepimagesent",
    paper=NONE,
    hub=NONE,
    recommended=NONE,
)
#: It is a path.
FILE: Final = NamesFiles(besides=(NONE,))
EXCLUDE_RULE: Final = Rule(
    says="Leave out images of Karpathy's test split, or of validation and test (needs `karpathy`; without it none is).",
    origin="facebook/pmd's loader; FLAVA (2112.04482) names no split and no decontamination",
    paper="none",
    hub="val_and_test",
    recommended="val_and_test",
    table2="COCO, Visual Genome and Localized Narratives lose the pairs of up to 10,000 images when it is on",
)


def companions(karpathy: str, exclude: str) -> tuple[str, ...]:
    """Return the file that a chunk needs besides its own: Karpathy's where its images are left out, else none.

    Args:
        karpathy: Value of the option; "none" leaves every image in, whatever `exclude` says (a build tells so).
        exclude: Value of `exclude_karpathy`.

    Raises:
        InputError: The file is not there.
    """
    if not HELD_OUT[exclude] or karpathy == NONE:
        return ()
    locate(karpathy)
    return (karpathy,)


def left_out(karpathy: str, exclude: str) -> dict[int, str]:
    """Return the COCO ids of the images to be left out, each with its split.

    Raises:
        InputError: The file is truncated or foreign.
    """
    if not companions(karpathy, exclude):
        return {}
    return {coco_id: split for coco_id, split in held_out(karpathy).items() if split in HELD_OUT[exclude]}


def locate(path: str) -> tuple[str, str | None]:
    """Return the file and the member that hold dataset_coco.json.

    Raises:
        InputError: There is no such file, or it is an archive without dataset_coco.json, or something else from its start.
    """
    file, member = records.documents([InputFile(path, 0)], MEMBER, expected="dataset_coco.json")[0]
    start = records.head(file, member)
    if not start.lstrip(records.BLANK).startswith(b"{"):
        raise records.foreign(
            file,
            member,
            expected=EXPECTED,
            start=start,
            problem=_NOT_HIS,
            remedy="download it anew: pmd manifests fetch coco",
        )
    return file, member


def images(path: str, member: str | None = None) -> Iterator[tuple[int, Any]]:
    """Yield (index, image) for each element of `images`, unchecked.

    Raises:
        InputError: The file is truncated or foreign.
    """
    return json_stream.objects(path, "images", member=member, expected=EXPECTED)


def refuse_others(path: str, member: str | None) -> None:
    """Refuse a document of this form that is about other images: Karpathy split Flickr8k and Flickr30k too.

    Raises:
        InputError: None of its first images has a COCO id.
    """
    first = records.first(images(path, member))
    if first and not any("cocoid" in record for record in first):
        raise InputError(
            "Karpathy's split of another data set",
            where=archives.location(path, member),
            expected=EXPECTED,
            found=f"images[0] with {records.keys_of(first[0])}",
            remedy="name dataset_coco.json; dataset_flickr8k.json and dataset_flickr30k.json are no captions of COCO",
        )


def coco_id_of(record: dict[str, Any]) -> int:
    """Return an image's COCO id."""
    coco_id = records.integer(record, "cocoid")
    if records.is_no_id(coco_id):
        raise records.Malformed(f"cocoid: expected a COCO id, found {coco_id}")
    return coco_id


def split_of(record: dict[str, Any]) -> str:
    """Return Karpathy's split of an image: train, restval, val or test."""
    split = records.text(record, "split")
    if split not in SPLITS:
        raise records.Malformed(f"split: expected one of {', '.join(SPLITS)}, found {split}")
    return split


def held_out(path: str) -> dict[int, str]:
    """Return the COCO ids of the validation and test images, each with its split ("val" or "test").

    Raises:
        InputError: The file is truncated or foreign, or an image of it has no id or no known split: a hole in a list of
            evaluation images must not go unseen.
    """
    return _held_out(path, storage.fingerprint(archives.split_member(path)[0]))


@functools.lru_cache(maxsize=2)
def _held_out(path: str, fingerprint: str) -> dict[int, str]:
    file, member = locate(path)
    held: dict[int, str] = {}
    index = -1
    for index, image in images(file, member):
        try:
            record = records.mapping(image, "image")
            coco_id, split = coco_id_of(record), split_of(record)
        except records.Malformed as error:
            raise InputError(
                _NOT_HIS,
                where=f"{archives.location(file, member)}:images[{index}]",
                expected=EXPECTED,
                found=str(error),
                remedy="download it anew: pmd manifests fetch coco",
            ) from None
        if split in HELD_OUT["val_and_test"]:
            held[coco_id] = split
    if index < 0:
        raise InputError("no images in it", where=archives.location(file, member), expected=EXPECTED)
    return held
