"""What a person reads who lacks a file: the one-line hint of a build, and the configuration that `pmd init` prints."""

from __future__ import annotations

import fnmatch
import posixpath
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from pmd import escape
from pmd.manifests.loading import load, load_all, of_table2
from pmd.manifests.model import Kind, Manifest, ManifestFile
from pmd.manifests.selecting import fetch_command, human_size, select

_COLUMNS: Final = 118
_IMAGES: Final[tuple[Kind, ...]] = ("images",)

_HEAD = """\
# Paths here are relative to the folder of this file, wherever pmd is run.
root = "out/pmd"                     # or any fsspec URL
profile = "recommended"              # paper | hub | recommended
seed = 0
contact = "mailto:you@example.org"   # sent with every request; a real run needs it
"""

_TAIL = """\
# [sources.my_pairs]                 # any other name: a table of your own pairs (TSV, CSV, Parquet, JSON Lines)
# reader = "url_text"
# annotations = ["my_pairs.csv"]

[fetch]
store = "resized"                    # or "original"; images with regions are always kept original
short_side_px = 256
# resize_mode = "center_crop"          # keep_ratio | keep_ratio_largest | center_crop | border | no; in [shard] too
# image_size = 256                     # for any of them, in place of short_side_px
# encode_format = "webp"               # jpg | png | webp
# min_side_px = 200                    # smaller pictures are not stored
# max_aspect_ratio = 3.0               # nor are narrower ones
per_host = { requests_per_s = 10, connections = 8 }
# resolve = { "images.cocodataset.org:80" = "127.0.0.1:8080", "*:443" = "127.0.0.1:8443" }   # as curl's --connect-to
# allow_addresses = ["127.0.0.1/32"]   # private addresses are refused unless named
# ca_file = "ca.pem"

[shard]
formats = ["webdataset", "parquet"]
unit = "image"                       # or "pair"
samples_per_shard = 10000
"""


def missing_hint(source: str, path: str) -> str:
    """Return the line that ends a build which lacks a file: what is missing, and what gets it.

    Args:
        source: The source whose configuration names the file.
        path: Path or glob, as it is looked for; a member ("a.zip!/m") stands for its archive.

    Raises:
        ConfigError: There is no such source.
    """
    manifest = load(source)
    archive = path.partition("!/")[0]
    name = posixpath.basename(archive)
    files = [file for file in manifest.files if file.name == name or fnmatch.fnmatchcase(file.name, name)]
    # A glob such as "*.zip" means what a build needs, unless it names nothing but variants.
    files = [file for file in files if not file.optional] or files
    missing = f"{source}: {archive} not found"
    if not files:
        required = select([manifest])
        if not required:
            return f"{missing}; where upstream's files are is not known: name yours in the configuration"
        names = ", ".join(file.name for file in required)
        command = fetch_command(required[0], manifest)
        return f"{missing}; run: {command} ({human_size(required)}), which gets {names}"
    if files[0].gated:
        return f"{missing}; {files[0].gated.how}; ask at {files[0].gated.where_to_ask}; put it at {path}"
    extra = [part for file in files[1:] if "--file" in (part := fetch_command(file, manifest))]
    command = fetch_command(files[0], manifest) + "".join(part.partition("fetch " + source)[2] for part in extra)
    return f"{missing}; run: {command} ({human_size(files)})"


def starter_config(names: Iterable[str] | None = None) -> str:
    """Return a configuration to begin with: TOML, with comments on what to download, how large it is and what is gated.

    Args:
        names: Sources, in the order wanted; None: all.

    Raises:
        ConfigError: There is no such source.
    """
    manifests = list(load_all().values()) if names is None else [load(name) for name in dict.fromkeys(names)]
    sections = [_section(manifest) for manifest in manifests]
    return "\n".join([_totals(manifests), _HEAD, *sections, _TAIL])


