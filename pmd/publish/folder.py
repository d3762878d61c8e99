"""The release: the lists in a folder that is ready to be handed on, with card, licences, Croissant, citation, checksums.

It stands beside the stages' folders and outside of the commits, since it becomes others': people edit a card, and loaders leave
files of their own. A card that somebody has changed stays, and the one that would have replaced it is put beside it. The lists
themselves are the committed files under a second name, where the file system knows such, else copies.

build.json is written last: until it says what the release is made of, the next build writes it again.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from pmd import __version__, flow
from pmd.config import Config
from pmd.errors import VerificationError
from pmd.publish import card, census, citation, croissant, repeating, withdrawn
from pmd.publish.find import index
from pmd.publish.find import page as find_page
from pmd.refresh import waves
from pmd.store import commits, root, sealed, storage, written
from pmd.store.commits import Commit
from pmd.store.standing import Standing
from pmd.store.wanted import as_json

README: Final = "README.md"
#: Where a card goes while somebody's own stands.
NEW_README: Final = "README.new.md"
CROISSANT: Final = "croissant.json"
CITATION: Final = "CITATION.cff"
BUILD: Final = "build.json"
SUMS: Final = "SHA256SUMS"
#: What is still there, as JSON, rows and a page.
AVAILABILITY: Final = "availability"
#: Looks an image up, in the shards of the folder.
FIND: Final = "find.html"
INDEX: Final = "find"

#: The files of lists that a release may have.
_LISTS: Final = re.compile(rf"{flow.LISTS.pattern.removeprefix(f'{flow.LISTS.above}/')}/{flow.LISTS.files}")
#: These, what their index is made of, and what has left them; whatever else stands there is never removed.
_OURS: Final = re.compile(rf"{_LISTS.pattern}|{INDEX}/[0-9a-f]+\.js|{re.escape(withdrawn.FILE)}")

#: The files without which a release is not whole; build.json says of what.
WHOLE: Final = (
    README, CROISSANT, CITATION, card.LICENCE_FILE, SUMS, FIND, *(f"{AVAILABILITY}.{form}" for form in ("json", "csv", "html"))
)  # fmt: skip

#: In build.json: the digest of the list of what has left, or null.
_WITHDRAWN: Final = "withdrawn"
#: And of the card that pmd has written.
CARD: Final = "card"
#: And of the list of what has left that is about to be replaced, until the release is whole.
_REPLACED: Final = "withdrawn_before"

#: Raised when the files would be written otherwise of the same lists. 7: find.html names the lists whose index it loads, and the
#: card writes no small share as 0.0%, and says of what shares are, and what a `pair_id` takes out. 8: build.json tells by which
#: rules each source was read; find.html knows links of Outlook's, pages of many pictures, and what is more than one address.
FORMAT: Final = 8


def write(config: Config, standing: Standing | None = None) -> bool:
    """Write the release, unless it is that of these lists and options already.

    Args:
        config: The configuration, whose lists stand as far as they do.
        standing: What stands under its ROOT; by default it is looked up.

    Returns:
        Whether anything was written.
    """
    folder = storage.join(config.root, flow.RELEASE)
    there = standing or Standing(config.root)
    lists = census.committed(config, there)
    before = _before(folder)
    if not lists and not before:
        return False
    if not all(census.is_by_split(file) for commit in lists.values() for file in commit.files):
        logging.getLogger("pmd.notes").warning(
            "the lists are of an earlier version, and no release is made of them: run pmd publish CONFIG, or pmd build CONFIG"
        )
        return False
    made_of = _made_of(config, lists, there)
    names = {*storage.list_files(folder)}
    has_left = before.get(_WITHDRAWN) is not None
    if before.get("made_of") == made_of and _is_whole(folder, names, lists, has_left=has_left):
        return False
    _replace(config, lists, there, before, names, made_of)
    return True


def _replace(
    config: Config,
    lists: Mapping[str, Commit],
    there: Standing,
    before: Mapping[str, Any],
    names: set[str],
    made_of: str,
) -> None:
    """Write the release anew.

    Args:
        config: The configuration.
        lists: Source → the commit of its list.
        there: What stands under ROOT.
        before: What build.json says of the release that stands.
        names: The files that stand in its folder.
        made_of: What it will be made of.
    """
    folder = storage.join(config.root, flow.RELEASE)
    content = contents(config, lists, there)
    readme = content.pop(README)
    listed = _listed(folder)
    _check_withdrawn(folder, before, listed, names)
    files, indexed = _files(config, lists), _indexed(lists)
    sums = {name: digest for name, (_, digest) in files.items()}
    stand = {name: listed[name] for name in listed.keys() & names} if before.get("index") == indexed else {}
    sums |= _shards(config, lists, folder, stand)
    _remove_cut_short(folder, files, names)
    # Before any list that it is told by is removed: killed then, the next one finds it here.
    left = _put_withdrawn(folder, before, [path for path, _ in files.values()])
    sums |= {} if left is None else {withdrawn.FILE: left}
    told = {"made_of": made_of, CARD: commits.sha256(readme), "index": indexed, _WITHDRAWN: left}
    content[BUILD] = _json(orjson.loads(content[BUILD]) | told)
    sums |= {name: commits.sha256(each) for name, each in content.items()}
    _remove(folder, ((listed.keys() | names & {withdrawn.FILE}) - sums.keys()) | _left_half_written(folder))
    for name, (path, _) in files.items():
        storage.share(path, storage.join(folder, name))
    _put_card(folder, readme, before.get(CARD))
    content[SUMS] = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()
    _put_all(folder, content, sums)


def _shards(config: Config, lists: Mapping[str, Commit], folder: str, stand: Mapping[str, str]) -> dict[str, str]:
    """Return name → digest of the shards of the index: of those that stand, if they are all, else of new ones.

    Args:
        config: The configuration.
        lists: Source → the commit of its list.
        folder: That of the release.
        stand: Files of the release of these lists that stand → their digests.
    """
    shards = {name: digest for name, digest in stand.items() if name.startswith(f"{INDEX}/")}
    return shards if len(shards) == 2 ** _bits(lists) else dict(_put_index(config, lists, folder))


def _remove_cut_short(folder: str, files: Mapping[str, tuple[str, str]], names: set[str]) -> None:
    """Remove lists that were cut short: their rows are those of the list that is to stand."""
    for name in names & files.keys():
        if storage.size(storage.join(folder, name)) != storage.size(files[name][0]):
            storage.remove(storage.join(folder, name))


def _remove(folder: str, names: set[str]) -> None:
    """Remove files, and folders of lists that are no longer published; those in which somebody's file is stay."""
    for name in sorted(names):
        storage.remove(storage.join(folder, name))
    for name in sorted({posixpath.dirname(name) for name in names} - {""}):
        storage.remove_folder(storage.join(folder, name))


