"""What a manifest says: frozen, strictly checked models, one field a key of the TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pmd.schema import licences

Kind = Literal["annotations", "images"]
#: What published lists may carry: URLs and texts, URLs, or ids and digests alone.
Redistribute = Literal["text", "urls", "ids"]

#: The rows of FLAVA's Table 2 (arXiv 2112.04482), as the paper spells them; the four Localized Narratives share one.
Table2Row = Literal[
    "COCO",
    "SBU Captions",
    "Localized Narratives",
    "Conceptual Captions (CC3M)",
    "Visual Genome",
    "Wikipedia Image Text",
    "Conceptual Captions 12M",
    "RedCaps",
    "YFCC100M, filtered",
]

#: What a manifest may say that it does not know (`unknown`); anything else must be given.
Unknown = Literal["homepage", "citation", "published", "files"]

#: What pairs come in, as the audit counts them.
Cluster = Literal["image", "user", "subreddit", "page", "host"]

#: What a build cannot do without; archives of images are large, and most images have URLs of their own.
ANNOTATIONS: Final[tuple[Kind, ...]] = ("annotations",)

_Text = Annotated[str, Field(min_length=1)]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
#: An SPDX expression as SPDX spells it, or NOASSERTION.
Licence = Annotated[str, AfterValidator(licences.canonical)]
_Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+/\S*$")]
_Host = Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
_Count = Annotated[int, Field(gt=0)]
_Field = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]


#: What a form of values must not let through.
_NAMES: Final = ("Ada", "Ada Lovelace", "ada@example.org", "https://example.org/ada")


def _form(pattern: str) -> str:
    try:
        form = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    named = [name for name in _NAMES if form.fullmatch(name)]
    if named:
        raise ValueError(f"expected a form that no name has, but {named[0]} has it")
    return pattern


_Form = Annotated[str, Field(min_length=1), AfterValidator(_form)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Table2(_Strict):
    """A row of FLAVA's Table 2.

    Attributes:
        row: The row's name; sources that share it share its pairs.
        pairs_millions: Image-text pairs, in millions, rounded as the paper does.
        mean_words: Average text length in words.
        note: How the figure relates to upstream's, as far as is known.
    """

    row: Table2Row
    pairs_millions: Annotated[float, Field(gt=0)]
    mean_words: Annotated[float, Field(gt=0)]
    note: _Text


class Hosting(_Strict):
    """Where the images are: what `pmd plan` goes by while the annotation files are not there.

    Attributes:
        hosts: The hosts of the images. Where there are several, each is taken to have as many.
        pairs: Pairs of these images; with `images` it says how many pairs share one. Neither: one each.
        images: Distinct images.
        kept: Whether the hosts are upstream's own stores, which keep nearly all.
    """

    hosts: Annotated[tuple[_Host, ...], Field(min_length=1)]
    pairs: _Count | None = None
    images: _Count | None = None
    kept: bool = False

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.pairs is None) != (self.images is None):
            raise ValueError("expected both pairs and images, or neither")
        return self

    @property
    def pairs_per_image(self) -> float:
        """How many pairs share an image."""
        return 1.0 if self.pairs is None or self.images is None else self.pairs / self.images


class Recorded(_Strict):
    """Which of upstream's fields in `meta` say who made a picture, where and when: what the audit counts and takedowns look for.

    Attributes:
        user: Who made or posted it: an account.
        site: Where that is an account; None: on no site that another source names. One account on a site is one person.
        names: Other fields that name the same person, as others see him.
        subreddit: The forum that it was posted to.
        page: The page that it is on.
        longitude: Where it was taken, in degrees; with `latitude`.
        latitude: Likewise.
        date: When, as "2011-05-03…" or in seconds since 1970; with `dated` and `last_year`.
        dated: Whether that is when it was taken, or when it was posted.
        last_year: The year in which the source was gathered: no date is younger.
    """

    user: _Field | None = None
    site: _Word | None = None
    names: tuple[_Field, ...] = ()
    subreddit: _Field | None = None
    page: _Field | None = None
    longitude: _Field | None = None
    latitude: _Field | None = None
    date: _Field | None = None
    dated: Literal["taken", "posted"] | None = None
    last_year: Annotated[int, Field(ge=1990, le=2100)] | None = None

    @model_validator(mode="after")
    def _with_what_they_need(self) -> Self:
        for names in (("longitude", "latitude"), ("date", "dated", "last_year")):
            if len({getattr(self, name) is None for name in names}) > 1:
                raise ValueError(f"expected all of {', '.join(names)}, or none")
        if self.user is None and (self.site is not None or self.names):
            raise ValueError("expected `user` with site and names")
        return self

    @property
    def geotag(self) -> tuple[str, str] | None:
        """Fields of longitude and latitude."""
        return None if self.longitude is None or self.latitude is None else (self.longitude, self.latitude)

    @property
    def units(self) -> dict[str, str]:
        """What pairs come in by a field of upstream's ("user", "subreddit", "page") → the field."""
        given = {"user": self.user, "subreddit": self.subreddit, "page": self.page}
        return {kind: field for kind, field in given.items() if field is not None}

    @property
    def people(self) -> tuple[str, ...]:
        """All fields that name a person."""
        return () if self.user is None else (self.user, *self.names)


