"""The tables of two sources by hand, in Polars or in DuckDB: what somebody would write who needs them once.

    python benchmarks/by_hand.py polars|duckdb conceptual_12m|yfcc100m LINES.tsv FOLDER

Of Conceptual 12M one file each of pairs, images and views, with the columns of `pmd curate` and `pmd images` and in their
order; of YFCC100M the pairs, filtered as the profile `paper` has it. What neither tool can is done by pmd's own functions, a
column at a time: percent-decoding, HTML, languages, names of mirrors. Texts are in NFC with single spaces, upstream's fields
are JSON, keys have 16 bytes, repeated lines are numbered, URLs are made canonical by pmd's own function, images have their
places and sources. What it lacks: a row that is not as expected ends it, nothing says where a row came from or why one left,
copies on known hosts are not one image, all of it stands in memory, and a run that is killed begins anew. The last line is
JSON: how many rows each table has.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pmd.sources import multimedia_commons, yfcc100m
from pmd.text import cleaning, language, urls

_SOURCE: Final = "conceptual_12m"
_LICENCE: Final = "NOASSERTION"
_VIEW_COLUMNS: Final = (
    "image_id pair_id source source_id region width_px height_px text own_id image_url text_licence image_licence "
    "attribution split"
)


def _polars_lines(path: Any, names: Sequence[str], **told: Any) -> Any:
    """Return lines of Polars, not read yet: columns of text, cut at tabs, and quotation marks are text."""
    import polars as pl

    schema = dict.fromkeys(names, pl.String)
    return pl.scan_csv(path, separator="\t", has_header=False, quote_char=None, schema=schema, **told)


def _polars_key(text: Any) -> Any:
    """Return an expression of Polars for a key of 16 bytes of each text."""
    import numpy as np
    import polars as pl

    def joined(column: pl.Series) -> pl.Series:
        halves = np.column_stack([column.struct.field(name).to_numpy() for name in ("high", "low")])
        keys = pa.Array.from_buffers(pa.binary(16), len(halves), [None, pa.py_buffer(halves.tobytes())])
        return pl.Series(column.name, pl.from_arrow(keys.cast(pa.binary())))

    return pl.struct(text.hash(0).alias("high"), text.hash(1).alias("low")).map_batches(joined, pl.Binary)


def with_polars(lines: str, folder: Path) -> dict[str, int]:
    """Write Conceptual 12M's tables with Polars."""
    import polars as pl

    def canonical(column: pl.Series) -> pl.Series:
        found = urls.canonical(column.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()))
        return pl.Series(column.name, pl.from_arrow(found))

    key = _polars_key

    def null(kind: Any) -> pl.Expr:
        return pl.lit(None, kind)

    pairs = (
        _polars_lines(lines, ("image_url", "caption"))
        .with_columns(
            form=pl.col("image_url").map_batches(canonical, pl.String),
            text=pl.col("caption").str.normalize("NFC").str.replace_all(r"\s+", " ").str.strip_chars(),
            meta=pl.struct("image_url", "caption").struct.json_encode(),
            source_id=key(pl.concat_str("image_url", "caption", separator="\t")).bin.encode("hex"),
        )
        .with_columns(identity=pl.lit("url:") + pl.col("form").str.replace(r"^https?://", ""))
        .with_columns(
            source_id=pl.when(pl.col("source_id").is_first_distinct())
            .then("source_id")
            .otherwise(pl.concat_str("source_id", pl.lit("#"), 1 + pl.int_range(pl.len()).over("source_id")))
        )
        .select(
            pair_id=key(pl.lit(f"{_SOURCE}/") + pl.col("source_id")),
            image_id=key(pl.col("identity")),
            source=pl.lit(_SOURCE),
            source_id="source_id",
            image_url="image_url",
            identity="identity",
            also=null(pl.String),
            file_name=null(pl.String),
            mirrors=null(pl.List(pl.String)),
            width_px=null(pl.Int32),
            height_px=null(pl.Int32),
            region=null(pl.List(pl.Float64)),
            text="text",
            meta="meta",
            text_licence=pl.lit(_LICENCE),
            image_licence=pl.lit(_LICENCE),
            licence_evidence=null(pl.String),
            split=pl.lit("train"),
        )
        .sort("pair_id")
        .collect()
    )
    pairs.write_parquet(folder / "pairs.parquet", compression="zstd")
    views = pairs.sort("image_id", "pair_id").with_columns(own_id=null(pl.Binary), attribution=null(pl.String))
    views.select(_VIEW_COLUMNS.split()).write_parquet(folder / "views.parquet", compression="zstd")
    images = (
        views.lazy()
        .group_by("image_id")
        .agg(
            identity=pl.col("identity").first(),
            locations=pl.struct(kind=pl.lit("original"), url="image_url").unique().sort(),
            sources=pl.col("source").unique(),
            has_region=pl.col("region").is_not_null().any(),
        )
        .with_columns(fetch_shard=pl.lit(0, pl.Int32))
        .sort("image_id")
        .collect()
    )
    images.write_parquet(folder / "images.parquet", compression="zstd")
    return {"pairs": pairs.height, "images": images.height}


