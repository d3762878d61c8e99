"""What there is to choose from: the sources, every rule of every profile, the closed lists; and the sources' own files.

What `pmd sources` and `pmd manifests` show. `sources` reads the manifests and nothing else, so that it answers at once;
only `rules` imports the readers, whose options it lists.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from pmd import manifests
from pmd.errors import ConfigError
from pmd.manifests.model import Kind, Manifest, Table2
from pmd.manifests.outcome import Outcome, Progress
from pmd.manifests.selecting import human_size
from pmd.schema.exits import EXIT_CODES
from pmd.schema.statuses import STATUSES

#: The folder under FOLDER that upstream's files go to, as `pmd init` spells it.
DATA: Final = "data"

_IMAGES: Final[tuple[Kind, ...]] = ("images",)


class Which(TypedDict, total=False):
    """Which of the sources' files are meant, and who is told; without any of these the annotation files.

    Attributes:
        images: Archives of images too.
        optional: Variants too.
        files: Only these files, by name, whatever their kind.
        progress: Who is told.
    """

    images: bool
    optional: bool
    files: Sequence[str]
    progress: Progress | None


def sources() -> list[dict[str, Any]]:
    """Return one entry a source, in order of names; sizes and counts are those that were published."""
    listed = manifests.load_all()
    sharing: Counter[str] = Counter(table2.row for table2 in manifests.of_table2().values())
    return [
        {
            "name": manifest.name,
            "title": manifest.title,
            "hub_name": manifest.hub_name,
            "homepage": manifest.homepage,
            "upstream_rows": manifest.upstream_rows,
            "upstream_rows_are": manifest.published[0].what if manifest.published else None,
            "table2": _table2(manifest.table2, sharing),
            "table2_row": manifest.table2.row if manifest.table2 else None,
            "text_licence": manifest.text_licence,
            "image_licence": manifest.image_licence,
            "redistribute": manifest.redistribute,
            "download": human_size(manifests.select([manifest])) if manifest.files else "unknown",
            "needs": _needs(manifest),
        }
        for manifest in listed.values()
    ]


def _table2(table2: Table2 | None, sharing: Mapping[str, int]) -> str:
    if table2 is None:
        return "not in it"
    figure, count = f"{table2.pairs_millions}M", sharing[table2.row]
    return figure if count == 1 else f"{figure} ({count} sources)"


def _needs(manifest: Manifest) -> str:
    """Return what a person must do or get, beyond `pmd manifests fetch NAME`."""
    needed = manifests.select([manifest])
    if not manifest.files:
        return "files: where they are is not known"
    asked = [f"ask for {file.name}: {file.gated.where_to_ask}" for file in needed if file.gated]
    if asked:
        asked += [
            f"or take {file.name} ({human_size([file])}), open to all"
            for file in manifest.files
            if file.optional and file.kind == "annotations" and not file.gated
        ]
    if manifest.images_by_url:
        return "; ".join(asked)
    archives = manifests.select([manifest], kinds=_IMAGES)
    asked += [
        f"image archive {file.name} ({human_size([file])})"
        + (f", ask: {file.gated.where_to_ask}" if file.gated else ", pmd manifests fetch --images")
        for file in archives
    ]
    return "; ".join(asked)


def rules() -> dict[str, Any]:
    """Return every rule with its value in each profile, and the closed lists: reasons, statuses, exit codes."""
    from pmd import sources as readers
    from pmd.config.reasons import REASONS
    from pmd.config.tables import TABLES

    stages = {name: model.rules() for name, model in TABLES.items()}
    of_sources = {name: readers.load(name).options.rules() for name in (*readers.names(), *readers.readers())}
    return {
        "rules": [
            {
                "where": where,
                "option": option,
                "paper": _plain(rule.paper),
                "hub": _plain(rule.hub),
                "recommended": _plain(rule.recommended),
                "says": rule.says,
                "origin": rule.origin,
                "table2": rule.table2,
            }
            for where, listed in {**of_sources, **stages}.items()
            for option, rule in listed.items()
        ],
        "reasons": [{"stage": stage, "reason": reason, "says": says} for reason, (stage, says) in REASONS.items()],
        "statuses": list(STATUSES),
        "exit_codes": [{"code": code, "says": says} for code, says in EXIT_CODES.items()],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def spell(value: Any) -> str:
    """Spell an option's value as a configuration does: a JSON scalar or list of them is TOML, too."""
    return json.dumps(value, ensure_ascii=False)


def fetch_files(names: Sequence[str], folder: Path, **which: Unpack[Which]) -> list[dict[str, Any]]:
    """Download upstream's files of some sources to FOLDER/data/SOURCE/NAME.

    Args:
        names: Sources; none means all.
        folder: Local folder.
        which: Of which files, and who is told.

    Returns:
        One entry a file: source, name, state (`pmd.manifests.outcome.Status`), what there is to say, and whether it is not
        there or not right.

    Raises:
        ConfigError: No such source or file; or `folder` is none on this machine.
        PmdError: There is not the space for them.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError("not a folder", where="--folder", expected="a folder, be it new", found=str(folder))
    return _see_to(manifests.fetch, names, folder, **which)


def verify_files(names: Sequence[str], folder: Path, **which: Unpack[Which]) -> list[dict[str, Any]]:
    """Compare upstream's files under FOLDER/data with what was published of them; arguments as `fetch_files`.

    Without `files` and `optional`, files that a build does without are checked where they are there.

    Raises:
        ConfigError: No such source or file.
    """
    return _see_to(manifests.verify, names, folder, **which)


def _see_to(
    work: Callable[..., Iterable[Outcome]],
    names: Sequence[str],
    folder: Path,
    *,
    images: bool = False,
    optional: bool = False,
    files: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    chosen = [manifests.load(name) for name in dict.fromkeys(names)] or list(manifests.load_all().values())
    kinds: tuple[Kind, ...] = ("annotations", *_IMAGES) if images else ("annotations",)
    wanted = list(files) or None
    if optional and not files:
        wanted = [file.name for manifest in chosen for file in manifest.files if file.kind in kinds]
    outcomes = work(chosen, folder / DATA, names=wanted, kinds=kinds, progress=progress)
    return [_entry(outcome) for outcome in outcomes]


def _entry(outcome: Outcome) -> dict[str, Any]:
    says = "; ".join(part for part in (outcome.detail, outcome.remedy) if part)
    return {
        "source": outcome.file.source,
        "name": outcome.file.name,
        "path": outcome.path,
        "state": outcome.status,
        "says": says,
        "bad": not outcome.ok,
    }
