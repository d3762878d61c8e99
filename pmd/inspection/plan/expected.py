"""What is expected of each source: its rows, its pairs, its images and where these are.

Whatever is known best counts: the commit where it stands and is fresh, else a sample of the source's own files
(`pmd.inspection.plan.sampling`), else what was published. From a sample to images go the rules of the images stage themselves:
identities that are one photograph, takedowns, scores, archives at hand.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config import Config, SourceConfig, inputs, scores
from pmd.config.asked import Asked
from pmd.curate import needs as curate_needs
from pmd.errors import InputError
from pmd.fetch.politeness import forecast, hosts
from pmd.images import aliases, archived
from pmd.images import needs as images_needs
from pmd.images import rules as images_rules
from pmd.images.aliases import Aliases
from pmd.inspection.plan import composition, estimates, published, sampling
from pmd.inspection.plan.composition import Composition, first_groups, group_of
from pmd.inspection.plan.estimates import Estimate, Piece
from pmd.manifests.model import Manifest
from pmd.schema.tables import KEY, PAIRS
from pmd.sources.contract import InputFile
from pmd.store import commits, parquet_files, root, spools
from pmd.store.commits import Commit
from pmd.store.standing import Standing
from pmd.suppression import kept_out, lists
from pmd.suppression.lists import Suppression

#: Committed pairs that are looked at, of each source: they stand in the order of their keys' parts, so that some are as good
#: as any.
COMMITTED_PAIRS: Final = 50_000

#: How far published figures may be off: a row of Table 2 is rounded to .1 million, and which rule made it is not always known;
#: of a file that is another size than upstream's, rows are taken by size.
_TABLE_2: Final = 0.25
_BY_SIZE: Final = 0.3

#: How far the images of a source may be off that nothing was read of.
_IMAGES: Final = 0.1

#: What a source is told by where nothing could be read, and nobody published how many records it has.
UNKNOWN: Final = "unknown"

#: Images that a host group must have in a sample for it to be named; others are of hosts that hold no lane up.
_FEWEST_OF_HOST: Final = 20


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of one source by its own files.

    Attributes:
        name: Its name.
        input_bytes: Of its annotation files.
        missing: What is not there, and the command that fetches it.
        unreadable: Why nothing could be read of files that are there.
        basis: Where the figures come from: committed, counted (all files were read), sampled, published, Table 2,
            unknown (nothing was read, and nothing is published: its figures are 0).
        read_rows: Rows of its files that were read for this.
        rows: Rows of its files.
        pairs: Pairs that curate keeps.
    """

    name: str
    input_bytes: int
    missing: tuple[str, ...]
    unreadable: str | None
    basis: str
    read_rows: int
    rows: Estimate
    pairs: Estimate


@dataclasses.dataclass(frozen=True)
class SourceFigures(Known):
    """What is expected of one source.

    Attributes:
        taken: Pairs that the images stage keeps: in the sample, not taken down, of an allowed licence.
        images: Distinct images of these.
        groups: Host group → share of the images whose first location it has.
        composition: What shards make of them.
        local: Whether its configuration names archives of its images.
        seen: Keys of the images that were looked at; empty where nothing was.
    """

    taken: Estimate
    images: Estimate
    groups: Mapping[str, float]
    composition: Composition
    local: bool
    seen: frozenset[bytes] = frozenset()


