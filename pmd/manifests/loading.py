"""Reads `manifests/*.toml`. A mistake in one names the file and the key; all mistakes of a file are told at once."""

from __future__ import annotations

import difflib
import functools
import json
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pmd.errors import ConfigError, InputError
from pmd.manifests.model import Manifest, Recorded, Table2

#: Beside the package `pmd`, in a checkout as in an installation: found by path, so that no other folder called
#: "manifests" on the import path gets in the way.
FOLDER: Final = Path(__file__).resolve().parents[2] / "manifests"

_REMEDY: Final = "mend the manifest; its keys are those of pmd.manifests.Manifest"


def load_all(folder: Path = FOLDER) -> dict[str, Manifest]:
    """Return every source's manifest, in order of names.

    Raises:
        InputError: There are none, or one is not valid; names the file and each key.
    """
    return dict(_load_folder(folder))


def load(name: str, folder: Path = FOLDER) -> Manifest:
    """Return one source's manifest.

    Raises:
        ConfigError: There is no such source.
        InputError: As `load_all`.
    """
    manifests = _load_folder(folder)
    if name not in manifests:
        near = difflib.get_close_matches(name, manifests, n=1)
        raise ConfigError(
            f"no such source: {name}",
            expected=", ".join(manifests),
            found=name,
            remedy=f"did you mean {near[0]}?" if near else "pmd sources lists them",
        )
    return manifests[name]


def of_table2() -> dict[str, Table2]:
    """Return the row of FLAVA's Table 2 of each source that is in one, in order of names."""
    return {name: manifest.table2 for name, manifest in load_all().items() if manifest.table2 is not None}


def hub_name(name: str) -> str:
    """Return what a published list calls a source, as facebook/pmd does; a source of a configuration's own has its name."""
    manifest = load_all().get(name)
    return name if manifest is None else manifest.hub_name


def recorded(name: str) -> Recorded:
    """Return which of upstream's fields say who, where and when; none are known of a source of a configuration's own."""
    manifest = load_all().get(name)
    return Recorded() if manifest is None else manifest.recorded


@functools.cache
def _load_folder(folder: Path) -> dict[str, Manifest]:
    paths = sorted(folder.glob("*.toml"), key=lambda path: path.stem.lower())
    if not paths:
        raise InputError(
            "no manifests",
            where=str(folder),
            expected="one TOML file a source",
            remedy="install pmd again; its wheel carries this folder",
        )
    raw = {path: _read(path) for path in paths}
    owners = {path.stem: content for path, content in raw.items()}
    return {path.stem: _validate(path, content, owners) for path, content in raw.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("not a TOML file", where=str(path), found=str(error), remedy=_REMEDY) from None


def _validate(path: Path, content: dict[str, Any], owners: dict[str, dict[str, Any]]) -> Manifest:
    mistakes = [] if content.get("name") == path.stem else [f"name: expected {path.stem!r}, as the file is called"]
    files = content.get("files")
    if isinstance(files, list):
        content = {**content, "files": [_own(path.stem, file, owners) for file in files]}
    try:
        # By way of JSON, in which a strict model takes arrays for tuples.
        manifest = Manifest.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        mistakes += [f"{_key(item['loc'])}: {item['msg']}" for item in error.errors(include_url=False)]
        manifest = None
    if mistakes or manifest is None:
        raise InputError(
            f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''} in the manifest",
            where=str(path),
            found="; ".join(mistakes),
            remedy=_REMEDY,
        )
    return manifest


def _own(source: str, file: object, owners: dict[str, dict[str, Any]]) -> object:
    """Return a file's keys with its source; `same_as` another source's gives it that one's keys under its own.

    What cannot be followed is left as it is, for the model to complain of.
    """
    if not isinstance(file, dict) or "source" in file:
        return file
    if "same_as" not in file:
        return {**file, "source": source}
    owner, _, name = str(file["same_as"]).partition("/")
    candidates = owners.get(owner, {}).get("files", []) if owner != source else []
    # The other source's option is not this one's.
    shared = {key: value for key, value in file.items() if key != "same_as"}
    for candidate in candidates:
        if isinstance(candidate, dict) and candidate.get("name") == name:
            inherited = {key: value for key, value in candidate.items() if key not in {"option", "optional"}}
            return {**inherited, **shared, "source": owner}
    return file


def _key(location: tuple[int | str, ...]) -> str:
    """Spell a place in the TOML: ``files[2].sha256``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(whole file)"