_PAIRS: Final = f"""
create temp table pairs as
with drafts as (
    select image_url, caption, canonical(image_url) as form, md5(image_url || chr(9) || caption) as digest
    from read_csv(?, delim='\t', header=false, quote='', escape='', columns={{'image_url': 'varchar', 'caption': 'varchar'}})
), numbered as (
    select *, 'url:' || regexp_replace(form, '^https?://', '') as identity,
        row_number() over (partition by digest) as number
    from drafts
), named as (
    select *, case when number = 1 then digest else digest || '#' || number end as source_id from numbered
)
select
    unhex(md5('{_SOURCE}/' || source_id)) as pair_id, unhex(md5(identity)) as image_id, '{_SOURCE}' as source, source_id,
    image_url, identity, null::varchar as also, null::varchar as file_name, null::varchar[] as mirrors, null::int as width_px,
    null::int as height_px, null::double[] as region,
    trim(regexp_replace(nfc_normalize(caption), '\\s+', ' ', 'g')) as text,
    to_json({{'image_url': image_url, 'caption': caption}})::varchar as meta, '{_LICENCE}' as text_licence,
    '{_LICENCE}' as image_licence, null::varchar as licence_evidence, 'train' as split
from named
order by pair_id
"""
_VIEWS: Final = """
select image_id, pair_id, source, source_id, region, width_px, height_px, text, null::blob as own_id, image_url, text_licence,
    image_licence, null::varchar as attribution, split
from pairs
order by image_id, pair_id
"""
_IMAGES: Final = """
select image_id, first(identity) as identity, list(distinct {'kind': 'original', 'url': image_url}) as locations,
    list(distinct source) as sources, bool_or(region is not null) as has_region, 0::int as fetch_shard
from pairs
group by image_id
order by image_id
"""


#: Columns of YFCC100M's lines, in order.
_YFCC: Final = yfcc100m.LAYOUTS[25]
_FEWEST_WORDS: Final = 3


def decoded(texts: pa.Array) -> pa.Array:
    """Return titles or descriptions as captions: percent-decoded, without HTML, in NFC with single spaces."""
    return cleaning.normalise(cleaning.strip_html(cleaning.unquote_plus(texts)))


def detected(texts: pa.Array) -> pa.Array:
    """Return the score of each text that is English, to two decimals; null of others and of null."""
    there = texts.is_valid()
    found = language.english(texts.filter(there))
    scores = pc.if_else(
        found["is_english"], pc.round(found["score"].cast(pa.float64()), 2), pa.scalar(None, pa.float64())
    )
    return pc.replace_with_mask(pa.nulls(len(texts), pa.float64()), there, scores)