def _put_all(folder: str, content: Mapping[str, bytes], others: Iterable[str]) -> None:
    """Write files; the one that says that all is whole comes last, also after a power cut."""
    for name in sorted(content.keys() - {BUILD}):
        storage.put(storage.join(folder, name), content[name])
    storage.sync_folders(storage.join(folder, name) for name in {*content, *others})
    storage.put(storage.join(folder, BUILD), content[BUILD])
    storage.sync_folders([storage.join(folder, BUILD)])


def _is_whole(folder: str, names: set[str], lists: Mapping[str, Commit], *, has_left: bool) -> bool:
    """Return whether all of a release is there, and on this machine whether no list was cut short."""
    sizes = {census.name_of(name, file): file.bytes for name, commit in lists.items() for file in commit.files}
    shards = sum(name.startswith(f"{INDEX}/") for name in names)
    if not names.issuperset((*WHOLE, *sizes, *([withdrawn.FILE] if has_left else []))) or shards < 2 ** _bits(lists):
        return False
    # Elsewhere each would be a request, and a store replaces files whole.
    return not storage.is_local(folder) or all(
        storage.size(storage.join(folder, name)) == size for name, size in sizes.items()
    )


def contents(config: Config, lists: Mapping[str, Commit], standing: Standing) -> dict[str, bytes]:
    """Return name → content of the files, but for the checksums: of the same lists and options the same bytes."""
    # Late: they bring scipy, and every build reads this module in, also one that has nothing to write.
    from pmd.publish import measured
    from pmd.refresh import page, results

    listed = census.take(config, lists)
    said = measured.statements(measured.read(config.root))
    found = results.gather(config.root, standing)
    return {
        README: card.readme(
            config.card,
            listed,
            _books(config),
            _moved(config, lists),
            said,
            measured.still_there(found),
            __version__,
        ).encode(),
        card.LICENCE_FILE: card.licence_file(listed).encode(),
        CROISSANT: _json(croissant.describe(config.card, config.fetch, config.dedupe, listed, said)),
        CITATION: citation.cff(config.card).encode(),
        BUILD: _json(repeating.describe(config, lists, standing)),
        f"{AVAILABILITY}.json": _json(found),
        f"{AVAILABILITY}.csv": results.table(found).encode(),
        f"{AVAILABILITY}.html": page.html(found).encode(),
        FIND: find_page.html(config.card, listed, _bits(lists)),
    }


