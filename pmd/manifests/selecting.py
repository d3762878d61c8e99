"""Which files are meant, how large they are, and the command that gets them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pmd.errors import ConfigError
from pmd.manifests.model import ANNOTATIONS, Kind, Manifest, ManifestFile


def select(
    manifests: Iterable[Manifest], *, names: Collection[str] | None = None, kinds: Collection[Kind] = ANNOTATIONS
) -> list[ManifestFile]:
    """Return the files meant, each once, in the manifests' order.

    Args:
        manifests: The sources.
        names: File names; of any kind, optional ones too. None: every file of `kinds` that is not optional.
        kinds: The kinds wanted where no names are given.

    Raises:
        ConfigError: A name is no file of these sources.
    """
    files = {file.target: file for manifest in manifests for file in manifest.files}
    if names is None:
        # A file that two sources share is optional only if it is so for both.
        needed = {file.target for one in manifests for file in one.files if not file.optional and file.kind in kinds}
        return [file for target, file in files.items() if target in needed]
    known = {file.name for file in files.values()}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ConfigError(
            f"no such file: {', '.join(unknown)}",
            expected=", ".join(sorted(known)) or "a source",
            found=", ".join(unknown),
            remedy="name files as the manifests of the chosen sources do",
        )
    return [file for file in files.values() if file.name in names]


def fetch_command(file: ManifestFile, manifest: Manifest | None = None) -> str:
    """Return the command that downloads a file, for the source that wants it (default: the one that keeps it)."""
    command = f"pmd manifests fetch {manifest.name if manifest else file.source}"
    return command if file.kind == "annotations" and not file.optional else f"{command} --file {file.name}"


def human_bytes(count: int) -> str:
    """Return a size as people say it: three digits and a decimal unit ("1.06 GB")."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:#.3g} {unit}".replace(". ", " ")
        size /= 1000
    return f"{size:#.3g} TB".replace(". ", " ")


def human_size(files: Iterable[ManifestFile]) -> str:
    """Return what is known of the files' sizes together: "1.06 GB", "about 15.0 GB", "over 2.70 GB", or nothing."""
    listed = list(files)
    sizes = [file.bytes or file.bytes_about for file in listed]
    known = [size for size in sizes if size is not None]
    if not known:
        return "size not published"
    total = human_bytes(sum(known))
    if len(known) < len(sizes):
        return f"over {total}"
    return f"about {total}" if any(file.bytes is None for file in listed) else total
