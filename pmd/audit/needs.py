"""What audit depends on: every stage that judges pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from pmd import flow
from pmd.audit.places import population
from pmd.config import Config, inputs, places, reference, told
from pmd.curate import needs as curate_needs
from pmd.store import root, storage
from pmd.store.commits import Books, File, sha256
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

#: As `wanted.FORMAT`, for the audit alone. 2: datasketch proposes the near-duplicate captions.
#: 3: users, hosts and images are counted, and every interval names its truth.
#: 4: northern Vietnam, Palestine, Georgia and Kosovo are found; places stand beside populations; steps are told apart.
#: 5: terms of age, identity and harm, personal data, pictures, attributes, and what stands with gendered terms; a page of
#: sections and files of tables; small cells are hidden across all tables.
#: 6: whether users or hosts of a size lose more is tested unit by unit.
#: 7: it says how many texts another draw leaves out; CSV tables begin with a byte order mark; the page says what is too few.
#: 8: what was blocked stands with opt-outs, and not with dead links; what photographers and files write is no personal data;
#: animals and plants are no people, poles no Poles; it says how many users and hosts hold half.
#: 9: figures of hosts' sizes are taken as hosts are told, and rounded; more small cells are hidden; no two values of an attribute
#: have one name. 10: pairs are those of the images that stand for theirs, which the sample goes by.
#: 11: no age is heard in "25 year old", "middle aged" or "senior doctor"; terms are named by what captions say, and what stands
#: with gendered terms by female and male ones alone; plugs, beds and more animals are no people; long captions are told.
#: 12: pairs are told by the licences of their text and their image.
#: 13: of all sources hosts, countries, languages and texts are what each source tells, listed there or not; so are terms that
#: carry a figure, of 10 texts or more of a source. Countries stand beside people and internet users without those of which none
#: are known. Several of a thing are passed over as one is, things named after babies are no people, and <PERSON> is a name.
#: Rows of the last stage are marked as they were only beside those of the first.
#: 14: no few texts follow from values that cross (attributes, hosts, and gendered terms with others), nor few pairs from texts
#: that are nearly one or on many images.
#: 15: findings of the whole page are held to 5 % together, each of its sections to a ninth.
AUDIT_FORMAT: Final = 15


@dataclasses.dataclass(frozen=True)
class Needs:
    """What the audit is made of.

    Attributes:
        wanted: The commit that should stand.
        sources: The sources, sorted.
        books: stage → source → books.
        files: The committed files of pairs of all sources.
    """

    wanted: Wanted
    sources: tuple[str, ...]
    books: Mapping[str, Mapping[str, Books]]
    files: tuple[File, ...]


def measured(books: Mapping[str, Mapping[str, Books]]) -> dict[str, int]:
    """Return how many pairs of each source are measured: those of curate, less those outside the sample that was asked for."""
    outside = {name: book.rejected.get("not_sampled", 0) for name, book in books[flow.IMAGES.name].items()}
    return {name: book.kept - outside.get(name, 0) for name, book in books[flow.CURATE.name].items()}


def beside(config: Config) -> population.Beside:
    """Return what countries are compared with: populations, and the user's own table.

    Raises:
        InputError: The table has rows that cannot be used.
    """
    table = config.audit.reference
    year = population.YEAR if table is None else table.year
    return population.Beside(year, population.load(year), None if table is None else reference.read(table.countries))


def wanted(config: Config, unit: str = "all", standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commit of the report."""
    return (of(config, standing).wanted,)


def of(config: Config, standing: Standing | None = None) -> Needs:
    """Return what the audit is made of.

    Raises:
        RootError: A stage before it has not run.
    """
    there = standing or Standing(config.root)
    names = curate_needs.curated(config, there)
    curated = {name: curate_needs.commit_of(there, name) for name in names}
    inputs_of = {name: commit.digest() for name, commit in curated.items()}
    books: dict[str, Mapping[str, Books]] = {
        flow.CURATE.name: {name: commit.sources[name] for name, commit in curated.items()}
    }
    for stage in flow.JUDGING[1:]:
        commit = there.require(storage.join(config.root, stage.books.at()), f"run: {stage.command}")
        inputs_of["views" if stage == flow.IMAGES else stage.name] = commit.digest()
        books[stage.name] = {name: commit.sources.get(name, Books()) for name in names}
    for path in config.audit.attributes:
        inputs_of[places.written(path)] = storage.fingerprint(path)
    options = told.of(config, flow.AUDIT.name) | {"profile": config.profile, "format": AUDIT_FORMAT}
    if config.audit.reference is not None:
        options["reference"] = {"year": config.audit.reference.year}
        inputs_of["reference"] = sha256(storage.read_bytes(config.audit.reference.countries))
    local = inputs.local(config.audit.attributes)
    return Needs(
        Wanted(flow.AUDIT.name, "all", root.audit_folder(config.root), options, inputs_of, local),
        tuple(names),
        books,
        tuple(file for commit in curated.values() for file in commit.under("pairs")),
    )