@dataclasses.dataclass(frozen=True)
class _Looked(Known):
    """What was found of a source before sources meet."""

    source: SourceConfig
    table: pa.Table | None  # NEEDED of some pairs; None: nothing was read
    pieces: tuple[Piece, ...] = ()
    fraction: float = 1.0
    left_out: frozenset[bytes] = frozenset()  # evaluation images, as far as they were met
    kept_out: pa.Table | None = None  # KEPT_OUT of rows that were read, and that curate will drop

    @property
    def known(self) -> dict[str, Any]:
        """What is known of it, by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Known)}


_COLUMNS: Final = images_rules.NEEDED


@dataclasses.dataclass(frozen=True)
class Expected:
    """What is expected of all sources.

    Attributes:
        sources: Of each, in order of their names.
        shared: How many images more they count together than there are, since several have them.
        once: Source → the part of its images that are its own, if it halves with another what both have.
        images: `IMAGES`, where every image was seen; None: where some are estimated.
        composition: What shards make of them.
    """

    sources: tuple[SourceFigures, ...]
    shared: Estimate
    once: Mapping[str, float]
    images: pa.Table | None
    composition: Composition


def figures(config: Config) -> Expected:
    """Return what is expected of the sources.

    Raises:
        InputError: A takedown list or a file of scores cannot be read.
    """
    looked = [_look(config, source) for _, source in sorted(config.sources.items())]
    meeting = _Meeting.of(config, looked)
    spread = _heeding_others([None if item.table is None else _spread(config, item, meeting) for item in looked])
    found = tuple(_figures(config, item, rows, meeting) for item, rows in zip(looked, spread, strict=True))
    if all(rows is not None and item.fraction >= 1 for item, rows in zip(looked, spread, strict=True)):
        return _all_seen(config, found, pa.concat_tables(spread))
    common = {
        (one.name, other.name): _common(one, other)
        for one, other in itertools.combinations(found, 2)
        if one.seen and other.seen
    }
    halves: Counter[str] = Counter()
    for names, both in common.items():
        for name in names:
            halves[name] += both.value / 2  # type: ignore[assignment]
    once = {item.name: max(1 - halves[item.name] / item.images.value, 0) if item.images.value else 1 for item in found}
    value = sum(item.images.value * (1 - once[item.name]) for item in found)
    shared = dataclasses.replace(estimates.total(common.values()), value=value)
    return Expected(
        found,
        Estimate(shared.value, min(shared.low, shared.value), max(shared.high, shared.value)),
        once,
        None,
        _together(found),
    )


def _all_seen(config: Config, found: tuple[SourceFigures, ...], rows: pa.Table) -> Expected:
    """Return what is expected where all rows of all sources were read: what the images stage makes of them."""
    stays = rows.filter(pc.is_null(rows["reason"]))
    within = images_rules.in_sample(stays["image_id"].combine_chunks(), config.sample)
    gathered = images_rules.gather(stays.filter(pa.array(within)), 0, Asked.of(config, flow.IMAGES.name))
    several = sum(item.images.value for item in found) - gathered.images.num_rows
    made = composition.composition(gathered.images, gathered.views, Asked.of(config, flow.SHARD.name))
    return Expected(found, estimates.known(several), {}, gathered.images, made)


def _together(found: Iterable[SourceFigures]) -> Composition:
    """Return the composition of all sources' images, by how many each has."""
    listed = [(item.images.value, item.composition) for item in found]
    images = sum(count for count, _ in listed) or 1
    return Composition(
        *(
            sum(count * getattr(made, field.name) for count, made in listed) / images
            for field in dataclasses.fields(Composition)
        )
    )


def booked(config: Config) -> list[SourceFigures]:
    """Return the figures of sources whose pairs have gone through the images stage, by the books alone."""
    views = commits.require(root.views_folder(config.root), "run: pmd build CONFIG").sources
    there = Standing(config.root)
    listed = []
    for name, source in sorted(config.sources.items()):
        books = curate_needs.commit_of(there, name).sources[name]
        files, missing, unreadable = _files(source)
        listed.append(
            SourceFigures(
                name=name,
                input_bytes=sum(file.bytes for file in files),
                missing=missing,
                unreadable=unreadable,
                basis="committed",
                read_rows=0,
                rows=estimates.known(books.total),
                pairs=estimates.known(books.kept),
                taken=estimates.known(views[name].kept if name in views else 0),
                images=estimates.known(0),  # counted with the ledger
                groups={},
                composition=Composition(),
                local=_local(source),
            )
        )
    return listed