def _totals(manifests: list[Manifest]) -> str:
    annotations = [file for file in select(manifests) if not file.gated]
    images = [file for file in select(manifests, kinds=_IMAGES) if not file.gated]
    names = " ".join(manifest.name for manifest in manifests if manifest.files)
    lines = ["What to download first, unless you have it:", f"  pmd manifests fetch {names}"] if names else []
    if annotations:
        lines.append(f"Annotation files: {human_size(annotations)}.")
    if images:
        lines.append(f"Archives of images, named below: {human_size(images)} more.")
    lines.append("`pmd plan` tells rows, bytes, hours and disk before anything runs.")
    return "".join(f"# {line}\n" for line in lines)  # not wrapped: the command is to be copied


def _section(manifest: Manifest) -> str:
    lines = [
        f"{manifest.title}: {manifest.description}",
        f"Upstream: {_upstream(manifest)}. {_table2(manifest)}",
        f"Text: {manifest.text_licence}. {manifest.text_licence_note}",
        f"Images: {manifest.image_licence}. {manifest.image_licence_note}",
    ]
    text = "".join(_comment(line) for line in lines) + f"[sources.{manifest.name}]\n"
    annotations = [file for file in select([manifest]) if file.option is None]
    images = select([manifest], kinds=_IMAGES)
    # Where a file is gated, what can be had without asking is shown beside it.
    open_to_all = [file for file in manifest.files if file.optional and file.kind == "annotations" and not file.gated]
    if "files" in manifest.unknown:
        text += _comment("Where upstream's files are is not known: name yours.")
    text += _array("annotations", annotations, open_to_all if any(file.gated for file in annotations) else ())
    if images and manifest.images_by_url:
        text += _comment("Optional: archives, read in place, so that these images need not be fetched one by one.")
        text += "".join("# " + line for line in _array("images", images).splitlines(keepends=True))
    elif images:
        text += _comment("Needed: these images have no URLs of their own.") + _array("images", images)
    for file in select([manifest]):
        if file.option is not None:
            text += f"{file.option} = {_path(file)}   # {_remark(file)}\n"
            if file.note:
                text += _comment(f"  {file.note}")
    return text


def _upstream(manifest: Manifest) -> str:
    counts = manifest.published
    return f"{counts[0].rows:,} {counts[0].what}" if counts else "how many records it has is not known"


def _table2(manifest: Manifest) -> str:
    table2 = manifest.table2
    if table2 is None:
        return "FLAVA's Table 2 does not have it."
    sharing = sum(other.row == table2.row for other in of_table2().values())
    together = f" ({sharing} sources together)" if sharing > 1 else ""
    return f'FLAVA\'s Table 2, "{table2.row}": {table2.pairs_millions}M pairs{together}.'


def _array(key: str, files: list[ManifestFile], others: Sequence[ManifestFile] = ()) -> str:
    """Spell an array of paths, one a line, each with its size; `others` as comments; what is gated is told above it."""
    text = ""
    for file in files:
        if file.gated:
            text += _comment(f"Gated, {file.name}: {file.gated.how}; ask at {file.gated.where_to_ask}")
    text += f"{key} = [\n"
    for file in [*files, *others]:
        either = "# " if file in others else ""
        text += f"    {either}{_path(file)},   # {_remark(file)}\n"
    return text + "]\n"


def _remark(file: ManifestFile) -> str:
    size = human_size([file])
    rows = f", {file.rows:,} rows" if file.rows else ""
    if file.gated:
        return f"{size}{rows}; gated"
    command = fetch_command(file)
    return f"{size}{rows}; {command}" if "--file" in command else f"{size}{rows}"


def _path(file: ManifestFile) -> str:
    return escape.toml(posixpath.join("data", file.target))  # where `pmd manifests fetch` puts it


def _comment(text: str) -> str:
    return "".join(
        f"# {line}\n" for line in textwrap.wrap(text, _COLUMNS, break_on_hyphens=False, break_long_words=False)
    )