def polars_yfcc(lines: str, folder: Path) -> dict[str, int]:
    """Write YFCC100M's pairs with Polars."""
    import polars as pl

    def by(function: Any, *columns: str, gives: Any) -> pl.Expr:
        def called(series: Any) -> pl.Series:
            arrays = [one.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()) for one in series]
            return pl.Series(series[0].name, pl.from_arrow(function(*arrays)))

        return pl.map_batches([pl.col(name) for name in columns], called, return_dtype=gives)

    def enough(name: str) -> pl.Expr:
        return pl.col(name).str.count_matches(" ", literal=True) + 1 >= _FEWEST_WORDS

    by_title = pl.col("described").is_null()
    chosen = pl.struct(
        field=pl.when(by_title).then(pl.lit("title")).otherwise(pl.lit("description")),
        language=pl.lit("en"),
        score=pl.coalesce("described", "titled"),
    )
    pairs = (
        _polars_lines(lines, _YFCC, empty_string_is_null=False)
        .filter(
            pl.col("marker") == "0", pl.col("downloadurl") != "", pl.col("photoid").str.contains("^[1-9][0-9]{0,18}$")
        )
        .with_columns(
            about=by(decoded, "description", gives=pl.String),
            name=by(decoded, "title", gives=pl.String),
        )
        .with_columns(asked=pl.when(enough("about")).then("about"))
        .with_columns(described=by(detected, "asked", gives=pl.Float64))
        .with_columns(asked=pl.when(by_title & enough("name")).then("name"))
        .with_columns(titled=by(detected, "asked", gives=pl.Float64))
        .filter(pl.col("described").is_not_null() | pl.col("titled").is_not_null())
        .with_columns(
            identity=pl.lit("flickr:") + pl.col("photoid"),
            source_id=pl.when(pl.col("photoid").is_first_distinct())
            .then("photoid")
            .otherwise(pl.concat_str("photoid", pl.lit("#"), 1 + pl.int_range(pl.len()).over("photoid"))),
        )
        .select(
            pair_id=_polars_key(pl.lit("yfcc100m/") + pl.col("source_id")),
            image_id=_polars_key(pl.col("identity")),
            source=pl.lit("yfcc100m"),
            source_id="source_id",
            image_url="downloadurl",
            identity="identity",
            also=pl.lit(None, pl.String),
            file_name=pl.lit(None, pl.String),
            mirrors=by(multimedia_commons.mirror_lists, "downloadurl", "hash", gives=pl.List(pl.String)),
            width_px=pl.lit(None, pl.Int32),
            height_px=pl.lit(None, pl.Int32),
            region=pl.lit(None, pl.List(pl.Float64)),
            text=pl.when(by_title).then("name").otherwise("about"),
            meta=pl.struct(*_YFCC, chosen.alias("_pmd")).struct.json_encode(),
            text_licence=pl.lit(_LICENCE),
            image_licence=pl.lit("CC-")
            + pl.col("licenseurl").str.extract("licenses/([a-z-]+)/2.0").str.to_uppercase()
            + pl.lit("-2.0"),
            licence_evidence="licenseurl",
            split=pl.lit("train"),
        )
        .sort("pair_id")
        .collect()
    )
    pairs.write_parquet(folder / "pairs.parquet", compression="zstd")
    return {"pairs": pairs.height}