def _files(source: SourceConfig) -> tuple[list[InputFile], tuple[str, ...], str | None]:
    """Return a source's annotation files; or none, with what is missing or why they are none."""
    try:
        return inputs.files(source), (), None
    except inputs.MissingFiles as error:
        return [], tuple(error.problem.splitlines()), None
    except InputError as error:  # one is empty, or no text that is read
        return [], (), str(error)


def _local(source: SourceConfig) -> bool:
    return bool(source.images) or not source.terms.images_by_url


def _common(one: SourceFigures, other: SourceFigures) -> Estimate:
    """Return how many images two sources have in common, by those that were looked at of both."""
    met = len(one.seen & other.seen)
    chance = 1.0
    for item in (one, other):
        chance *= min(len(item.seen) / item.images.value, 1.0) if item.images.value else 1.0
    most = min(one.images.value, other.images.value)
    if chance == 1.0:
        return estimates.known(met)
    low, high = max(met - 2 * met**0.5, 0), met + 2 * (met + 1) ** 0.5
    return Estimate(*(min(count / chance, most) for count in (met, low, high)))


def _look(config: Config, source: SourceConfig) -> _Looked:
    files, missing, unreadable = _files(source)
    size = sum(file.bytes for file in files)
    commit = _committed(config, source, files)
    if commit is not None:
        return _from_commit(config, source, size, (missing, unreadable), commit)
    if files:
        try:
            return _from_sample(config, source, files)
        except InputError as error:  # the build will tell it too, and stop
            unreadable = str(error)
    return _from_manifest(source, files, missing, unreadable)


def _committed(config: Config, source: SourceConfig, files: Sequence[InputFile]) -> Commit | None:
    """Return a source's commit, unless it will be made anew."""
    commit = commits.read(root.curate_folder(config.root, source.name))
    if commit is None or source.name not in commit.sources:
        return None
    return commit if not files or curate_needs.of(config, source.name).wanted.why() is None else None


def _from_commit(
    config: Config, source: SourceConfig, size: int, amiss: tuple[tuple[str, ...], str | None], commit: Commit
) -> _Looked:
    books, folder = commit.sources[source.name], root.curate_folder(config.root, source.name)
    tables: list[pa.Table] = []
    for file in commit.under("pairs"):
        if sum(map(len, tables)) >= COMMITTED_PAIRS:
            break
        tables.append(parquet_files.read_table(folder, file, _COLUMNS))
    table = _needed(tables)
    read = len(table) / books.kept if books.kept else 1.0
    left_out: set[bytes] = set()
    if images_needs.leaves_out_evaluation_images(commit, source.name):
        for file in commit.under("rejected"):
            left_out |= images_needs.evaluation_images(
                parquet_files.read_table(folder, file, images_needs.EVALUATION_COLUMNS)
            )
    return _Looked(
        source.name,
        size,
        *amiss,
        "committed",
        0,
        estimates.known(books.total),
        estimates.known(books.kept),
        source,
        table,
        tuple(sampling.pieces(table["image_id"].to_pylist(), 0.0, read)),
        read,
        frozenset(left_out),
    )


def _from_sample(config: Config, source: SourceConfig, files: Sequence[InputFile]) -> _Looked:
    sample = sampling.of_source(config, source, files)
    return _Looked(
        source.name,
        sum(file.bytes for file in files),
        (),
        None,
        "counted" if sample.whole else "sampled",
        sample.read_rows,
        sample.rows,
        sample.kept,
        source,
        _needed([sample.pairs.select(_COLUMNS)]),
        sample.pieces,
        sample.fraction,
        frozenset(images_needs.evaluation_images(sample.rejected)),
        sample.kept_out,
    )


def _needed(tables: Sequence[pa.Table]) -> pa.Table:
    """Return pairs as the images stage reads them."""
    schema = pa.schema([field for field in PAIRS if field.name in _COLUMNS])
    plain = [parquet_files.without_dictionaries(table).select(schema.names).cast(schema) for table in tables]
    return pa.concat_tables([schema.empty_table(), *plain]).combine_chunks()


