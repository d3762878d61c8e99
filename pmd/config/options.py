"""The options of the stages: one frozen model a table, which the configuration fills and the stage receives whole.

What is declared of an option stands beside it: its bounds, in which other stages it has an effect (`Also`), and the reasons for
which rows leave by it (`Leaves`). `pmd.config.tables` says what follows.

A field that differs between profiles carries a `Rule`; the others are plain settings with one default. Names are those
of the configuration file.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from pmd import flow
from pmd.config import scores
from pmd.config.resizing import (
    LARGEST_IMAGE_SIZE,
    EncodeFormat,
    Resizing,
    check_jpeg_quality,
    check_quality,
    check_short_side,
    put_together,
)
from pmd.schema import licences
from pmd.schema.modes import Mode
from pmd.sources.contract import PROFILES, NamesFiles, Profile, Rule


@dataclasses.dataclass(frozen=True)
class Also:
    """Marks an option that has its effect in other stages than that of its table: `told` says it to these too.

    What they commit depends on it then, but for its default: that changes nothing, and what was built before there was such an
    option stays fresh.

    Attributes:
        stages: Their names.
    """

    stages: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Leaves:
    """Marks an option by which rows leave, once for each stage in which they do.

    Attributes:
        stage: The stage's name.
        reason: What its rejected rows say. A reason is given by exactly one stage, and is never given another meaning.
        says: What it means, for docs/contract.md and `pmd sources --rules`.
    """

    stage: str
    reason: str
    says: str


#: The longest side that a JPEG can have.
LONGEST_SIDE_PX: Final = 65_535

#: Options of `pmd.config.resizing` that are younger than the ROOTs that stand.
_RESIZING: Final = frozenset({"resize_mode", "image_size", "resize_only_if_bigger", "encode_format", "encode_quality"})


class StageOptions(BaseModel):
    """Options of a stage. Every number has its bounds, so that a slip of the pen is told before anything runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    #: Options that came later than ROOTs that stand, and that change nothing at their defaults: `told` leaves them out there.
    LATER: ClassVar[frozenset[str]] = frozenset()

    @property
    def later(self) -> set[str]:
        """Those of `LATER` that are at their defaults."""
        return {name for name in self.LATER if getattr(self, name) == type(self).model_fields[name].default}

    def told(self) -> dict[str, Any]:
        """Return the options as JSON has them, for fingerprints: of what is asked for, whatever else there is to ask."""
        return self.model_dump(mode="json", exclude=self.later)

    @property
    def unsaid(self) -> set[str]:
        """Those that are at their defaults: other stages than that of the table are not told them."""
        return {name for name, field in type(self).model_fields.items() if getattr(self, name) == field.default}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say why an option is not there that the table has (`pmd.config.asked`)."""
            if name in type(self).model_fields:
                raise AttributeError(
                    f"{type(self).__name__}.{name} is said to have no effect in this stage: mark it with Also((STAGE,))"
                )
            return super().__getattr__(name)

    @classmethod
    def rules(cls) -> dict[str, Rule]:
        """Return the rule of each option that differs between profiles."""
        return {
            name: rule for name, field in cls.model_fields.items() for rule in field.metadata if isinstance(rule, Rule)
        }

    @classmethod
    def profile_values(cls, profile: Profile) -> dict[str, Any]:
        """Return the values that a profile sets."""
        assert profile in PROFILES
        return {name: getattr(rule, profile) for name, rule in cls.rules().items()}


class ScoreRule(StageOptions):
    """One `[[scores]]`: a file of scores, the condition under which pairs stay, and what those without a score do."""

    file: Annotated[str, NamesFiles(), Field(min_length=1)]
    keep: str
    missing: Literal["keep", "reject"]

    @field_validator("keep")
    @classmethod
    def _condition(cls, value: str) -> str:
        scores.parse(value)
        return value


class CurateOptions(StageOptions):
    """What is the same for all sources."""

    duplicate_rows: Annotated[
        Literal["keep", "reject"],
        Rule(
            says="A row that repeats an earlier one's id, image, region and text: keep it as `#2`, or reject it.",
            origin="FLAVA §3.1 describes no de-duplication; rejecting is ours",
            paper="keep",
            hub="keep",
            recommended="reject",
        ),
        Leaves(flow.CURATE.name, "duplicate_row", "the same row of the same source stands in its files more than once"),
    ]


class ImagesOptions(StageOptions):
    """Which images there are, across sources."""

    evaluation_copies: Annotated[
        Literal["keep", "reject"],
        Rule(
            says="Photographs that a source left out as `evaluation_image` (Karpathy's), where another source has them too, "
            "such as the Flickr copies in YFCC100M and SBU: keep them, or reject them as `evaluation_copy`.",
            origin="FLAVA §3.1 describes no such step; rejecting is ours",
            paper="keep",
            hub="keep",
            recommended="reject",
        ),
        Leaves(
            flow.IMAGES.name,
            "evaluation_copy",
            "a source left this photograph out as an evaluation image, and here it is again",
        ),
    ]


class LicenceOptions(StageOptions):
    """Which pictures may be used, by the licences that sources state of them."""

    image_allow: Annotated[
        tuple[Annotated[str, AfterValidator(licences.canonical)], ...] | None,
        Also((flow.IMAGES.name,)),
        Leaves(
            flow.IMAGES.name,
            "licence",
            "the image's licence, as a source states it, is none of `image_allow`, or asks for credit that no page can be "
            "named for",
        ),
        Field(min_length=1),
    ] = Field(
        default=None,
        description=(
            'licences that images may have, as SPDX expressions, `"NOASSERTION"` among them for images of which '
            "none is stated; [more](choosing.md#licences-of-images)"
        ),
    )

    @field_validator("image_allow")
    @classmethod
    def _in_order(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(sorted({*value}))


class CardOptions(StageOptions):
    """What the card of the published lists says that nothing else knows. It changes no list."""

    title: str = Field(
        default="PMD, rebuilt",
        min_length=1,
        max_length=200,
        description="what the [card of the lists](releasing.md) is headed by; nothing in this table changes a list",
    )
    version: str = Field(default="1.0.0", description="of the release: three numbers")
    released: str | None = Field(
        default=None,
        description=(
            'its day, `"2026-11-30"`; no other date is in what is published, but for the days in the figures of '
            "[what is still there](releasing.md#what-is-still-there)"
        ),
    )
    authors: tuple[str, ...] = Field(default=(), description="who is cited for it")
    contact: str | None = Field(default=None, description="whom people write to who want something removed")
    url: str | None = Field(default=None, description="where it will be")
    changes: tuple[str, ...] = Field(default=(), description="what has changed, a line each")
    gating_prompt: str | None = Field(
        default=None, description="what the Hub asks people to agree to, where the repository there is gated"
    )

    @field_validator("title", "contact", "gating_prompt")
    @classmethod
    def _line(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("one line of text")
        return value

    @field_validator("authors", "changes")
    @classmethod
    def _each_a_line(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(line and line.isprintable() for line in value):
            raise ValueError("lines of text, none of them empty")
        return value

    @field_validator("version")
    @classmethod
    def _version(cls, value: str) -> str:
        if not re.fullmatch(
            r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?", value
        ):  # semver.org, which Croissant asks for
            raise ValueError('three numbers, as in "1.0.0"')
        return value

    @field_validator("released")
    @classmethod
    def _released(cls, value: str | None) -> str | None:
        try:
            day = None if value is None else datetime.date.fromisoformat(value).isoformat()
        except ValueError:
            day = None
        if day != value:
            raise ValueError('a day, as in "2026-11-30"')
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!-~]+", value):
            raise ValueError("a URL, of http or https")
        return value


class PerHost(StageOptions):
    """What one host is asked for, at most, by the whole job."""

    requests_per_s: float = Field(default=10.0, ge=0.001, le=1_000_000)
    connections: int = Field(default=8, ge=1, le=1000)

    @property
    def most_lanes(self) -> int:
        """As many lanes as can each have a connection and, beside others, a whole request a second."""
        return max(1, min(int(self.requests_per_s), self.connections))


class FetchOptions(StageOptions):
    """How images are downloaded, and in which form they are kept."""

    LATER: ClassVar[frozenset[str]] = _RESIZING | {"max_aspect_ratio", "proxy"}

    store: Literal["original", "resized"] = Field(
        default="resized",
        description=(
            'the form that is kept: `"original"` bytes, or `"resized"`; images with regions are kept original, '
            "unless they were stored resized before a source with regions came: they are not fetched again, and "
            "crops are judged by the pixels that are there"
        ),
    )
    resize_mode: Mode = Field(default="keep_ratio", description="what pictures are brought to: [modes](pictures.md)")
    image_size: int | None = Field(
        default=None, ge=16, le=LARGEST_IMAGE_SIZE, description="the size of `resize_mode`; none: `short_side_px`"
    )
    short_side_px: int = Field(
        default=256,
        ge=16,
        le=LONGEST_SIDE_PX,
        description=(
            "the same of the modes of the short side; a picture that is no larger, and has the format, upright "
            "and sRGB, stays as it is"
        ),
    )
    resize_only_if_bigger: bool = Field(default=True, description="`false`: smaller pictures are enlarged")
    encode_format: EncodeFormat = Field(default="jpg", description='what is encoded anew: `"jpg"`, `"png"` or `"webp"`')
    encode_quality: int | None = Field(
        default=None,
        ge=0,
        le=101,
        description=(
            "its quality: JPEG 1 to 100, PNG (compression) 0 to 9, WebP 1 to 100, 101 without loss; none: "
            "`jpeg_quality`, PNG 6, WebP 95"
        ),
    )
    jpeg_quality: int = Field(default=95, ge=1, le=100, description="the same of JPEG")
    per_host: PerHost = Field(
        default=PerHost(),
        description=(
            "what a host (a registrable domain) is asked for at most, by the whole job: `requests_per_s`, `connections`"
        ),
    )
    host_groups: dict[str, tuple[str, ...]] = Field(
        default={
            "flickr": ("flickr.com", "staticflickr.com"),
            "wikimedia": ("wikimedia.org", "wikipedia.org"),
        },
        description="hosts and domains that count as one host; any other is its registrable domain's",
    )
    concurrency: int = Field(
        default=64, ge=1, le=10_000, description="images under way in a lane"
    )  # each is a connection, and a connection is a file
    lanes: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="[processes that fetch](fetching.md#lanes), each with its share of every host's rate",
    )
    timeout_s: float = Field(default=30.0, gt=0, le=3600, description="deadline of one request")
    max_bytes: int = Field(default=64 * 2**20, ge=1, le=2**31, description="a larger body is `too_large`")
    max_pixels: int = Field(
        default=178_956_970, ge=1, le=2**32, description="a larger picture is a `bomb`"
    )  # Pillow's own limit for a decompression bomb
    min_side_px: int = Field(default=1, ge=1, le=LONGEST_SIDE_PX, description="a smaller picture is `too_small`")
    max_aspect_ratio: float | None = Field(
        default=None,
        ge=1,
        le=LONGEST_SIDE_PX,
        description="a picture whose long side is more times the short one is `too_narrow`",
    )
    max_redirects: int = Field(default=10, ge=0, le=100, description="more are `too_many_redirects`")
    retries: int = Field(
        default=2, ge=0, le=100, description="further tries of one URL within a run, where that may help"
    )
    user_agent: str = Field(
        default="pmd/0.1",
        description=(
            'our name, one line of printable ASCII; what stands before the "/" or a space is looked for in robots.txt'
        ),
    )  # the contact is added to it
    resolve: dict[str, str] = Field(default={}, description='"HOST:PORT" → "ADDRESS:PORT"; `*` is every other host')
    allow_addresses: tuple[str, ...] = Field(default=(), description="networks of private addresses that may be asked")
    ca_file: Annotated[str | None, NamesFiles()] = Field(
        default=None, description="further certificate authorities, beside the system's"
    )
    proxy: Literal["none", "environment"] = Field(
        default="none",
        description=(
            '`"environment"` asks the proxies that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` name, '
            "where the lanes run; otherwise no proxy is asked, whatever they say ([what cannot be checked "
            "then](fetching.md#addresses-and-proxies))"
        ),
    )
    robots: bool = Field(
        default=True, description="heed robots.txt, with its lines `Content-Signal` and `Content-Usage`"
    )
    tdmrep: bool = Field(
        default=True, description="heed TDMRep: `/.well-known/tdmrep.json` and the `tdm-reservation` header"
    )
    blocklists: Annotated[tuple[str, ...], NamesFiles()] = Field(
        default=(),
        description=(
            "files of `sha256:HEX` and `pdq:HEX`, an entry a line, with an id if you like: such pictures are "
            "`blocked_content`"
        ),
    )
    adopt: Annotated[tuple[str, ...], NamesFiles()] = Field(
        default=(),
        description=(
            "img2dataset's WebDataset shards (paths or globs of tars), whose images are taken over instead of fetched"
        ),
    )
    against: Annotated[tuple[str, ...], NamesFiles()] = Field(
        default=(),
        description=(
            "lists of `pmd publish` (paths, folders or globs) with which what is fetched is compared: another picture than "
            "a list says is `changed`, and not stored"
        ),
    )
    web_archive: str | None = Field(
        default=None,
        description=(
            "where a web archive has its copy of a URL, with `{url}` in it, as in "
            '`"https://web.archive.org/web/2014id_/{url}"`; asked last, and only for what is gone'
        ),
    )
    engine: Literal["pmd", "img2dataset"] = Field(
        default="pmd",
        description=(
            'what downloads: `"img2dataset"` hands the list to img2dataset, which must be installed, and cannot '
            "go with `resolve`, `proxy` or `web_archive`"
        ),
    )

    @property
    def resizing(self) -> Resizing:
        """In which size and format pictures are kept, where they are not kept as they came."""
        return put_together(self, self.short_side_px, self.resize_mode)

    @field_validator("resize_mode", "image_size", "resize_only_if_bigger", "encode_format", "encode_quality")
    @classmethod
    def _of_resized(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("store") == "original":
            raise ValueError('nothing beside store = "original": pictures are kept as they came')
        if info.field_name == "encode_quality":
            check_quality(value, info.data)
        elif info.field_name in {"image_size", "resize_only_if_bigger"} and info.data.get("resize_mode") == "no":
            raise ValueError('nothing beside resize_mode = "no": sizes stay')
        return value

    @field_validator("short_side_px")
    @classmethod
    def _short_side(cls, value: int, info: ValidationInfo) -> int:
        check_short_side(info.data)
        return value

    @field_validator("jpeg_quality")
    @classmethod
    def _jpeg_quality(cls, value: int, info: ValidationInfo) -> int:
        check_jpeg_quality(info.data)
        return value

    @field_validator("resolve")
    @classmethod
    def _routes(cls, value: dict[str, str]) -> dict[str, str]:
        for host, target in value.items():
            if not all(re.fullmatch(r"[!-~]+:[0-9]{1,5}", end) and _is_port(end) for end in (host, target)):
                raise ValueError('"host:port" = "address:port", as in "*:443" = "127.0.0.1:8443"')
        return value

    @field_validator("user_agent")
    @classmethod
    def _product(cls, value: str) -> str:
        # RFC 9110 §10.1.5, RFC 9309 §2.2.1: a header of one line, which begins with the name that robots.txt has for us.
        if len(value) > 256 or not re.fullmatch(r"[A-Za-z0-9_-][!-~]*(?: [!-~]+)*", value):
            raise ValueError(
                'a product and its version, as in "pmd/0.1": 256 characters of printable ASCII in one line'
            )
        return value

    @field_validator("engine")
    @classmethod
    def _engine(cls, value: str, info: ValidationInfo) -> str:
        if value == "img2dataset" and info.data.get("resolve"):
            raise ValueError('engine = "pmd" beside resolve: img2dataset cannot be told to connect elsewhere')
        if value == "img2dataset" and info.data.get("proxy") == "environment":
            raise ValueError('engine = "pmd" beside proxy: img2dataset would ask without one')
        if value == "img2dataset" and info.data.get("web_archive"):
            raise ValueError(
                'engine = "pmd" beside web_archive: whether it may be asked is known when the others have failed'
            )
        return value

    @field_validator("web_archive")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!-z|~]+\{url\}[!-z|~]*", value):
            raise ValueError('an address with {url} in it, such as "https://web.archive.org/web/2014id_/{url}"')
        return value

    @field_validator("host_groups")
    @classmethod
    def _groups(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        hosts = [host for group in value.values() for host in group]
        if any("." in name or not name for name in value) or any(
            not re.fullmatch(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", host) for host in hosts
        ):
            raise ValueError('name = ["host", …]: names without dots, hosts as in URLs and in small letters')
        if len(set(hosts)) < len(hosts):
            raise ValueError("each host in one group")
        return value

    @field_validator("allow_addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                whole = ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError('addresses with a prefix length, such as "127.0.0.1/32"') from None
            if "/" in network and ipaddress.ip_interface(network).ip != whole.network_address:
                one = ipaddress.ip_interface(network).ip
                raise ValueError(
                    f'"{whole}" for all of the network that "{network}" is in, or "{one}/{one.max_prefixlen}" for that address'
                )
        return value


class DedupeOptions(StageOptions):
    """Which images count as one, once their bytes are known."""

    same_bytes: Annotated[
        Literal["keep", "merge"],
        Rule(
            says="Images with identical bytes under different identities: keep each, or merge their pairs into one.",
            origin="FLAVA §3.1 describes no de-duplication; merging is ours",
            paper="keep",
            hub="keep",
            recommended="merge",
        ),
    ]
    repeated_bytes: Annotated[
        int,
        Rule(
            says="Reject images whose bytes this many identities or more share (0: never): hosts' placeholder pictures.",
            origin="ours; no published figure: see docs/decisions.md",
            paper=0,
            hub=0,
            recommended=10,
        ),
        Leaves(
            flow.DEDUPE.name,
            "repeated_bytes",
            "more distinct images than allowed have exactly these bytes: a placeholder",
        ),
        Field(ge=0, le=2**31),
    ]
    near: Annotated[
        Literal["keep", "merge"],
        Rule(
            says="Images that match by their perceptual hashes: keep each, or merge their pairs into the largest.",
            origin="FLAVA §3.1 describes no de-duplication; merging is ours",
            paper="keep",
            hub="keep",
            recommended="merge",
        ),
    ]
    near_distance: int = Field(
        default=31,
        ge=0,
        le=31,
        description=(
            "bits of 256 in which the hashes of near-duplicates may differ, at most; 31 is PDQ's own threshold "
            "and the most that is searched for"
        ),
    )  # PDQ's own threshold, and the most that is searched for
    max_images_per_text: Annotated[
        int | None,
        Leaves(
            flow.DEDUPE.name,
            "repeated_text",
            "its text stands on more images than allowed, and others were drawn to keep it",
        ),
    ] = Field(
        default=None,
        ge=1,
        le=2**31,
        description=(
            "images on which one text may stand, small letters, accents, punctuation and numbers aside; above it "
            "a draw by hash says which images keep it, and the pairs of the others are `repeated_text`"
        ),
    )
    near_texts: float | None = Field(
        default=None,
        ge=0.6,
        le=0.95,
        description=(
            "from which Jaccard similarity on (.6 to .95; .8 is what others take) captions are near-duplicates: "
            "their groups are recorded in `dedupe/near_texts`"
        ),
    )  # outside, datasketch's bands are crowded, or none
    near_texts_action: Annotated[
        Literal["report", "cap"],
        Leaves(
            flow.DEDUPE.name,
            "near_text",
            "its text and those nearly the same stand on more images than allowed, and others were drawn to keep theirs",
        ),
    ] = Field(
        default="report",
        description=(
            '`"cap"`: `max_images_per_text` holds for each group of near-duplicates together, in place of each of '
            "its texts, and what leaves is `near_text`"
        ),
    )
    evaluation: Annotated[
        tuple[str, ...],
        NamesFiles(),
        Leaves(
            flow.DEDUPE.name,
            "evaluation_overlap",
            "the image is an evaluation image, or looks like one, by a list that was given",
        ),
    ] = Field(
        default=(),
        description=(
            "evaluation images: lists of hashes (text or Parquet), folders, tars or zips; what matches them "
            "within `near_distance` leaves. A picture that does not decode is known by its bytes alone, and told"
        ),
    )

    @field_validator("repeated_bytes")
    @classmethod
    def _never_all(cls, value: int) -> int:
        if value == 1:  # every image would be a placeholder
            raise ValueError("0 (never), or 2 or more")
        return value

    @field_validator("near_texts_action")
    @classmethod
    def _has_a_limit(cls, value: str, info: ValidationInfo) -> str:
        lacking = [name for name in ("near_texts", "max_images_per_text") if info.data.get(name, 0) is None]
        if value == "cap" and lacking:
            raise ValueError(f'"report", or {" and ".join(lacking)} beside it: what is capped, and at how many images')
        return value


class ShardOptions(StageOptions):
    """The training-ready form."""

    LATER: ClassVar[frozenset[str]] = _RESIZING | {"min_side_px", "max_aspect_ratio", "shards"}

    formats: tuple[Literal["webdataset", "parquet"], ...] = Field(
        default=("webdataset", "parquet"), description="what is written"
    )
    unit: Literal["image", "pair"] = Field(
        default="image", description='a sample is an image or region with all its captions, or (`"pair"`) one pair'
    )
    shards: int | None = Field(
        default=None, ge=1, le=1_000_000, description="how many shards there are: their samples differ by one at most"
    )
    samples_per_shard: int = Field(
        default=10_000, ge=1, le=10_000_000, description="samples of every shard but the last; or `shards`"
    )
    image_size: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST_IMAGE_SIZE,
        description=(
            "the size of `resize_mode`; none, and no `short_side_px`: pictures are as they are stored, crops as "
            "they are cut"
        ),
    )
    short_side_px: int | None = Field(
        default=None, ge=1, le=LONGEST_SIDE_PX, description="the same of the modes of the short side"
    )
    resize_mode: Mode | None = Field(
        default=None,
        description=(
            'what pictures and crops are brought to: [modes](pictures.md); none: `"keep_ratio"` where there is a size'
        ),
    )
    resize_only_if_bigger: bool = Field(default=True, description="`false`: smaller pictures are enlarged")
    encode_format: EncodeFormat | None = Field(
        default=None,
        description=(
            '`"jpg"`, `"png"` or `"webp"`: what every picture is; none: JPEG for crops and for what is resized, '
            "the rest as it is stored"
        ),
    )
    encode_quality: int | None = Field(default=None, ge=0, le=101, description="its quality, as in `[fetch]`")
    jpeg_quality: int = Field(default=95, ge=1, le=100, description="the same of JPEG")
    min_side_px: Annotated[
        int,
        Leaves(
            flow.SHARD.name,
            "sample_too_small",
            "the whole image's short side is under `min_side_px`, or, where it is stored by its long side, under the size of "
            "shards",
        ),
    ] = Field(
        default=1,
        ge=1,
        le=LONGEST_SIDE_PX,
        description="a whole image that was smaller when it was fetched is `sample_too_small`",
    )
    max_aspect_ratio: Annotated[
        float | None,
        Leaves(
            flow.SHARD.name,
            "sample_too_narrow",
            "the long side of the image or region is more times the short one than `max_aspect_ratio` allows",
        ),
    ] = Field(
        default=None,
        ge=1,
        le=LONGEST_SIDE_PX,
        description=(
            "an image, as it was fetched, or a region whose long side is more times the short one is "
            "`sample_too_narrow`"
        ),
    )
    min_crop_px: Annotated[
        int,
        Leaves(
            flow.SHARD.name,
            "crop_too_small",
            "the region's short side is under the limit",
        ),
    ] = Field(default=32, ge=1, le=LONGEST_SIDE_PX, description="a region with a shorter side is `crop_too_small`")
    max_aspect_difference: Annotated[
        float,
        Leaves(
            flow.SHARD.name,
            "box_mismatch",
            "the image's aspect ratio differs by over 1 % from the one that its boxes were drawn on",
        ),
    ] = Field(default=0.01, gt=0, le=1000, description="a larger difference of aspect ratios is a `box_mismatch`")
    window: int = Field(default=64, ge=1, le=100_000, description="fetch shards that are shuffled together")

    @property
    def resizing(self) -> Resizing:
        """In which size and format crops are wanted, and whole pictures where `is_as_stored` is false."""
        return put_together(self, self.short_side_px, self.resize_mode)

    @property
    def is_as_stored(self) -> bool:
        """Whether whole pictures are taken as they are stored."""
        return self.resizing.side_px is None and self.encode_format is None

    @field_validator("short_side_px")
    @classmethod
    def _short_side(cls, value: int | None, info: ValidationInfo) -> int | None:
        check_short_side(info.data)
        return value

    @field_validator("resize_mode", "resize_only_if_bigger")
    @classmethod
    def _of_a_size(cls, value: Any, info: ValidationInfo) -> Any:
        sizes = [info.data.get(name, 0) for name in ("image_size", "short_side_px")]  # 0: a mistake that is told
        has_size = sizes != [None, None]
        if value == "no" and has_size:
            raise ValueError("a mode that has a size, or no size beside it")
        if value != "no" and not has_size:
            raise ValueError("image_size beside it: to what pictures are brought")
        if info.field_name == "resize_mode" and sizes[1]:
            check_short_side({"resize_mode": value})
        return value

    @field_validator("encode_quality")
    @classmethod
    def _quality(cls, value: int | None, info: ValidationInfo) -> int | None:
        check_quality(value, info.data)
        return value

    @field_validator("jpeg_quality")
    @classmethod
    def _jpeg_quality(cls, value: int, info: ValidationInfo) -> int:
        check_jpeg_quality(info.data)
        return value

    @field_validator("samples_per_shard")
    @classmethod
    def _or_shards(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("shards") is not None:
            raise ValueError("shards or samples_per_shard, not both: each tells the other")
        return value

    @field_validator("formats")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("each format once, and one at least")
        return value


class ReferenceTable(StageOptions):
    """What the audit compares countries with; the columns of the file stand in `pmd.config.reference`."""

    countries: Annotated[str, NamesFiles(), Field(min_length=1)]
    year: int = Field(
        default=2010, ge=1950, le=2100
    )  # the middle of YFCC100M's, and one of those of the UN's populations


class AuditOptions(StageOptions):
    """What the audit measures."""

    text_sample: int = Field(
        default=200_000,
        ge=1,
        le=2**31,
        description="texts of a source that languages, terms and personal data are counted in",
    )
    reference: ReferenceTable | None = Field(
        default=None,
        description=(
            '`{ countries = "countries.csv", year = 2010 }`, or a table `[audit.reference]`: income classes and '
            "internet users of countries, which no package has; [the file](audit.md#a-table-of-countries) and the "
            "year that photographs are compared with"
        ),
    )
    attributes: Annotated[tuple[str, ...], NamesFiles()] = Field(
        default=(),
        description=(
            "Parquet files with `image_id` or `pair_id`; every other column is an attribute of the audit's "
            "tables, [as here](audit.md#attributes-of-your-own)"
        ),
    )


class PublishOptions(StageOptions):
    """What goes into the published lists."""

    withheld_text: Literal["omit", "include"] = Field(
        default="omit",
        description='`"include"`: texts and URLs that may not be handed on too, for lists that stay at home',
    )


def _is_port(end: str) -> bool:
    return 1 <= int(end.rpartition(":")[2]) <= 65_535
