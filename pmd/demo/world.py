"""The demo's world: which pictures exist, who serves them, which rows speak of them, and what must come of each row.

Every row is written together with its intended outcome, so that the expectations (`tests/demo/expected.py`) are not a second
opinion but the first. The outcomes follow the rules of profile `recommended`. `pmd.demo.rows` fills a world; the
annotation files, the archives and the web are then written from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import threading
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from pmd.demo.pictures import COLOURS, SCENES, TIMES, Format, Picture, encoded
from pmd.demo.web import Answer, Route, route_of

#: Sizes in turn; long sides of 320 to 900 px, both ways up.
_SIZES: Final = (
    (640, 480),
    (480, 640),
    (640, 426),
    (500, 375),
    (375, 500),
    (800, 450),
    (512, 512),
    (320, 240),
    (900, 600),
)
CONTENT_TYPES: Final[dict[Format, str]] = {
    "jpeg": "image/jpeg",
    "cmyk": "image/jpeg",
    "exif6": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
}


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Draws a picture, as the body of an answer, in whatever thread."""

    picture: Picture

    def __call__(self) -> bytes:
        """Return the picture's file."""
        with _one:
            return encoded(self.picture)


#: One picture is drawn at a time: they share a font, and none is drawn twice so.
_one: Final = threading.Lock()


@dataclasses.dataclass(frozen=True)
class DemoImage:
    """One distinct image, however many URLs and rows lead to it.

    Attributes:
        name: A name within the demo: "boat-1".
        status: How the ledger must settle it (`pmd.schema.statuses`).
        picture: What is seen, where it can be got at all.
        same_bytes: Images with one value here have the same bytes; None: nobody else has.
        urls: Every URL that a row gives for it, and every URL that is built from a row's ids.
        file_names: Base names under which upstream's archives have it, whether or not the demo's do.
        members: Every archive member that holds it: "data/coco/train2017.zip!/train2017/000000000009.jpg".
    """

    name: str
    status: str
    picture: Picture | None
    same_bytes: str | None
    urls: tuple[str, ...]
    file_names: tuple[str, ...]
    members: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What must come of one would-be pair.

    Attributes:
        image: The image's name; None where the row does not get as far as an image.
        reason: Why curate rejects it; None: it is kept there.
        text: The text of the kept pair, as `pairs` must have it.
        shard_reason: Why the view leaves when shards are cut, if its image gets that far.
    """

    image: str | None
    reason: str | None = None
    text: str | None = None
    shard_reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One upstream record.

    Attributes:
        source: Whose it is.
        file: Where it stands, relative to the demo's folder; RedCaps: with "!/MEMBER".
        record: What its writer needs: a dict, a tuple of columns, or the bytes of the line.
        outcomes: One a would-be pair; a record that yields none has one rejection.
    """

    source: str
    file: str
    record: Any
    outcomes: tuple[Outcome, ...]


@dataclasses.dataclass(frozen=True)
class World:
    """Everything the demo is made of.

    Attributes:
        images: Every distinct image that a kept pair leads to, by name.
        rows: Every upstream record, in the order in which the files have them.
        routes: What the web answers.
        untrusted_hosts: Hosts without a proper certificate.
        archives: Archive, relative to the demo's folder → member → content.
        coco_images: `images` of COCO's captions file.
        karpathy_images: `images` of Karpathy's file.
        vg_images: Visual Genome's image_data.
        never_requested: What a fetcher must not ask for: forbidden by robots.txt or TDMRep, or not the web's to give.
        may_repeat: What may be asked for more than once: it said so, or several redirects lead to it.
    """

    images: Mapping[str, DemoImage]
    rows: tuple[Row, ...]
    routes: Mapping[Route, Answer]
    untrusted_hosts: frozenset[str]
    archives: Mapping[str, Mapping[str, bytes]]
    coco_images: tuple[dict[str, Any], ...]
    karpathy_images: tuple[dict[str, Any], ...]
    vg_images: tuple[dict[str, Any], ...]
    never_requested: frozenset[Route]
    may_repeat: frozenset[Route]


