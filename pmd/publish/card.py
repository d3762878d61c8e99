"""The card of published lists: README.md as the Hub reads it, YAML above, and what a researcher must know below."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pmd import escape, flow
from pmd.audit.report import formatting
from pmd.config.options import CardOptions
from pmd.publish import census, named, withdrawn
from pmd.publish.census import Listed
from pmd.publish.columns import COLUMNS
from pmd.schema import licences
from pmd.terminal import bar

#: What a licence file and the Hub call terms that differ from row to row.
LICENCE_NAME: Final = "stated-per-row"
LICENCE_FILE: Final = "LICENSE.md"
#: Configurations beside those of the sources.
ALL: Final = "all"
ALIVE: Final = "alive"
#: The Hub's classes of size: below so many rows.
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
)
_LEVELS: Final = {
    "text": "URLs and texts",
    "urls": "URLs without texts",
    "ids": "ids, digests and status",
}

#: What these lists cannot be taken for; one more tells of languages.
_LIMITS: Final = (
    "A list is no archive: it says where images were, and which bytes were there. Images go, and hosts forbid; what is gone is "
    "gone for whoever rebuilds later.",
    "Licences are those that upstream states, and were not checked. Most images have none stated (`NOASSERTION`): that is no "
    "permission. The licence of a text says nothing of its image.",
    "Captions are what people wrote beside pictures: they are noisy, may be wrong or offensive, and may name people. Nothing was "
    "filtered by what a picture shows.",
    "People in pictures and authors of captions were not asked. The lists are made for research; using them to identify "
    "people, or "
    "to judge them, is no use that they support.",
)


def limits(listed: Sequence[Listed]) -> list[str]:
    """Return what these lists cannot be taken for, a sentence or two each."""
    languages = written_in(listed)
    if languages == ("en",):
        said = (
            "The texts are nearly all English, and the pictures mostly of the places and people that English-speaking sites "
            "show."
        )
    else:
        asked = (
            "In which languages all texts are, nobody has asked."
            if languages is None
            else f"The texts are in {', '.join(languages)}, as their sources say."
        )
        said = f"{asked} The pictures are mostly of the places and people that sites in such languages show."
    return [*_LIMITS[:-1], said, _LIMITS[-1]]


def written_in(listed: Sequence[Listed]) -> tuple[str, ...] | None:
    """Return the languages of all texts, as codes, sorted; None where nobody has asked in which those of some source are."""
    found: set[str] = set()
    for item in listed:
        if item.rows and item.written_in is None:
            return None
        found |= {*(item.written_in or ())} if item.rows else set()
    return tuple(sorted(found)) or ("en",)


def readme(
    options: CardOptions,
    listed: Sequence[Listed],
    books: Mapping[str, Counter[str]],
    moved: int,
    measured: Sequence[str],
    still_there: Sequence[str],
    pmd: str,
) -> str:
    """Return the card.

    Args:
        options: What the configuration says of the release.
        listed: The lists.
        books: Stage → what it did: `kept`, and pairs rejected by reason, of all sources.
        moved: Rows that are in another split than upstream has them in.
        measured: Sentences of what the audit has measured.
        still_there: Sentences of what could be had, and of what is still there.
        pmd: The version of this project.
    """
    sections = (
        _summary(options, listed),
        _loading(listed),
        _counts(listed, moved),
        _columns(),
        _built(books, pmd),
        _rights(listed),
        _named(listed),
        _withheld(listed),
        _availability(still_there),
        _bias(measured),
        ("## Limits", _bullets(limits(listed))),
        _removal(options),
        _citation(listed),
        _changes(options),
    )
    body = "\n\n".join(part for section in sections for part in section if part)
    return f"---\n{_front(options, listed)}\n---\n\n{body}\n"


# --- what the Hub reads ----------------------------------------------------------------------------------------------


def _front(options: CardOptions, listed: Sequence[Listed]) -> str:
    rows = sum(item.rows for item in listed)
    size = next((name for limit, name in _SIZES if rows < limit), "10B<n<100B")
    fields: dict[str, Any] = {
        "pretty_name": options.title,
        "license": "other",
        "license_name": LICENCE_NAME,
        "license_link": LICENCE_FILE,
        **_languages(listed),
        "annotations_creators": ["found"],
        "language_creators": ["found"],
        "size_categories": [size],
        "source_datasets": ["original"],
        "task_categories": ["image-to-text", "text-to-image"],
        "task_ids": ["image-captioning"],
        "tags": ["image-text pairs", "vision-language pre-training", "URL list"],
    }
    if options.gating_prompt is not None:
        fields["extra_gated_prompt"] = options.gating_prompt
    lines = [line for name, value in fields.items() for line in _field(name, value)]
    return "\n".join([*lines, *_configs(listed)])


def _languages(listed: Sequence[Listed]) -> dict[str, list[str]]:
    languages = written_in(listed)
    if languages is None:
        return {}
    return {"language": [*languages], "multilinguality": ["monolingual" if len(languages) == 1 else "multilingual"]}


def _field(name: str, value: str | list[str]) -> Iterator[str]:
    """Yield the lines of a field of YAML, with its strings in quotes."""
    if isinstance(value, str):
        yield f"{name}: {escape.yaml(value)}"
        return
    yield f"{name}:"
    yield from (f"  - {escape.yaml(item)}" for item in value)


def configs(listed: Sequence[Listed]) -> dict[str, dict[str, list[str]]]:
    """Return configuration → split → patterns of its files: of all, of each source, and of the rows that have URLs."""
    there = [item for item in listed if item.rows]
    found = {ALL: _patterns(there), ALIVE: _patterns(there, with_url=True)}
    return {name: files for name, files in (found | {item.name: _patterns([item]) for item in there}).items() if files}


def _patterns(listed: Iterable[Listed], *, with_url: bool = False) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in listed:
        for split in flow.SPLITS:
            parts = [part for part in item.parts if part.split == split and (part.has_urls or not with_url)]
            if parts:
                folder = parts[0].path.rpartition("/")[0]
                found.setdefault(split, []).append(f"{folder}/{flow.files_of_split(split, with_url=with_url)}")
    return {split: found[split] for split in flow.SPLITS if split in found}


def _configs(listed: Sequence[Listed]) -> Iterator[str]:
    # Without rows these are named all the same: else loaders take whatever table stands beside for the rows.
    found = configs(listed) or {ALL: {flow.SPLITS[0]: [f"{flow.LISTS.at(source='*').rpartition('/')[2]}/*.parquet"]}}
    yield "configs:"
    # `datasets` files what it keeps of a folder under these words and the folder's name. Without a digest the rows of another
    # release, or of an earlier one in this place, would be given again.
    digest = census.digest_of(listed)
    for name, splits in found.items():
        yield f"  - config_name: {escape.yaml(name)}"
        yield f"    description: {escape.yaml(f'of lists with the digest {digest}')}"
        if name == ALL:
            yield "    default: true"
        yield "    data_files:"
        for split, patterns in splits.items():
            yield f"      - split: {split}"
            yield "        path:"
            yield from (f"          - {escape.yaml(pattern)}" for pattern in patterns)


# --- what people read ------------------------------------------------------------------------------------------------


def _summary(options: CardOptions, listed: Sequence[Listed]) -> Iterator[str]:
    rows = sum(item.rows for item in listed)
    released = f", released {options.released}" if options.released else ""
    yield f"# {escape.html(options.title)}"
    yield (
        f"Version {escape.html(options.version)}{released}. {bar.amount(rows, 'image-text pairs')} of "
        f"{bar.amount(len(listed), 'sources')}: for each "
        f"the image's "
        "URL, its caption, the checksum that the image had when it was fetched, and the licences that are stated of both. "
        "There are no images in it."
    )
    yield (
        "It is a rebuild of PMD, the public corpus on which [FLAVA](https://arxiv.org/abs/2112.04482) was trained, from the "
        "annotation files that its sources publish. Rows keep the columns of "
        "[facebook/pmd](https://huggingface.co/datasets/facebook/pmd) (`image_url`, `text`, `source`, `meta`); the others "
        "are new. "
        "A row is listed where its image could be fetched, decoded and told from a placeholder. Its checksum is that of what "
        "its own URL gave, also where another image is equal or nearly equal."
    )


def _loading(listed: Sequence[Listed]) -> Iterator[str]:
    first = next((item for item in listed if item.rows), None)
    if first is None:
        return
    split = next(iter(first.splits))
    yield "## Loading"
    yield (
        "```python\n"
        "import datasets\n\n"
        f'rows = datasets.load_dataset("PATH", "{first.name}", split="{split}")  # PATH: this folder, or its name on the Hub\n'
        'everything = datasets.load_dataset("PATH", "all", streaming=True)\n'
        "```"
    )
    yield (
        "```python\n"
        "import duckdb, pandas, polars\n\n"
        f'pandas.read_parquet("PATH/source={first.name}")\n'
        "duckdb.sql(\"from 'PATH/source=*/*.parquet' limit 10\").df()\n"
        'polars.scan_parquet("PATH/source=*/*.parquet").head().collect()\n'
        "```"
    )
    with_urls = next((item for item in listed if item.rows_with_url), None)
    if with_urls is not None:
        yield from _downloading(with_urls.name)
    yield (
        "`croissant.json` describes the same files for [mlcroissant](https://github.com/mlcommons/croissant); "
        "`sha256sum -c SHA256SUMS` checks them."
    )


#: One row of each image for img2dataset, and how it is called; NAME is a source's.
_DOWNLOADING: Final = (
    """```python
import duckdb

duckdb.sql(\"\"\"copy (
  select image_url, first(text order by pair_id) as text, first(sha256) as sha256,
    to_json(list({'pair_id': pair_id, 'text': text, 'region': region} order by pair_id))::varchar as pairs
  from 'PATH/source=NAME/*.parquet' where image_url is not null group by image_url
) to 'NAME.parquet'\"\"\")
```""",
    """```bash
img2dataset --url_list NAME.parquet --input_format parquet --url_col image_url --caption_col text \\
  --save_additional_columns '["pairs"]' --compute_hash sha256 --verify_hash '["sha256", "sha256"]' \\
  --output_format webdataset --output_folder OUT
```""",
)


def _downloading(name: str) -> Iterator[str]:
    yield (
        f"The configuration `{ALIVE}` has the rows with a URL, whose image was there when it was asked for. To download them "
        "with img2dataset, folder by folder, make one row of each image first: it asks for an image as often as there are rows "
        "of it, and many images have several captions. All of them are then in `pairs`:"
    )
    yield from (part.replace("NAME", name) for part in _DOWNLOADING)


def _counts(listed: Sequence[Listed], moved: int) -> Iterator[str]:
    yield "## What it holds"
    heads = ("configuration", "source", "pairs", *flow.SPLITS, "with URL", "carries")
    rows = [
        (
            f"`{item.name}`",
            item.title,
            f"{item.rows:,}",
            *(f"{item.splits.get(split, 0):,}" for split in flow.SPLITS),
            f"{item.rows_with_url:,}",
            _LEVELS[item.level],
        )
        for item in listed
    ]
    totals = [sum(item.splits.get(split, 0) for item in listed) for split in flow.SPLITS]
    rows.append(
        (
            f"`{ALL}`",
            "together",
            f"{sum(item.rows for item in listed):,}",
            *(f"{count:,}" for count in totals),
            f"{sum(item.rows_with_url for item in listed):,}",
            "",
        )
    )
    yield _table(heads, rows, right=range(2, 3 + len(flow.SPLITS) + 1))
    yield (
        "Splits are upstream's, and `train` where it says none; but images that are one, by identity, bytes or near-duplicates, "
        "are in one split: the most restrictive that upstream has any of their pairs in, test over validation over train. "
        f"{moved:,} {'row was' if moved == 1 else 'rows were'} moved for this."
    )


def _columns() -> Iterator[str]:
    yield "## Columns"
    yield _table(("column", "what it says"), [(f"`{name}`", says) for name, says in COLUMNS.items()])


def _built(books: Mapping[str, Counter[str]], pmd: str) -> Iterator[str]:
    yield "## How it was built"
    yield (
        f"By pmd {pmd}, in stages, each of which says of every pair whether it stays and, if not, why. Pairs of all sources:"
    )
    rows = []
    for stage, counts in books.items():
        reasons = sorted(
            ((n, reason) for reason, n in counts.items() if reason != "kept"), key=lambda item: (-item[0], item[1])
        )
        said = ", ".join(f"`{reason}` {n:,}" for n, reason in reasons)
        rows.append((stage, f"{counts['kept']:,}", f"{sum(n for n, _ in reasons):,}", said))
    yield _table(("stage", "kept", "left", "why"), rows, right=(1, 2))
    yield (
        "`build.json` has what another needs to repeat it: versions, the configuration without paths and secrets, and the "
        "digests of "
        "the annotation files that were read and of what each stage wrote. The web will have changed; what is still there can "
        "be compared by `sha256` and `perceptual_hash`."
    )


def _rights(listed: Sequence[Listed]) -> Iterator[str]:
    yield "## Licences"
    yield (
        "There is no one licence. Each row states the text's (`text_licence`) and the image's (`image_licence`), which are "
        "different "
        f"rights of different people. `NOASSERTION` is SPDX's word for: none is stated. [{LICENCE_FILE}]({LICENCE_FILE}) "
        f"has the terms "
        "of each source in words."
    )
    rows = [(f"`{item.name}`", _licences(item.text_licences), _licences(item.image_licences)) for item in listed]
    yield _table(("source", "texts", "images"), rows)
    yield (
        "Where an image's licence asks for credit, `attribution` is a line that gives it: a page of the image that names "
        "its author, "
        "by an address without a user's name or id. Texts are credited by citing their source."
    )


def _licences(counts: Mapping[str, int]) -> str:
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({count:,})" for name, count in listed) or "none"


def _named(listed: Sequence[Listed]) -> Iterator[str]:
    """Yield how often rows name who contributed them, in the only columns that can."""
    yield "## Names"
    yield (
        "Upstream's fields of who took a picture or wrote a caption are in no column. The caption and the image's URL stand as "
        "they are, and may name people."
    )
    counted = [item for item in listed if item.named]
    if not counted:
        return
    yield _table(
        ("source", "rows whose contributor upstream names", "named in `text`", "named in `image_url`"),
        [
            (f"`{item.name}`", f"{item.named[named.ROWS]:,}", *(_part(item.named, column) for column in named.COLUMNS))
            for item in counted
        ],
        right=(1, 2, 3),
    )
    yield "By the account's own name or id, where it stands by itself; names of others were not looked for."


def _part(counts: Mapping[str, int], column: str) -> str:
    return f"{counts[column]:,} ({formatting.plain_percent(counts[column] / counts[named.ROWS])})"


def _withheld(listed: Sequence[Listed]) -> Iterator[str]:
    less = [item for item in listed if item.level != "text"]
    if not less:
        return
    yield "## What is withheld"
    yield _bullets(
        f"`{item.name}` carries {_LEVELS[item.level]}"
        + (f": {item.manifest.redistribute_reason}." if item.manifest is not None else ".")
        for item in less
    )
    yield (
        "Whoever has the annotation files refills these rows: `pmd curate CONFIG`, then `pmd join CONFIG PATH --out "
        "FOLDER`. A row is "
        "filled only where its `withheld_digest` is that of what the files say."
    )


def _availability(still_there: Sequence[str]) -> Iterator[str]:
    if still_there:
        yield "## What is still there"
        yield _bullets(still_there)
        yield (
            "`availability.html` has these by source, host, reason and day, as a page for any browser; `availability.json` and "
            "`availability.csv` have the same for machines. A row of a list is of an image that was there when it was fetched."
        )


def _bias(measured: Sequence[str]) -> Iterator[str]:
    yield "## Measured bias"
    if not measured:
        yield "Not measured: the audit of this build had not run when the card was written."
        return
    yield (
        "Of all sources together and what the audit last counted, by words and places in upstream's fields; nothing is said of "
        "who is in a picture. "
        "Shares have 95 % intervals where they come of a sample."
    )
    yield _bullets(measured)


def _removal(options: CardOptions) -> Iterator[str]:
    yield "## To have something removed"
    whom = f"Write to {escape.html(options.contact)}" if options.contact else "Write to whoever publishes this copy"
    yield (
        f"`find.html` looks an image up by its address, its page or its file, in a browser and without a network, and words the "
        "request. "
        f"{whom}, with the image's URL, its page, or an `image_id` from the list. It is left out of the next "
        "release, under every address that the sources know of it. A `pair_id` means that text alone: its image stays where "
        "others describe it. What its host forbids in robots.txt, or no longer has, is "
        "not fetched by who builds anew."
    )
    yield (
        f"Who holds an earlier release takes out of it the rows whose `pair_id` stands in `{withdrawn.FILE}`, where there is "
        "such a file here: all that have left since, of whatever cause."
    )


def _citation(listed: Sequence[Listed]) -> Iterator[str]:
    yield "## Citation"
    yield "`CITATION.cff` cites this release. Cite the paper that defined the corpus, and the sources that you use:"
    cited = [item.manifest.citation.strip() for item in listed if item.manifest is not None and item.manifest.citation]
    entries = dict.fromkeys([FLAVA, *(entry for several in cited for entry in re.split(r"\n(?=@)", several))])
    yield "```bibtex\n" + "\n".join(entries) + "\n```"


def _changes(options: CardOptions) -> Iterator[str]:
    if options.changes:
        yield "## Changes"
        yield _bullets(escape.html(change) for change in options.changes)


FLAVA: Final = """@inproceedings{singh2022flava,
  title={{FLAVA}: A Foundational Language And Vision Alignment Model},
  author={Singh, Amanpreet and Hu, Ronghang and Goswami, Vedanuj and Couairon, Guillaume and Galuba, Wojciech and
    Rohrbach, Marcus and Kiela, Douwe},
  booktitle={CVPR},
  year={2022}
}"""


def licence_file(listed: Sequence[Listed]) -> str:
    """Return what is known of each source's licences, in words."""
    lines = [
        "# Licences",
        "Each row of a list states the licence of its text and that of its image, as upstream does. What is said of the sources:",
    ]
    for item in listed:
        lines.append(f"## {item.title}")
        manifest = item.manifest
        if manifest is None:
            lines.append(
                f"Pairs of the publisher's own. Texts: {_linked(item.text_licences)}. Images: {_linked(item.image_licences)}."
            )
            continue
        lines.append(_bullets([
            f"Texts: {_linked([manifest.text_licence])}. {manifest.text_licence_note}",
            f"Images: {_linked(item.image_licences) or _linked([manifest.image_licence])}. {manifest.image_licence_note}",
            f"Published here: {_LEVELS[item.level]}; {manifest.redistribute_reason}.",
            f"Source: {manifest.homepage or 'its page is not known'}",
        ]))  # fmt: skip
    return "\n\n".join(lines) + "\n"


def _linked(stated: Iterable[str]) -> str:
    """Return licences with the addresses where they can be read."""
    said = []
    for licence in stated:
        address = licences.address(licence)
        said.append(f"[{licence}]({address})" if address else licence)
    return ", ".join(said)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    to_right = set(right)
    rule = ["--:" if column in to_right else "---" for column in range(len(heads))]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (heads, rule, *rows)
    )
