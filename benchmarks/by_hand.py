"""The tables of Conceptual 12M by hand, in Polars or in DuckDB: what somebody would write who needs them once.

    python benchmarks/by_hand.py polars|duckdb LINES.tsv FOLDER

One file each of pairs, images and views, with the columns of `pmd curate` and `pmd images` and in their order. Texts are in NFC
with single spaces, upstream's fields are JSON, keys have 16 bytes, repeated lines are numbered, URLs are made canonical by pmd's
own function, images have their places and sources. What it lacks: a row that is not as expected ends it, nothing says
where a row came from or why one left, copies on known hosts are not one image, all of it stands in memory, and a
run that is killed begins anew. The last line is JSON: pairs and images.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pmd.text import urls

_SOURCE: Final = "conceptual_12m"
_LICENCE: Final = "NOASSERTION"
_VIEW_COLUMNS: Final = (
    "image_id pair_id source source_id region width_px height_px text own_id image_url text_licence image_licence "
    "attribution split"
)


def with_polars(lines: str, folder: Path) -> dict[str, int]:
    """Write the tables with Polars."""
    import numpy as np
    import polars as pl

    def canonical(column: pl.Series) -> pl.Series:
        found = urls.canonical(column.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()))
        return pl.Series(column.name, pl.from_arrow(found))

    def joined(column: pl.Series) -> pl.Series:
        halves = np.column_stack([column.struct.field(name).to_numpy() for name in ("high", "low")])
        keys = pa.Array.from_buffers(pa.binary(16), len(halves), [None, pa.py_buffer(halves.tobytes())])
        return pl.Series(column.name, pl.from_arrow(keys.cast(pa.binary())))

    def key(text: pl.Expr) -> pl.Expr:
        return pl.struct(text.hash(0).alias("high"), text.hash(1).alias("low")).map_batches(joined, pl.Binary)

    def null(kind: Any) -> pl.Expr:
        return pl.lit(None, kind)

    pairs = (
        pl.scan_csv(
            lines,
            separator="\t",
            has_header=False,
            quote_char=None,
            schema={"image_url": pl.String, "caption": pl.String},
        )
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


def with_duckdb(lines: str, folder: Path) -> dict[str, int]:
    """Write the tables with DuckDB."""
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


def main() -> None:
    """Write the tables."""
    tool, lines, folder = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    print(json.dumps({"polars": with_polars, "duckdb": with_duckdb}[tool](lines, Path(folder))))


if __name__ == "__main__":
    main()