def _announce(folder: str, before: Mapping[str, Any], digest: str | None) -> None:
    """Note the digests of a list of what has left that is about to stand (None: to go), and of the one that stands.

    Killed then, the next run knows both, however many were killed before: SHA256SUMS is still that of the last whole release.
    """
    if before and before.get(_WITHDRAWN, "") != digest:
        stands = sealed.measured(storage.join(folder, withdrawn.FILE))
        told = {"made_of": None, _WITHDRAWN: digest, _REPLACED: None if stands is None else stands[1]}
        storage.put(storage.join(folder, BUILD), _json({**before, **told}))
        storage.sync_folders([storage.join(folder, BUILD)])


def _put_withdrawn(folder: str, before: Mapping[str, Any], lists: Iterable[str]) -> str | None:
    """Write the list of what has left the lists that are to stand; return its digest, or None where nothing has."""
    left = withdrawn.update(folder, _standing(folder), lists, lambda digest: _announce(folder, before, digest))
    if left is None:
        _announce(folder, before, None)
    else:  # before the lists go that it is told by
        storage.sync_folders([storage.join(folder, withdrawn.FILE)])
    return left


def _check_withdrawn(folder: str, before: Mapping[str, Any], sums: Mapping[str, str], names: set[str]) -> None:
    """Refuse to go on from a list of what has left that is damaged or gone: nothing else knows what had left before.

    Args:
        folder: That of the release.
        before: What build.json says.
        sums: What SHA256SUMS says.
        names: The files that stand in the folder.

    Raises:
        VerificationError: It is damaged, or gone.
    """
    known = {sums.get(withdrawn.FILE)} if SUMS in names else set()
    known |= {before[name] for name in (_WITHDRAWN, _REPLACED) if name in before}
    told = sorted(digest for digest in known if digest is not None)
    path = storage.join(folder, withdrawn.FILE)
    state = sealed.measured(path) if told and withdrawn.FILE in names else None
    if told and (None if state is None else state[1]) not in known:
        raise VerificationError(
            "the list of what has left the lists is gone" if state is None else "the list of what has left is damaged",
            where=path,
            expected=f"sha256 {' or '.join(told)}",
            found=sealed.in_words(state),
            remedy="put it back from a copy of the release, such as the one that is published. If there is none, remove it and "
            f"{BUILD}, and its line in {SUMS}: what left in earlier releases is then told no more",
        )


def _put_card(folder: str, readme: bytes, ours: Any) -> None:
    """Write the card; where somebody has changed the one that stands, or written it, beside it."""
    path, beside = storage.join(folder, README), storage.join(folder, NEW_README)
    stands = storage.read_bytes(path) if storage.exists(path) else b""
    # One in another encoding than UTF-8 is somebody's work, too: it is told by `pmd verify`, and only `pmd repair` replaces it.
    is_ours = not stands.strip(b"\0 \t\r\n") or commits.sha256(stands) in {ours, commits.sha256(readme)}
    storage.put(path if is_ours else beside, readme)


def is_card(content: bytes) -> bool:
    """Return whether somebody may have written a card so: it is text, and not empty. A power cut leaves NULs, or nothing."""
    try:
        return bool(content.decode().strip()) and b"\0" not in content
    except UnicodeDecodeError:
        return False


def card_written(folder: str) -> str | None:
    """Return the digest of the card that was written for a release; None where it is not known."""
    digest = _before(folder).get(CARD)
    return digest if isinstance(digest, str) else None