@dataclasses.dataclass(frozen=True)
class _Meeting:
    """What the images stage knows of all sources together."""

    aliases: Aliases
    takedown: images_rules.Takedown
    kept_out: Suppression
    held_out: pa.Array
    verdicts: tuple[scores.Verdicts, ...]
    group_of: Callable[[str], str]

    @classmethod
    def of(cls, config: Config, looked: Sequence[_Looked]) -> _Meeting:
        tables = [item.table for item in looked if item.table is not None]
        told = [aliases.of_pairs(table.filter(pc.is_valid(table["also"]))) for table in tables]
        links = aliases.links(told)
        left_out: frozenset[bytes] = frozenset()
        if config.images.evaluation_copies == "reject":
            left_out = images_rules.reached(frozenset().union(*(item.left_out for item in looked)), links)
        of_read = [item.kept_out for item in looked if item.kept_out is not None]
        kept = kept_out.standing(config.root, lists.standing(config.root, config.suppression), of_read)
        return cls(
            Aliases.of(told),
            images_rules.taken_down(images_needs.taken_down(config), kept, links),
            kept,
            pa.array(sorted(left_out), KEY),
            tuple(scores.put(rule.file, rule.keep, rule.missing, spools.folder()).mapped() for rule in config.scores),
            group_of(config),
        )


def _figures(config: Config, looked: _Looked, rows: pa.Table | None, meeting: _Meeting) -> SourceFigures:
    if rows is None:
        return _published_figures(config, looked)
    stays = rows.filter(pc.is_null(rows["reason"]))
    gathered = images_rules.gather(stays, 0, Asked.of(config, flow.IMAGES.name))
    stands = dict(zip(stays["own_id"].to_pylist(), stays["image_id"].to_pylist(), strict=True))
    whole = looked.fraction >= 1
    within = images_rules.in_sample(gathered.images["image_id"].combine_chunks(), config.sample)
    seen = gathered.images.filter(pa.array(within))["image_id"].to_pylist()
    if whole:
        images = estimates.known(len(seen))
        in_sample = images_rules.in_sample(stays["image_id"].combine_chunks(), config.sample)
        taken = estimates.known(int(in_sample.sum()))
    else:
        kept = [
            Piece(piece.place, frozenset(stands[image] for image in piece.keys if image in stands))
            for piece in looked.pieces
        ]
        # The range of `distinct` is that of how often images come again; how many pairs there are has one of its own.
        pairs = looked.pairs
        off = Estimate(1, pairs.low / pairs.value, pairs.high / pairs.value) if pairs.value else pairs
        images = _part((estimates.distinct(kept, looked.fraction) * off).at_most(pairs), config.sample)
        taken = _part(looked.pairs * estimates.share(len(stays), len(rows)), config.sample)
    return SourceFigures(
        **looked.known,
        taken=taken,
        images=images,
        groups=_shares(first_groups(gathered.images["locations"], meeting.group_of), whole=whole),
        composition=composition.composition(gathered.images, gathered.views, Asked.of(config, flow.SHARD.name)),
        local=_local(looked.source),
        seen=frozenset(seen),
    )


def _part(whole: Estimate, sample: int) -> Estimate:
    """Return what a sample 1/`sample` takes of so many: each by chance."""
    if sample == 1:
        return whole
    part = whole.scaled(1 / sample)
    chance = 2 * part.value**0.5
    return Estimate(part.value, max(part.low - chance, 0), part.high + chance)


def _spread(config: Config, looked: _Looked, meeting: _Meeting) -> pa.Table:
    """Return the pairs as `IMAGE_ROWS`, of all images and not of the sample's alone, which may be few."""
    assert looked.table is not None
    paths = inputs.archives_of(looked.source) if not looked.missing else []
    index = archived.index_archives(paths)
    needed = looked.table.select(images_rules.NEEDED)
    asked = dataclasses.replace(Asked.of(config, flow.IMAGES.name), singles={"sample": 1})
    batches = [
        images_rules.spread(
            batch,
            asked,
            aliases=meeting.aliases,
            index=index,
            takedown=meeting.takedown,
            kept_out=meeting.kept_out,
            held_out=meeting.held_out,
            verdicts=meeting.verdicts,
        )
        for batch in needed.to_batches()
    ]
    return pa.Table.from_batches(batches, schema=images_rules.IMAGE_ROWS)