class Published(_Strict):
    """A count that somebody published.

    Attributes:
        what: What was counted.
        rows: How many.
        origin: The file or publication that says so.
    """

    what: _Text
    rows: _Count
    origin: _Text


class Gated(_Strict):
    """What a person must do for a file that is not simply downloaded.

    Attributes:
        how: What to do.
        where_to_ask: The page or form.
    """

    how: _Text
    where_to_ask: _Url


class ManifestFile(_Strict):
    """One file that upstream publishes.

    Attributes:
        source: The source in whose folder it is kept. Another source that uses it too names this one (`same_as`).
        name: Its name there.
        kind: `annotations` or `images` (an archive of them).
        urls: Where it is, best first; empty where it is gated.
        bytes: Its size, where published.
        bytes_about: Its approximate size, where only that is known; never checked.
        sha256: Digest, hex, where published.
        md5: Digest, hex, where only that was published.
        rows: Records in it, where published.
        optional: Whether a build does without: variants of other files, splits that PMD leaves out.
        option: The source's option that names this file in the configuration; None: its `annotations` or `images` do.
        note: What else there is to know.
        gated: What to do for it, where it cannot simply be downloaded.
    """

    source: _Word
    name: _FileName
    kind: Kind
    urls: tuple[_Url, ...] = ()
    bytes: _Count | None = None
    bytes_about: _Count | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    rows: _Count | None = None
    optional: bool = False
    option: _Word | None = None
    note: str = ""
    gated: Gated | None = None

    @model_validator(mode="after")
    def _one_way_to_get_it(self) -> Self:
        if bool(self.urls) == (self.gated is not None):
            raise ValueError("expected either urls or gated")
        if self.bytes is not None and self.bytes_about is not None:
            raise ValueError("expected bytes or bytes_about, not both")
        return self

    @property
    def target(self) -> str:
        """Its place under the data folder."""
        return f"{self.source}/{self.name}"

    @property
    def digest(self) -> tuple[Literal["sha256", "md5"], str] | None:
        """The published checksum: its algorithm and hex digest."""
        if self.sha256 is not None:
            return "sha256", self.sha256
        return ("md5", self.md5) if self.md5 is not None else None