def _before(folder: str) -> dict[str, Any]:
    """Return what build.json says of the files that stand; nothing where it is none of ours."""
    try:
        found = orjson.loads(storage.read_bytes(storage.join(folder, BUILD)))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _made_of(config: Config, lists: Mapping[str, Commit], standing: Standing) -> str:
    return commits.options_hash(
        {
            "format": FORMAT,
            "card": as_json(config.card),
            "build": repeating.describe(config, lists, standing),
            "ledger": standing.generations.digest,
            "waves": {date: commit.digest() for date, commit in waves.committed(config.root).items()},
        }
    )


def _books(config: Config) -> dict[str, Counter[str]]:
    """Return stage → pairs kept, and rejected by reason, of all sources."""
    books: dict[str, Counter[str]] = {}
    for stage in flow.JUDGING:
        fields = [{"source": name} for name in sorted(config.sources)] if stage.unit == "source" else [{}]
        for chosen in fields:
            commit = commits.read(storage.join(config.root, stage.books.at(**chosen)))
            for account in () if commit is None else commit.sources.values():
                books.setdefault(stage.name, Counter()).update({"kept": account.kept, **account.rejected})
    return books


def _moved(config: Config, lists: Mapping[str, Commit]) -> int:
    """Return how many rows of the lists are in another split than upstream has them in."""
    commit = commits.read(root.dedupe_folder(config.root))
    moved = {} if commit is None else commit.facts.get("moved_splits", {})
    return sum(sum(counts.values()) for source, counts in moved.items() if source in lists)


def _files(config: Config, lists: Mapping[str, Commit]) -> dict[str, tuple[str, str]]:
    """Return the lists' files: name in the release → where it stands, and its digest."""
    return {
        census.name_of(name, file): (storage.join(root.publish_folder(config.root, name), file.name), file.sha256)
        for name, commit in lists.items()
        for file in commit.files
    }


def _listed(folder: str) -> dict[str, str]:
    """Return the files that an earlier release has checksums of, those that are ours, with these."""
    path = storage.join(folder, SUMS)
    lines = storage.read_bytes(path).decode("utf-8", "replace").splitlines() if storage.exists(path) else []
    named = (line.partition("  ")[::2] for line in lines)
    return {name: digest for digest, name in named if _OURS.fullmatch(name)}


def _bits(lists: Mapping[str, Commit]) -> int:
    """Return how finely the index of lists is cut."""
    return index.bits_for(sum(file.rows for commit in lists.values() for file in commit.files))


def _indexed(lists: Mapping[str, Commit]) -> str:
    """Return what the index is made of."""
    return commits.options_hash(
        {"format": index.FORMAT, "lists": {name: commit.digest() for name, commit in lists.items()}}
    )


def _put_index(config: Config, lists: Mapping[str, Commit], folder: str) -> Iterator[tuple[str, str]]:
    """Write the shards of the index, one by one; yield name and digest of each."""
    paths = {
        name: [storage.join(root.publish_folder(config.root, name), file.name) for file in commit.files]
        for name, commit in lists.items()
    }
    for name, content in index.shards(paths, _bits(lists)):
        storage.put(storage.join(folder, INDEX, name), content)
        yield f"{INDEX}/{name}", commits.sha256(content)


def _standing(folder: str) -> list[str]:
    """Return the lists' files that stand in an earlier release."""
    return [storage.join(folder, name) for name in storage.list_files(folder) if _LISTS.fullmatch(name)]


def _left_half_written(folder: str) -> set[str]:
    """Return the temporaries of a run that was killed."""
    return {name for name in storage.list_files(folder) if written.is_temporary(name)}


def has_withdrawn(folder: str) -> bool:
    """Return whether a release was written with a list of what has left it."""
    return _before(folder).get(_WITHDRAWN) is not None


def is_ours(name: str) -> bool:
    """Return whether a release's file, by its name, is of a list, of their index, or the list of what has left."""
    return _OURS.fullmatch(name) is not None


def is_of_list(name: str) -> bool:
    """Return whether a release's file, by its name, is one of a list."""
    return _LISTS.fullmatch(name) is not None


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