class Builder:
    """A world in the making; `pmd.demo.rows` is its user."""

    def __init__(self) -> None:
        self.routes: dict[Route, Answer] = {}
        self.untrusted_hosts: set[str] = set()
        self.archives: dict[str, dict[str, bytes]] = {}
        self.coco_images: list[dict[str, Any]] = []
        self.karpathy_images: list[dict[str, Any]] = []
        self.vg_images: list[dict[str, Any]] = []
        self.never_requested: set[Route] = set()
        self.may_repeat: set[Route] = set()
        self._rows: list[Row] = []
        self._images: dict[str, DemoImage] = {}
        self._numbers = itertools.count()

    def picture(self, size: tuple[int, int] | None = None, form: Format = "jpeg") -> Picture:
        """Return a picture that nobody has had: the next of scenes × colours, in the next of the sizes."""
        number = next(self._numbers)
        position, lap = number % len(SCENES), number // len(SCENES)
        width_px, height_px = size or _SIZES[number % len(_SIZES)]
        return Picture(
            scene=list(SCENES)[position],
            colour=list(COLOURS)[(position + 3 * lap) % len(COLOURS)],
            time=TIMES[(position + lap) % len(TIMES)],
            width_px=width_px,
            height_px=height_px,
            form=form,
            mirrored=bool((position + lap) % 2),
        )

    def image(self, picture: Picture | None = None, status: str = "ok", same_bytes: str | None = None) -> str:
        """Note a distinct image; return its name."""
        stem = picture.scene if picture else status
        name = next(name for n in itertools.count(1) if (name := f"{stem}-{n}") not in self._images)
        self._images[name] = DemoImage(name, status, picture, same_bytes, (), (), ())
        return name

    def picture_of(self, image: str) -> Picture:
        """Return an image's picture.

        Raises:
            KeyError: It has none.
        """
        picture = self._images[image].picture
        if picture is None:
            raise KeyError(image)
        return picture

    def image_at(self, url: str) -> str:
        """Return the image that a URL was said to be of."""
        return next(image.name for image in self._images.values() if url in image.urls)

    def locate(self, image: str, url: str, answer: Answer | Picture | None = None) -> str:
        """Note that a URL is an image's, and what is served there (None: nothing, so 404). Return the URL."""
        known = self._images[image]
        if url not in known.urls:
            self._images[image] = dataclasses.replace(known, urls=(*known.urls, url))
        if answer is not None:
            self.serve(url, answer)
        return url

    def serve(self, url: str, answer: Answer | Picture) -> None:
        """Say what is answered at a URL."""
        if isinstance(answer, Picture):
            answer = Answer(Drawing(answer), content_type=CONTENT_TYPES[answer.form])
        if self.routes.setdefault(route_of(url), answer) != answer:
            raise ValueError(f"two answers for {url}")

    def name_file(self, image: str, file_name: str) -> None:
        """Note the base name of an image's file in upstream's archive."""
        known = self._images[image]
        if file_name not in known.file_names:
            self._images[image] = dataclasses.replace(known, file_names=(*known.file_names, file_name))

    def store(self, image: str, archive: str, member: str, picture: Picture) -> None:
        """Put an image into an archive."""
        self.archives.setdefault(archive, {})[member] = encoded(picture)
        self.name_file(image, member.rpartition("/")[2])
        known = self._images[image]
        self._images[image] = dataclasses.replace(known, members=(*known.members, f"{archive}!/{member}"))

    def add(self, source: str, file: str, record: Any, *outcomes: Outcome) -> None:
        """Add a row with its outcomes."""
        self._rows.append(Row(source, file, record, outcomes))

    def finish(self) -> World:
        """Return the world."""
        kept = {outcome.image for row in self._rows for outcome in row.outcomes if outcome.reason is None}
        return World(
            images={name: image for name, image in self._images.items() if name in kept},
            rows=tuple(self._rows),
            routes=self.routes,
            untrusted_hosts=frozenset(self.untrusted_hosts),
            archives=self.archives,
            coco_images=tuple(self.coco_images),
            karpathy_images=tuple(self.karpathy_images),
            vg_images=tuple(self.vg_images),
            never_requested=frozenset(self.never_requested),
            may_repeat=frozenset(self.may_repeat),
        )


def kept(image: str, text: str, *, shard_reason: str | None = None) -> Outcome:
    """Return the outcome "kept", with the text in its normal form: NFC, white space collapsed and stripped."""
    return Outcome(image, None, " ".join(unicodedata.normalize("NFC", text).split()), shard_reason)


def rejected(reason: str) -> Outcome:
    """Return the outcome "rejected by curate"."""
    return Outcome(None, reason)


def token(seed: str, length: int = 10) -> str:
    """Return hex digits that look like upstream's secrets and ids, from a seed alone."""
    return hashlib.sha256(seed.encode()).hexdigest()[:length]