class Terms(_Strict):
    """What the stages must know of a source: what of it may be handed on. Of people's own pairs the configuration says it.

    Attributes:
        name: The source's word in this project.
        hub_name: What facebook/pmd writes in its column `source`.
        images_by_url: Whether each image has a URL of its own; without, the archive of `images` is needed.
        redistribute: What published lists may carry: the `text` and the URL, `urls` without texts, or `ids` and digests alone.
        meta: Upstream's fields that a published row's `meta` carries (`a.b`: field b of the object a), each with the regular
            expression that its whole value must match. No other field leaves, no other value, no list and no object.
        licence_evidence: The regular expression that a published row's `licence_evidence` must match; None: none leaves.
        file_name: The same of `file_name`, which a row without a URL has with its identity.
    """

    name: _Word
    hub_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/]+$")]
    images_by_url: bool
    redistribute: Redistribute
    meta: Mapping[_Field, _Form]
    licence_evidence: _Form | None = None
    file_name: _Form | None = None


class Manifest(Terms):
    """One source, as upstream publishes it. Its name is also the file's.

    Attributes:
        title: Its name among people.
        unknown: Which of homepage, citation, published and files are not known. Each is given or named here: what is left out
            by mistake is told.
        homepage: Upstream's page; None: not known.
        description: One sentence.
        text_licence: The text's licence, an SPDX expression or NOASSERTION.
        text_licence_note: Its terms in words.
        image_licence: The images' licence, where all have the same; else NOASSERTION.
        image_licence_note: Where an image's licence is found.
        redistribute_reason: Why so much may be published, and no more.
        meta_reason: Why these fields are in `meta`, and which people's names the others hold.
        citation: BibTeX; None: not known.
        table2: The row of FLAVA's Table 2; None: the paper does not have this source.
        clusters: What another draw of pairs would draw, by which the audit takes its intervals: who made them, else what they
            show, else where they lie. Two cross. By image where a manifest says nothing. A user, a subreddit and a page need
            their field in `recorded`.
        recorded: Which of upstream's fields say who made a picture, where and when.
        hosting: Where the images are; None: on more hosts than can be named, or not known.
        published: Published counts; the first is that of upstream's records. Empty: not known.
        files: What upstream publishes, files of other sources that this one uses too among them. Empty: not known.
    """

    title: _Text
    unknown: tuple[Unknown, ...] = ()
    homepage: _Url | None = None
    description: _Text
    text_licence: Licence
    text_licence_note: _Text
    image_licence: Licence
    image_licence_note: _Text
    redistribute_reason: _Text
    meta_reason: _Text
    citation: Annotated[str, Field(pattern=r"^@\w+\{")] | None = None
    table2: Table2 | None = None
    clusters: Annotated[tuple[Cluster, ...], Field(min_length=1, max_length=2)] = ("image",)
    recorded: Recorded = Recorded()
    hosting: Hosting | None = None
    published: tuple[Published, ...] = ()
    files: tuple[ManifestFile, ...] = ()

    @model_validator(mode="after")
    def _given_or_said_to_be_unknown(self) -> Self:
        names: tuple[Unknown, ...] = get_args(Unknown)
        missing = [name for name in names if not getattr(self, name) and name not in self.unknown]
        if missing:
            raise ValueError(f"missing: {', '.join(missing)}; what is not known is named in `unknown`")
        both = [name for name in names if getattr(self, name) and name in self.unknown]
        if both:
            raise ValueError(f"given, and said to be unknown: {', '.join(both)}")
        return self

    @model_validator(mode="after")
    def _clusters_are_recorded(self) -> Self:
        lacking = [kind for kind in self.clusters if kind not in {"image", "host", *self.recorded.units}]
        if lacking:
            raise ValueError(f"clusters by {', '.join(lacking)}: name the field of upstream's under [recorded]")
        return self

    @model_validator(mode="after")
    def _files_are_told_apart(self) -> Self:
        targets = [file.target for file in self.files]
        twice = sorted({target for target in targets if targets.count(target) > 1})
        if twice:
            raise ValueError(f"files named more than once: {', '.join(twice)}")
        return self

    @property
    def upstream_rows(self) -> int | None:
        """How many records upstream has, by the first published count; None: not known."""
        return self.published[0].rows if self.published else None
