"""The tables: one Arrow schema each, of what crosses from one stage into another.

A table that a stage hands to people alone stands in its own folder: samples in `pmd.shard.writing`, lists in `pmd.publish.rules`,
sums in `pmd.fetch.ledger.sums`, waves in `pmd.refresh.waves`. Each stage's `recount` tells those that are documented
(`Recount.tables`); what no commit keeps stands where it is made.

Keys (`pair_id`, `image_id`) are 16 bytes, made by `pmd.schema.keys` from content alone.

Folders are named `source=S`, `shard=K` and `generation=G`, which pyarrow, pandas, polars and duckdb read as columns. A column
of the files that says the same must not stand in their way, so two tables are written in another form than they are used in:
`in_source_folder`, and the ledger with `SETTLED_IN`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import pyarrow as pa

KEY: Final = pa.binary(16)
#: What pyarrow and pandas make of the name of a folder `source=S`: a column of this type is one with it, a plain string is not.
FOLDER_WORD: Final = pa.dictionary(pa.int32(), pa.string())
#: `[x, y, width, height]`, always four, in fractions of the upstream width and height; null means the whole image.
#: Not a fixed-size list: Arrow writes one with nulls to Parquet and then cannot read it back (25.0).
REGION: Final = pa.list_(pa.float64())

LOCATION: Final = pa.struct(
    [
        pa.field("kind", pa.string(), nullable=False),  # archive | mirror | original
        pa.field("url", pa.string(), nullable=False),  # archive: "PATH!/MEMBER", PATH as the configuration spells it
    ]
)

_DESCRIPTION: Final = [
    pa.field("image_url", pa.string()),  # upstream's string; null where upstream gives none
    pa.field("identity", pa.string()),  # see pmd.text.url_identity; a draft's null asks for the URL's own
    pa.field("also", pa.string()),  # another identity of the same photograph: COCO's and VG's Flickr photo
    pa.field("file_name", pa.string()),  # name in upstream's image archive: "train2017/000000000009.jpg"
    pa.field("mirrors", pa.list_(pa.string())),  # further URLs of the same image, best first
    pa.field("width_px", pa.int32()),  # as upstream claims, of the image that regions were drawn on
    pa.field("height_px", pa.int32()),
    pa.field("region", REGION),
    pa.field("text", pa.string()),
    pa.field("meta", pa.string()),  # JSON object of upstream's fields under upstream's names
    pa.field("text_licence", pa.string()),  # SPDX, or NOASSERTION
    pa.field("image_licence", pa.string()),
    pa.field("licence_evidence", pa.string()),  # the string or URL the image's licence was read from
    pa.field("split", pa.string()),  # upstream's: train, validation, test
]

#: What a reader yields: candidates for pairs, and rows that leave (reason not null). One row a pair, or one a lost record.
DRAFTS: Final = pa.schema(
    [
        # Upstream's id, parts joined by "/". Null: the row is keyed by `row_digest`.
        pa.field("source_id", pa.string()),
        # Digest of everything upstream says in this row: tells apart, and orders, rows with one id.
        pa.field("row_digest", KEY, nullable=False),
        *_DESCRIPTION,
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("where", pa.string()),  # "FILE[!MEMBER]:line 12", "…:byte 4711", "…:images[3]"
    ]
)

PAIRS: Final = pa.schema(
    [
        pa.field("pair_id", KEY, nullable=False),
        pa.field("image_id", KEY, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        *(
            field.with_nullable(False) if field.name in {"identity", "text", "meta"} else field
            for field in _DESCRIPTION
        ),
    ]
)

REJECTED: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("pair_id", KEY, nullable=False),
        pa.field("image_id", KEY),
        pa.field("also", pa.string()),  # as in PAIRS; only curate knows it
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("where", pa.string()),
    ]
)

#: Columns of `REJECTED` that those of earlier versions lack.
REJECTED_LATER: Final = ("also",)

#: What the pictures are known by of rows that suppression lists keep out (`pmd.suppression.kept_out`).
KEPT_OUT: Final = pa.schema(
    [
        pa.field("list_id", KEY, nullable=False),  # the list that names the row, as commits have it
        pa.field("kind", pa.string(), nullable=False),  # image | url
        pa.field("hmac", pa.binary(32), nullable=False),  # under that list's secret
    ]
)

IMAGES: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("locations", pa.list_(pa.field("item", LOCATION, nullable=False)), nullable=False),
        pa.field("sources", pa.list_(pa.string()), nullable=False),
        pa.field("has_region", pa.bool_(), nullable=False),
        pa.field("fetch_shard", pa.int32(), nullable=False),
    ]
)

#: A would-be pair on its way to its partition: what `pmd.curate.rules.judge` makes of a draft.
JUDGED: Final = pa.schema(
    [
        pa.field(
            "key", KEY, nullable=False
        ),  # pair_id of (source, source_id): the partition, before occurrence numbers
        pa.field("image_id", KEY),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("row_digest", KEY, nullable=False),
        *_DESCRIPTION,
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("where", pa.string()),
    ]
)

#: The pairs again, as later stages need them: one row a pair, in order of (image_id, pair_id), beside `images`.
VIEWS: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("pair_id", KEY, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("region", REGION),
        pa.field("width_px", pa.int32()),
        pa.field("height_px", pa.int32()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("own_id", KEY),  # image_id in the source's own pairs and list, where that is another; null: the same
        pa.field("image_url", pa.string()),
        pa.field("text_licence", pa.string()),
        pa.field("image_licence", pa.string()),
        pa.field("attribution", pa.string()),  # the line that credits the image's author (`pmd.text.credit`)
        pa.field("split", pa.string()),  # upstream's
    ]
)

#: Columns of `VIEWS` that those of earlier versions lack; they are read as nulls.
VIEWS_LATER: Final = ("own_id", "image_url", "text_licence", "image_licence", "attribution", "split")

#: What a pair must be known by to be judged: a view less what is only said of it.
BARE_VIEWS: Final = pa.schema([field for field in VIEWS if field.name not in VIEWS_LATER])

ATTEMPTS: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("location", pa.string(), nullable=False),
        pa.field("generation", pa.int32(), nullable=False),
        pa.field("when", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("http_status", pa.int32()),
        pa.field("final_url", pa.string()),
        pa.field("headers", pa.string()),  # JSON object: those kept as evidence
        pa.field("policy", pa.string()),  # allowed | denied, by whom
        pa.field("policy_evidence", pa.string()),
        pa.field("error", pa.string()),
        pa.field("seconds", pa.float64()),
    ]
)

LEDGER: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("location", pa.string()),  # the one used, or the last one tried
        pa.field("bytes", pa.int64()),  # of the original
        pa.field("sha256", pa.binary(32)),  # of the original
        pa.field("width_px", pa.int32()),  # of the original, upright
        pa.field("height_px", pa.int32()),
        pa.field("format", pa.string()),  # of the original: jpeg, png, webp, gif, avif, tiff, bmp
        pa.field("perceptual_hash", pa.binary(32)),  # PDQ; null until something asks for it
        pa.field("frames", pa.int32()),
        pa.field("store_file", pa.string()),  # relative to ROOT
        pa.field("offset", pa.int64()),  # of the member's first content byte
        pa.field("length", pa.int64()),
        pa.field("stored_form", pa.string()),  # original | resized
        pa.field("stored_format", pa.string()),
        pa.field("stored_width_px", pa.int32()),  # upright; what regions are cut out of
        pa.field("stored_height_px", pa.int32()),
        pa.field("generation", pa.int32(), nullable=False),
        pa.field("tried", pa.list_(pa.string())),  # locations tried so far, sorted
        pa.field("listed", pa.string()),  # same | reencoded, by the lists of `against`; null: on none of them
        pa.field("stored_digest", pa.binary(16)),  # XXH3-128 of the stored bytes; null: not known
        pa.field("hashed_form", pa.string()),  # what the perceptual hash is of: original | resized; null: there is none
    ]
)

#: What a ledger's files call `generation`, since their folders are named by that word: numbers, unlike words, have no type
#: in Parquet that would be one column with a folder's. Files of earlier versions have `generation`.
SETTLED_IN: Final = "settled_in"

#: Columns of `LEDGER` that ledgers of earlier versions lack; they are read as nulls.
LEDGER_LATER: Final = ("listed", "stored_digest", "hashed_form")

#: Perceptual hashes that were computed from the store, when something had asked for them after the fetch.
HASHES: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("perceptual_hash", pa.binary(32), nullable=False),
        pa.field("hashed_form", pa.string(), nullable=False),  # the stored form that was hashed: original | resized
    ]
)

#: Outcome columns of the ledger: equal for two runs, given a web that answers alike and the same things asked of each picture.
LEDGER_OUTCOME: Final = (
    "image_id",
    "status",
    "sha256",
    "bytes",
    "width_px",
    "height_px",
    "perceptual_hash",
)

GROUPS: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("kept_id", KEY, nullable=False),
        pa.field(
            "relation", pa.string(), nullable=False
        ),  # same_bytes, near_duplicate, repeated_bytes, evaluation_overlap
        pa.field("distance", pa.int32(), nullable=False),
        pa.field("matched", pa.string()),  # the evaluation image, as its list names it
        pa.field("stands_id", KEY),  # the image that its pairs are with in the end; null: they leave
    ]
)

#: Of them, what files of earlier versions do not have; their groups are not cut by part either.
GROUPS_LATER: Final = ("stands_id",)

#: Images whose pairs are in another split than upstream says of some of them (`pmd.dedupe.splits`).
SPLITS: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("split", pa.string(), nullable=False),  # of all its pairs: validation or test
    ]
)

#: Captions that are nearly one: a row a text that matches another, compared as its form (`pmd.dedupe.captions`).
NEAR_TEXTS: Final = pa.schema(
    [
        pa.field("text_id", KEY, nullable=False),
        pa.field("group_id", KEY, nullable=False),  # the text_id of the one that leads the group
        pa.field("jaccard", pa.float64(), nullable=False),  # of its shingles and the leader's, exactly; 1: the leader
        pa.field("images", pa.int64(), nullable=False),  # on which the text stands
        pa.field("pairs", pa.int64(), nullable=False),
        pa.field("form", pa.string(), nullable=False),
    ]
)


def with_columns(rows: Any, columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> Any:
    """Return a table or record batch with other values in some of its columns, whose places and fields stay."""
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), values)
    return rows


def in_source_folder(schema: pa.Schema) -> pa.Schema:
    """Return a table's schema as its files under `source=S` have it: `source` is a `FOLDER_WORD`."""
    at = schema.get_field_index("source")
    return schema.set(at, schema.field(at).with_type(FOLDER_WORD))


def ledger_file(names: Collection[str]) -> pa.Schema:
    """Return the schema of a ledger's file that has some columns: of this version, or of an earlier one."""
    renamed = SETTLED_IN in names
    fields = [field.with_name(SETTLED_IN) if renamed and field.name == "generation" else field for field in LEDGER]
    return pa.schema([field for field in fields if field.name in names or field.name not in LEDGER_LATER])


#: A ledger's file, as this version writes it.
LEDGER_FILE: Final = ledger_file([SETTLED_IN, *LEDGER.names])
