"""Which column of any data set is which: guessed by name, told to the user, and overruled by `--column`.

A name counts whatever its capitals are, and spaces around it; a space or a hyphen in it is as an underscore. What a
data set lacks it lacks: only the text is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pmd.errors import ConfigError

#: What an audit can use → the names that such columns have, best first: those of pmd's own lists, of the Hub's data sets, of
#: img2dataset and LAION, of upstream's files.
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text", "caption", "txt", "captions", "sentence", "alt_text", "alttext", "alt", "title", "description"),
    "url": ("image_url", "url", "img_url", "link", "download_url"),
    # A file's name is the image's; an id may be that of one of several texts.
    "id": (
        *("image_id", "photo_id", "photoid", "image_name", "file_name", "filename", "image_path", "filepath", "image"),
        *("id", "source_id", "key"),
    ),
    "user": (
        *("user", "user_id", "uid", "username", "user_name", "screen_name", "author", "uploader", "owner", "owner_id"),
        *("photographer", "photographer_id", "creator", "contributor"),
    ),
    "licence": ("image_licence", "licence", "license", "image_license"),
    "width": ("original_width", "width", "width_px", "image_width"),
    "height": ("original_height", "height", "height_px", "image_height"),
    "latitude": ("latitude", "lat", "decimallatitude", "gps_latitude"),
    "longitude": ("longitude", "lon", "lng", "long", "decimallongitude", "gps_longitude"),
}
TEXT: Final = "text"
#: A name of ids that pictures themselves have elsewhere.
PICTURE: Final = "image"
#: A name of users in YFCC100M's files, where photographs have an id of their own beside it, and of rows in DataComp's.
_EITHER: Final = "uid"
#: Ids of photographs and of rows, beside which it is not the row's: img2dataset's `key` stands beside either.
_OWN_IDS: Final = frozenset({"image_id", "photo_id", "photoid", "id", "source_id"})

#: That no column is meant.
NONE: Final = "none"


def given(words: Iterable[str]) -> dict[str, str]:
    """Return the columns that `--column` names: role → column, or `NONE`.

    Raises:
        ConfigError: It is no such assignment, or a role is named twice.
    """
    found: dict[str, str] = {}
    for word in words:
        role, sign, name = word.partition("=")
        if not sign or not name or role not in ROLES or role in found or (role == TEXT and name == NONE):
            raise ConfigError(
                "no column is named so",
                where="--column",
                expected=f"ROLE=COLUMN, each role once, of {', '.join(ROLES)}; COLUMN none: no such column, but for text",
                found=word,
            )
        found[role] = name
    return found


def guessed(columns: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Return role → column, of the roles that a table has; what the user names stands, whether the table has it or not."""
    known = {folded(name): name for name in reversed(columns)}
    uid_names_rows = "user" not in named and not known.keys() & _OWN_IDS
    found = {}
    for role, candidates in ROLES.items():
        if role in named:
            if named[role] != NONE:
                found[role] = named[role]
            continue
        names = candidates
        if uid_names_rows and role == "user":
            names = tuple(name for name in candidates if name != _EITHER)
        elif uid_names_rows and role == "id":
            names = (*candidates, _EITHER)
        there = [known[name] for name in names if name in known]
        if there:
            found[role] = there[0]
    # Half a place is none.
    if ("latitude" in found) != ("longitude" in found):
        found = {role: name for role, name in found.items() if role not in ("latitude", "longitude")}
    return found


def folded(name: str) -> str:
    """Return a column's name as those of `ROLES` are written."""
    return re.sub("[ -]", "_", name.strip().casefold())


def told(roles: Mapping[str, str]) -> str:
    """Return which columns are which, in words."""
    return ", ".join(f"{role} = {name}" for role, name in roles.items())