def _heeding_others(spread: Sequence[pa.Table | None]) -> list[pa.Table | None]:
    """Return sources' `IMAGE_ROWS` as they are once each has met the others'."""
    together = pa.concat_tables([images_rules.IMAGE_ROWS.empty_table(), *(rows for rows in spread if rows is not None)])
    met = images_rules.heed_others(images_rules.heed_takedowns(together))
    ends = itertools.accumulate(0 if rows is None else rows.num_rows for rows in spread)
    return [
        None if rows is None else met.slice(end - rows.num_rows, rows.num_rows)
        for rows, end in zip(spread, ends, strict=True)
    ]


def _shares(groups: Sequence[str], *, whole: bool) -> dict[str, float]:
    """Return host group → its share; those that are seldom in a sample are together `MANY`."""
    counts: Counter[str] = Counter()
    for name, count in Counter(groups).items():
        rare = not whole and count < _FEWEST_OF_HOST and name not in {"", forecast.ARCHIVES}
        counts[forecast.MANY if rare else name] += count
    return {name: count / counts.total() for name, count in counts.items()}


def _from_manifest(
    source: SourceConfig, files: Sequence[InputFile], missing: tuple[str, ...], unreadable: str | None
) -> _Looked:
    manifest = source.terms
    if not isinstance(manifest, Manifest) or manifest.upstream_rows is None:
        return _unread(source, files, missing, unreadable)
    sizes = {file.path: file.bytes for file in files} or None
    pairs, basis = published.pairs(manifest, sizes, published.sharing(manifest))
    rows = float(manifest.upstream_rows) if sizes is None else published.records(manifest, sizes)
    off = _BY_SIZE if sizes is not None else 0.0
    return _Looked(
        source.name,
        sum(file.bytes for file in files),
        missing,
        unreadable,
        basis,
        0,
        estimates.within(rows, off),
        estimates.within(pairs, max(off, _TABLE_2 if basis == "Table 2" else off)),
        source,
        None,
    )


def _unread(
    source: SourceConfig, files: Sequence[InputFile], missing: tuple[str, ...], unreadable: str | None
) -> _Looked:
    """Return what is known of a source that nobody counted, where its files are not there or cannot be read: nothing."""
    size = sum(file.bytes for file in files)
    nothing = estimates.known(0)
    return _Looked(source.name, size, missing, unreadable, UNKNOWN, 0, nothing, nothing, source, None)


def _published_figures(config: Config, looked: _Looked) -> SourceFigures:
    source = looked.source
    hosting = source.terms.hosting if isinstance(source.terms, Manifest) else None
    names, per_image = ((), 1.0) if hosting is None else (hosting.hosts, hosting.pairs_per_image)
    local = _local(source)
    named = hosts.named_groups(config.fetch.host_groups)
    of_source = [hosts.group_name(host, named) for host in names] or [forecast.MANY]
    groups = [forecast.ARCHIVES] if local else of_source
    regions = getattr(source.options, "regions", None) == "crop"
    # A record is of one image, however many pairs it gives.
    images = looked.pairs.scaled(1 / per_image).at_most(looked.rows)
    if hosting is None:
        images = (images * estimates.within(1.0, _IMAGES)).at_most(looked.rows)
    per_sample = per_image if regions or config.shard.unit == "pair" else 1.0
    return SourceFigures(
        **looked.known,
        taken=_part(looked.pairs, config.sample),
        images=_part(images, config.sample),
        groups={name: 1 / len(groups) for name in groups},
        composition=Composition(per_sample, per_sample if regions else 0.0, float(regions)),
        local=local,
    )