def _duckdb_yfcc_query() -> str:
    columns = ", ".join(f"'{name}': 'varchar'" for name in _YFCC)
    fields = ", ".join(f"'{name}': {name}" for name in _YFCC)
    words = f"length({{0}}) - length(replace({{0}}, ' ', '')) + 1 >= {_FEWEST_WORDS}"
    return f"""
create temp table pairs as
with texts as materialized (
    select *, decoded(coalesce(description, '')) as about, decoded(coalesce(title, '')) as name
    from read_csv(?, delim='\t', header=false, quote='', escape='', nullstr='\x01', columns={{{columns}}})
    where marker = '0' and downloadurl <> '' and regexp_matches(photoid, '^[1-9][0-9]{{0,18}}$')
), described as materialized (
    select *, detected(case when {words.format("about")} then about end) as described from texts
), titled as materialized (
    select *, detected(case when described is null and {words.format("name")} then name end) as titled from described
), numbered as (
    select *, 'flickr:' || photoid as identity, row_number() over (partition by photoid) as number
    from titled where described is not null or titled is not null
), named as (
    select *, case when number = 1 then photoid else photoid || '#' || number end as source_id from numbered
)
select
    unhex(md5('yfcc100m/' || source_id)) as pair_id, unhex(md5(identity)) as image_id, 'yfcc100m' as source, source_id,
    downloadurl as image_url, identity, null::varchar as also, null::varchar as file_name, mirrors(downloadurl, hash) as mirrors,
    null::int as width_px, null::int as height_px, null::double[] as region,
    case when described is null then name else about end as text,
    to_json({{{fields}, '_pmd': {{'field': case when described is null then 'title' else 'description' end, 'language': 'en',
        'score': coalesce(described, titled)}}}})::varchar as meta,
    '{_LICENCE}' as text_licence,
    'CC-' || upper(regexp_extract(licenseurl, 'licenses/([a-z-]+)/2.0', 1)) || '-2.0' as image_licence,
    licenseurl as licence_evidence, 'train' as split
from named
order by pair_id
"""


def duckdb_yfcc(lines: str, folder: Path) -> dict[str, int]:
    """Write YFCC100M's pairs with DuckDB."""
    import duckdb
    from duckdb.func import PythonUDFType

    def whole(column: Any) -> Any:
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    made = duckdb.connect()
    of_one: list[tuple[Any, str]] = [(decoded, "varchar"), (detected, "double")]
    for function, gives in of_one:
        called = functools.partial(lambda of, texts: of(whole(texts)), function)
        made.create_function(
            function.__name__, called, ["varchar"], gives, type=PythonUDFType.ARROW, null_handling="special"
        )
    made.create_function(
        "mirrors",
        lambda of, hashes: multimedia_commons.mirror_lists(whole(of), whole(hashes)),
        ["varchar", "varchar"],
        "varchar[]",
        type=PythonUDFType.ARROW,
    )
    made.execute(_duckdb_yfcc_query(), [lines])
    made.execute(f"copy (from pairs) to '{folder}/pairs.parquet' (format parquet, compression zstd)")
    found = made.execute(f"select count(*) from '{folder}/pairs.parquet'").fetchone()
    return {"pairs": found[0] if found else 0}


def with_duckdb(lines: str, folder: Path) -> dict[str, int]:
    """Write Conceptual 12M's tables with DuckDB."""
    import duckdb
    from duckdb.func import PythonUDFType

    def canonical(column: Any) -> Any:
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return urls.canonical(whole)

    made = duckdb.connect()
    made.create_function("canonical", canonical, ["varchar"], "varchar", type=PythonUDFType.ARROW)
    made.execute(_PAIRS, [lines])
    for name, query in (("pairs", "from pairs"), ("views", _VIEWS), ("images", _IMAGES)):
        made.execute(f"copy ({query}) to '{folder}/{name}.parquet' (format parquet, compression zstd)")
    counted = [
        made.execute(f"select count(*) from '{folder}/{name}.parquet'").fetchone() for name in ("pairs", "images")
    ]
    return {name: found[0] for name, found in zip(("pairs", "images"), counted, strict=True) if found}


_TABLES: Final[dict[tuple[str, str], Callable[[str, Path], dict[str, int]]]] = {
    ("polars", "conceptual_12m"): with_polars,
    ("duckdb", "conceptual_12m"): with_duckdb,
    ("polars", "yfcc100m"): polars_yfcc,
    ("duckdb", "yfcc100m"): duckdb_yfcc,
}


def main() -> None:
    """Write the tables."""
    tool, source, lines, folder = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    print(json.dumps(_TABLES[tool, source](lines, Path(folder))))


if __name__ == "__main__":
    main()
