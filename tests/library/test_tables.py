"""Tables of a ROOT: which rows they have, that they are streamed, checked, and say what has not been run."""

from __future__ import annotations

import pickle
import re
import shutil
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fsspec
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pmd
from pmd import config
from pmd.errors import ConfigError, InputError, RootError, VerificationError
from pmd.fetch.ledger import partitions
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.store import commits, parquet_files, root, sealed
from pmd.store.commits import Books, Commit
from tests import tiny_root

TABLES = ("pairs", "views", "rejected", "images", "ledger", "published")
MERGED = keys.image_id("coco:9")  # COCO's photograph 9, which Conceptual Captions has by its Flickr URL


def counts(table: pmd.Table, column: str) -> Counter[str]:
    return Counter(table.to_pandas()[column])


def test_every_table_has_the_rows_that_are_committed(tiny: str) -> None:
    corpus = pmd.load(tiny)
    assert counts(corpus.pairs, "source") == {"conceptual_captions": 5, "coco": 2, "visual_genome": 3}
    assert counts(corpus.views, "source") == {"conceptual_captions": 4, "coco": 2, "visual_genome": 3}
    assert counts(corpus.ledger, "status") == {"ok": 4, "dead": 1}
    assert {row["image_id"] for row in corpus.images.to_table().to_pylist()} == {
        row["image_id"] for row in corpus.ledger.to_table().to_pylist()
    }
    assert counts(corpus.published, "source") == {"conceptual_captions": 3, "coco": 2, "visual_genome": 3}
    for name in TABLES:
        table = getattr(corpus, name)
        assert table.to_table().schema == table.schema
        assert table.count_rows() == table.to_table().num_rows


def test_rejected_rows_are_those_of_every_stage(tiny: str) -> None:
    found = pmd.load(tiny).rejected.to_pandas()
    assert Counter(zip(found.stage, found.source, found.reason, strict=True)) == {
        ("curate", "conceptual_captions", "bad_url"): 1,
        ("curate", "conceptual_captions", "malformed_row"): 1,
        ("curate", "visual_genome", "empty_text"): 1,
        ("images", "conceptual_captions", "takedown"): 1,
        ("fetch", "conceptual_captions", "dead"): 1,
        ("shard", "visual_genome", "crop_too_small"): 1,
    }


def test_rejected_rows_are_chosen_by_stage_and_source(tiny: str) -> None:
    rejected = pmd.load(tiny).rejected
    assert counts(rejected.only(stage="fetch"), "reason") == {"dead": 1}
    assert counts(rejected.only(stage=("images", "shard")), "reason") == {"takedown": 1, "crop_too_small": 1}
    assert counts(rejected.only(source="visual_genome"), "reason") == {"empty_text": 1, "crop_too_small": 1}
    assert counts(rejected.only(source="visual_genome").only(stage="shard"), "reason") == {"crop_too_small": 1}
    assert rejected.only(stage="dedupe").count_rows() == 0
    for nothing in ({"source": []}, {"stage": []}):
        with pytest.raises(ConfigError, match=r"no (source|stage) is named"):
            rejected.only(**nothing)


def test_no_path_is_no_corpus() -> None:
    for read in (pmd.load, pmd.load.audit):
        with pytest.raises(InputError, match="nothing is here"):
            read("")


@pytest.mark.parametrize("name", ["pairs", "views", "published"])
def test_pairs_are_chosen_by_source(tiny: str, name: str) -> None:
    table = getattr(pmd.load(tiny), name)
    some = table.only(source=["coco", "visual_genome"])
    assert counts(some, "source") == {"coco": 2, "visual_genome": 3}
    assert some.select(["text"]).to_table()["text"].to_pylist() == some.to_table()["text"].to_pylist()


@pytest.mark.parametrize("name", ["images", "ledger"])
def test_images_are_chosen_by_the_sources_that_show_them(tiny: str, name: str) -> None:
    table = getattr(pmd.load(tiny), name).select(["image_id"])
    ids = {
        source: set(table.only(source=source).to_table()["image_id"].to_pylist())
        for source in ("coco", "conceptual_captions", "visual_genome")
    }
    assert ids["coco"] == {MERGED}
    assert MERGED in ids["conceptual_captions"]
    assert len(ids["conceptual_captions"]) == 4
    assert len(ids["visual_genome"]) == 1
    both = table.only(source=["coco", "conceptual_captions"]).to_table()["image_id"].to_pylist()
    assert sorted(both) == sorted(ids["coco"] | ids["conceptual_captions"])


def test_views_join_with_the_ledger_where_pairs_do_not(tiny: str) -> None:
    corpus = pmd.load(tiny)
    settled = set(corpus.ledger.to_table()["image_id"].to_pylist())
    assert set(corpus.views.to_table()["image_id"].to_pylist()) == settled
    own = corpus.pairs.only(source="conceptual_captions").to_table()["image_id"].to_pylist()
    assert keys.image_id("flickr:4242") in set(own) - settled


def test_columns_come_in_the_order_that_was_asked_for(tiny: str) -> None:
    table = pmd.load(tiny).pairs.select(["text", "pair_id", "region"])
    assert table.columns == table.to_table().schema.names == ["text", "pair_id", "region"]
    assert table.select("region").columns == ["region"]
    assert table.head(1).num_rows == 1
    assert table.head(0).num_rows == 0
    assert table.head(1000).num_rows == 10


def test_a_later_fetch_stands_for_an_earlier_one(tmp_path: Path) -> None:
    chosen = tiny_root.build(tmp_path)
    tiny_root.fetch(chosen, 1, retry=("dead",))
    ledger = pmd.load(chosen.root).ledger.to_pandas()
    assert Counter(ledger.status) == {"ok": 5}
    assert sorted(ledger.generation) == [0, 0, 0, 0, 1]


def test_a_root_is_read_from_a_url(tiny: str, tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}/pmd"
    memory = fsspec.filesystem("memory")
    for path in Path(tiny).rglob("*"):
        if path.is_file():
            memory.pipe(f"/{tmp_path.name}/pmd/{path.relative_to(tiny)}", path.read_bytes())
    there, here = pmd.load(url), pmd.load(f"{tiny}/")
    for name in TABLES:
        assert getattr(there, name).to_table() == getattr(here, name).to_table(), name
    assert pmd.load(f"{url}/publish").published.to_table() == here.published.to_table()
    assert pmd.open_image(url, MERGED).size == (80, 60)


def test_others_take_a_table_as_a_stream(tiny: str) -> None:
    pairs = pmd.load(tiny).pairs
    assert pa.table(pairs) == pairs.to_table()
    assert polars.DataFrame(pairs.select(["text"]))["text"].to_list() == pairs.to_table()["text"].to_pylist()


def test_a_table_goes_to_other_processes(tiny: str) -> None:
    corpus = pickle.loads(pickle.dumps(pmd.load(tiny)))
    for name in TABLES:
        table = getattr(corpus, name)
        assert pickle.loads(pickle.dumps(table)).to_table() == table.to_table()
    some = corpus.rejected.only(stage="fetch", source="conceptual_captions").select(["reason"])
    assert pickle.loads(pickle.dumps(some)).to_table() == some.to_table()


def test_a_relative_path_leads_to_the_same_place_from_another_folder(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied.parent)
    corpus = pmd.load(copied.name)
    lists = pmd.load(f"{copied.name}/publish")
    expected = corpus.pairs.to_table()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert corpus.pairs.to_table() == pickle.loads(pickle.dumps(corpus)).pairs.to_table() == expected
    assert lists.published.count_rows() == corpus.published.count_rows() > 0
    assert corpus.where == str(copied)


def test_a_whole_path_leads_there_also_from_a_folder_that_is_gone(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert pmd.load(tiny).where == tiny


def test_what_is_printed_reads_nothing(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "read", lambda folder: pytest.fail("read"))
    table = pmd.load(tiny).rejected
    assert repr(table.select(["source", "reason"])) == f"<rejected of {tiny}: source, reason>"
    assert repr(table.only(stage="fetch").select(["detail"])) == f"<rejected of {tiny}; stage fetch: detail>"


# --- streaming -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_small_groups(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ROOT with one row a row group."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_files, "ROW_GROUP_ROWS", 1)
        return tiny_root.build(tmp_path_factory.mktemp("groups")).root


class Reads:
    """Counts the files that are opened and the row groups that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[str] = []
        self.groups = 0
        opened, read = sealed.open_checked, pq.ParquetFile.read_row_group

        def open_checked(path: str) -> Any:
            self.files.append(path)
            return opened(path)

        def read_row_group(*args: Any, **kwargs: Any) -> Any:
            self.groups += 1
            return read(*args, **kwargs)

        monkeypatch.setattr(sealed, "open_checked", open_checked)
        monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)


@pytest.mark.parametrize("name", ["pairs", "views", "rejected", "images", "published"])
def test_a_batch_is_read_when_it_is_asked_for(name: str, in_small_groups: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = getattr(pmd.load(in_small_groups), name)
    reads = Reads(monkeypatch)
    batches = iter(table)
    assert not reads.files
    assert next(batches).num_rows == 1
    assert (len(reads.files), reads.groups) == (1, 1)
    assert next(batches).num_rows == 1
    assert reads.groups == 2
    batches.close()
    reads.groups = 0
    assert table.head(2).num_rows == 2
    assert reads.groups == 2


def test_the_ledger_is_read_a_fetch_shard_at_a_time(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shards: list[int] = []
    read = pmd.library.reading.state.standing
    monkeypatch.setattr(
        pmd.library.reading.state, "standing", lambda known: shards.append(known[0].shard) or read(known)
    )
    batches = iter(pmd.load(tiny).ledger)
    next(batches)
    assert len(shards) == 1
    assert len([*batches]) == 1
    assert len(shards) == 2


@pytest.mark.parametrize("name", ["pairs", "views", "rejected", "images", "ledger", "published"])
def test_a_batch_is_gone_when_the_next_one_comes(name: str, in_small_groups: str) -> None:
    table = getattr(pmd.load(in_small_groups), name)
    before: list[weakref.ref[Any]] = []
    for batch in table:
        assert sum(ref() is not None for ref in before) <= 1  # the loop's own
        before.append(weakref.ref(batch))
        del batch
    assert len(before) >= 2


def test_only_the_files_of_a_source_are_opened(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = pmd.load(tiny)
    reads = Reads(monkeypatch)
    corpus.pairs.only(source="coco").to_table()
    corpus.published.only(source="coco").to_table()
    assert reads.files
    assert all("source=coco" in path for path in reads.files)
    reads.files.clear()
    corpus.rejected.only(stage="fetch").to_table()
    assert all("/fetch/rejected/" in path for path in reads.files)


# --- commits ---------------------------------------------------------------------------------------------------------


def test_what_no_commit_lists_is_not_read(copied: Path) -> None:
    before = {name: getattr(pmd.load(copied), name).to_table() for name in TABLES}
    for path in [*copied.rglob("*.parquet")]:
        (path.parent / f"stray-{path.name}").write_bytes(path.read_bytes())
    assert {name: getattr(pmd.load(copied), name).to_table() for name in TABLES} == before


@pytest.mark.parametrize("name", TABLES)
def test_damage_is_noticed_before_a_row_is_given(name: str, copied: Path) -> None:
    folder = {"pairs": "curate", "rejected": "curate", "ledger": "fetch/ledger", "published": "publish"}.get(name, name)
    for path in (copied / folder).rglob("*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    sealed.forget()
    with pytest.raises(VerificationError, match="a committed file has other bytes than were written"):
        next(iter(getattr(pmd.load(copied), name)))


def test_a_file_that_is_gone_is_told(copied: Path) -> None:
    (path,) = copied.glob("curate/source=coco/pairs/*.parquet")
    path.unlink()
    with pytest.raises(VerificationError) as caught:
        pmd.load(copied).pairs.only(source="coco").to_table()
    assert (caught.value.where, caught.value.problem) == (str(path), "a committed file is gone")


def test_a_file_of_another_version_lacks_a_column(tmp_path: Path) -> None:
    folder = root.curate_folder(str(tmp_path), "coco")
    row = {field.name: None for field in PAIRS} | {"source": "coco", "pair_id": b"p" * 16}
    old = pa.Table.from_pylist([row], pa.schema([field.with_nullable(True) for field in PAIRS])).drop_columns(["also"])
    file = parquet_files.put_table(folder, "pairs/part-00000-of-00001", old)
    commits.write(folder, Commit("curate", (file,), {"coco": Books(1)}, "", {}))
    pairs = pmd.load(tmp_path).pairs
    assert pairs.select(["pair_id"]).to_table()["pair_id"].to_pylist() == [b"p" * 16]
    with pytest.raises(RootError) as caught:
        pairs.select(["pair_id", "also"]).to_table()
    assert str(caught.value) == (
        f"pairs of {tmp_path}: written by another version of pmd\n"
        "  expected: the columns pair_id, also\n"
        "  found: none called also\n"
        "  remedy: choose other columns, or run: pmd build CONFIG"
    )


def test_storage_that_fails_is_told_as_pmd_tells_it(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> Any:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(sealed, "open_checked", fail)
    with pytest.raises(pmd.PmdError, match=re.escape(str(copied))):
        pmd.load(copied).pairs.to_table()


# --- what has not been run -------------------------------------------------------------------------------------------


def stop(chosen: config.Config) -> None: ...


def images(chosen: config.Config) -> None:
    tiny_root.make_images(chosen)


def fetch(chosen: config.Config) -> None:
    tiny_root.make_images(chosen)
    tiny_root.fetch(chosen, 0)


@pytest.mark.parametrize(
    ("name", "stage", "folder", "upto"),
    [
        ("views", "images", "views", stop),
        ("images", "images", "images", stop),
        ("ledger", "fetch", "fetch/ledger", images),
        ("published", "publish", "publish", fetch),
    ],
)
def test_a_stage_that_has_not_been_run_is_an_error(
    name: str, stage: str, folder: str, upto: Callable[[config.Config], None], tmp_path: Path
) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for source in sorted(chosen.sources):
        tiny_root.curate(chosen, source)
    upto(chosen)
    with pytest.raises(RootError) as caught:
        getattr(pmd.load(chosen.root), name).to_batches().__next__()
    assert str(caught.value) == (
        f"{chosen.root}/{folder}: the stage {stage} has not been run here\n"
        "  expected: _stage.json\n"
        "  found: nothing\n"
        "  remedy: run: pmd build CONFIG, or pmd.build(CONFIG)"
    )


def test_rejected_rows_are_those_of_the_stages_that_have_been_run(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    tiny_root.curate(chosen, "visual_genome")
    rejected = pmd.load(chosen.root).rejected
    assert counts(rejected, "stage") == {"curate": 1}
    with pytest.raises(RootError, match="the stage shard has not been run here"):
        rejected.only(stage="shard").to_table()


@pytest.mark.parametrize("name", ["pairs", "rejected"])
def test_a_root_without_a_source_says_so(name: str, tmp_path: Path) -> None:
    root.create(str(tmp_path), 2)
    with pytest.raises(RootError, match="the stage curate has not been run here") as caught:
        getattr(pmd.load(tmp_path), name).to_table()
    assert caught.value.found == "nothing, and no source is curated"


def test_a_source_without_a_list_is_an_error_only_where_it_is_named(copied: Path) -> None:
    (copied / "publish/source=coco/_stage.json").unlink()
    published = pmd.load(copied).published
    assert counts(published, "source") == {"conceptual_captions": 3, "visual_genome": 3}
    with pytest.raises(RootError, match="the stage publish has not been run here"):
        published.only(source="coco").to_table()


# --- what cannot be asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda corpus: corpus.ledger.select(["statu"]),
            "ledger of ROOT: no such column\n  expected: one of image_id, status, location, bytes, .*\n  found: statu\n"
            r"  remedy: did you mean status\?",
        ),
        (lambda corpus: corpus.ledger.select([]), "ledger of ROOT: no column is named\n  expected: one or more\n"),
        (
            lambda corpus: corpus.pairs.only(source="COCO"),
            "pairs of ROOT: no such source\n  expected: one of coco, conceptual_captions, visual_genome\n"
            r"  found: COCO\n  remedy: did you mean coco\?",
        ),
        (
            lambda corpus: corpus.pairs.only(source="coca"),
            "pairs of ROOT: no such source\n  expected: one of coco, conceptual_captions, visual_genome\n"
            r"  found: coca\n  remedy: did you mean coco\?",
        ),
        (
            lambda corpus: corpus.rejected.only(stage="publish"),
            "rejected of ROOT: no such stage\n  expected: one of curate, images, fetch, dedupe, shard\n  found: publish",
        ),
        (
            lambda corpus: corpus.pairs.only(stage="fetch"),
            "pairs of ROOT: cannot be chosen by stage\n  expected: a choice by source\n  found: stage",
        ),
    ],
)
def test_what_cannot_be_chosen_is_told_at_once(ask: Callable[[pmd.Corpus], object], said: str, tiny: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(pmd.load(tiny))
    assert re.match(said.replace("ROOT", re.escape(tiny)), str(caught.value), re.DOTALL)


# --- published lists -------------------------------------------------------------------------------------------------


def lists_of(paths: Iterable[Path], folder: Path) -> Path:
    """Copy files of lists into one folder, without their commits."""
    folder.mkdir()
    for path in paths:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_lists_are_read_wherever_they_are(tiny: str, tmp_path: Path) -> None:
    whole = pmd.load(tiny).published
    assert pmd.load(f"{tiny}/publish").published.to_table() == whole.to_table()
    one = pmd.load(f"{tiny}/publish/source=coco")
    assert (one.kind, one.published.to_table()) == ("list", whole.only(source="coco").to_table())
    (file,) = Path(tiny).glob("publish/source=coco/*.parquet")
    assert pmd.load(file).published.to_table() == whole.only(source="coco").to_table()
    copy = pmd.load(lists_of(Path(tiny).glob("publish/*/*.parquet"), tmp_path / "lists"))
    assert counts(copy.published, "source") == counts(whole, "source")
    assert counts(copy.published.only(source="coco"), "source") == {"coco": 2}
    assert copy.published.only(source="wit").count_rows() == 0


def test_lists_are_chosen_by_the_names_of_pmd(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([{"source": "google/wit", "text": "a"}, {"source": "coco", "text": "b"}], PUBLISHED)
    pq.write_table(rows, tmp_path / "some.parquet")
    published = pmd.load(tmp_path / "some.parquet").published
    assert published.only(source="wit").select(["text"]).to_table().to_pylist() == [{"text": "a"}]
    with pytest.raises(ConfigError, match="no such source"):
        published.only(source="google/wit")


def test_lists_are_chosen_by_names_of_their_builders_own(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([{"source": "mine", "text": "a"}, {"source": "coco", "text": "b"}], PUBLISHED)
    pq.write_table(rows, tmp_path / "some.parquet")
    published = pmd.load(tmp_path / "some.parquet").published
    assert published.only(source="mine").select(["text"]).to_table().to_pylist() == [{"text": "a"}]
    with pytest.raises(ConfigError, match="no such source"):
        published.only(source="yours")


def test_lists_hold_to_their_commits(copied: Path) -> None:
    (path,) = (copied / "publish/source=coco").glob("*.parquet")
    (path.parent / f"stray-{path.name}").write_bytes(path.read_bytes())
    assert pmd.load(copied / "publish/source=coco").published.count_rows() == 2


def test_lists_that_were_put_together_are_read_with_commits_and_without(tiny: str, tmp_path: Path) -> None:
    for name in ("coco", "visual_genome", "conceptual_captions"):
        shutil.copytree(f"{tiny}/publish/source={name}", tmp_path / "lists" / f"source={name}")
    whole = counts(pmd.load(tiny).published, "source")
    assert counts(pmd.load(tmp_path / "lists").published, "source") == whole
    (tmp_path / "lists/source=coco/_stage.json").unlink()
    assert counts(pmd.load(tmp_path / "lists").published, "source") == whole
    path, *_ = (tmp_path / "lists/source=visual_genome").glob("*.parquet")
    (path.parent / f"stray-{path.name}").write_bytes(path.read_bytes())
    shutil.copytree(
        tmp_path / "lists/source=visual_genome", tmp_path / "lists/again"
    )  # a release beside the lists, say
    (tmp_path / "lists/again/_stage.json").unlink()
    (tmp_path / f"lists/again/stray-{path.name}").unlink()
    assert counts(pmd.load(tmp_path / "lists").published, "source") == whole


def test_under_a_root_only_what_is_committed_is_read(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pmd.load(copied).published.count_rows()
    new = copied / "publish/source=wit"
    shutil.copytree(copied / "publish/source=coco", new)
    (new / "_stage.json").unlink()  # a run that writes it has not come so far
    monkeypatch.chdir(copied / "publish")
    for where in (copied, copied / "publish", "."):
        assert pmd.load(where).published.count_rows() == rows


def test_who_has_a_copy_of_a_damaged_list_is_not_told_to_repair_a_root(copied: Path, tmp_path: Path) -> None:
    for where, remedy in (
        (copied / "publish", "run: pmd repair ROOT"),
        (tmp_path / "lists", "copy it again from where"),
    ):
        if where != copied / "publish":
            shutil.copytree(copied / "publish", where)
        (path,) = (where / "source=coco").glob("*.parquet")
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(VerificationError) as caught:
            pmd.load(where / "source=coco").published.count_rows()
        assert caught.value.remedy is not None
        assert caught.value.remedy.startswith(remedy)


def test_lists_that_were_written_again_by_folders_are_chosen_by_either_spelling(tmp_path: Path) -> None:
    rows = [{"source": source, "text": "a", "pair_id": "ab" * 16} for source in ("google/wit", "wit", "coco")]
    pq.write_table(pa.Table.from_pylist(rows, PUBLISHED), tmp_path / "some.parquet")
    assert counts(pmd.load(tmp_path / "some.parquet").published.only(source="wit"), "source") == {
        "google/wit": 1,
        "wit": 1,
    }


@pytest.mark.parametrize("by", [["source"], ["split"], ["source", "split"]])
def test_lists_that_were_parted_by_columns_have_these_of_the_folders(tiny: str, tmp_path: Path, by: list[str]) -> None:
    """As DuckDB, pandas and Spark write tables: such a column is in no file."""
    whole = pmd.load(tiny).published.to_table().sort_by("pair_id")
    pq.write_to_dataset(whole, tmp_path / "lists", partition_cols=by)
    assert not any({*by} & {*pq.read_schema(path).names} for path in (tmp_path / "lists").rglob("*.parquet"))
    published = pmd.load(tmp_path / "lists").published
    assert published.to_table().sort_by("pair_id") == whole
    assert published.only(source="coco").count_rows() == counts(published, "source")["coco"] > 0


def test_the_folders_of_wit_say_its_name_in_lists(tmp_path: Path) -> None:
    """Ours are called `source=wit`; those of a writer that goes by the column, by its name with a stroke in it."""
    rows = pa.Table.from_pylist([{"text": "a", "pair_id": "ab" * 16}], PUBLISHED).drop_columns(["source", "split"])
    for folder in ("source=wit/split=test", "source=google%2Fwit/split=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(rows, tmp_path / folder / "data_0.parquet")
    found = pmd.load(tmp_path).published.only(source="wit").select(["source", "split"]).to_table().to_pylist()
    assert sorted(map(str, found)) == sorted(
        map(str, [{"source": "google/wit", "split": split} for split in ("test", None)])
    )


def test_a_list_that_was_on_the_hub_is_read(tiny: str, tmp_path: Path) -> None:
    """`push_to_hub` of the library datasets drew 16 digits for each name: they are not those of its bytes."""
    whole = pmd.load(tiny).published.to_table()
    pq.write_table(whole, tmp_path / "train-00000-of-00001-a09b74b3ef9c3b56.parquet")
    assert pmd.load(tmp_path).published.to_table() == whole


@pytest.mark.parametrize("name", ["pairs", "views", "rejected", "images", "ledger", "audit"])
def test_lists_have_no_other_tables(name: str, tiny: str) -> None:
    lists = pmd.load(f"{tiny}/publish")
    with pytest.raises(InputError) as caught:
        getattr(lists, name)
    assert str(caught.value) == (
        f"{tiny}/publish: published lists have no {name}\n  expected: a ROOT\n  found: published lists\n"
        "  remedy: load the ROOT that they were published from, or read .published"
    )


# --- what is loaded --------------------------------------------------------------------------------------------------


def test_what_is_no_corpus_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no Parquet")
    with pytest.raises(InputError) as caught:
        pmd.load(tmp_path / "notes.txt")
    assert str(caught.value) == (
        f"{tmp_path}/notes.txt: neither a ROOT nor a published list\n"
        "  expected: a ROOT, or Parquet files that pmd publish wrote\n"
        "  found: a file that is no Parquet"
    )
    with pytest.raises(InputError, match="nothing is here\n  expected: a ROOT or a published list"):
        pmd.load(tmp_path / "gone")
    with pytest.raises(InputError, match="neither a ROOT nor a published list"):
        pmd.load(tmp_path)
    (tmp_path / "above/pmd").mkdir(parents=True)
    (tmp_path / "above/pmd/root.json").write_text("{}")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "above/pmd/other.parquet")
    with pytest.raises(InputError, match=rf"a folder that holds a ROOT\n  remedy: did you mean {tmp_path}/above/pmd\?"):
        pmd.load(tmp_path / "above")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a list that pmd publish wrote"):
        pmd.load(tmp_path / "other.parquet").published.to_table()
    (tmp_path / "root.json").write_text('{"version": 99}')
    with pytest.raises(RootError, match="not a ROOT that this pmd can read"):
        pmd.load(tmp_path)


@pytest.mark.parametrize("folder", ["shards/webdataset", "fetch/store"])
def test_a_folder_of_a_root_without_tables_is_no_corpus(folder: str, tiny: str) -> None:
    with pytest.raises(InputError, match="neither a ROOT nor a published list"):
        pmd.load(f"{tiny}/{folder}")


@pytest.mark.parametrize("folder", ["shards", "shards/parquet", "curate/source=coco", "images"])
@pytest.mark.parametrize("ask", [lambda rows: rows.count_rows(), lambda rows: rows.only(source="coco")])
def test_tables_of_other_stages_are_told_to_be_no_lists(
    folder: str, ask: Callable[[pmd.Table], object], tiny: str
) -> None:
    with pytest.raises(InputError, match="not a list that pmd publish wrote") as refused:
        ask(pmd.load(f"{tiny}/{folder}").published)
    assert refused.value.remedy == "give a ROOT, ROOT/publish or one of its folders, or a copy of them"


def test_the_parts_of_the_tiny_root_are_as_thought(tiny: str) -> None:
    """What the tests above count by: four fetch shards, each a part; images are in two."""
    cut = partitions.cut(tiny)
    assert (cut.part_bits, cut.shard_bits) == (2, 2)
    assert len(set(pmd.load(tiny).images.to_pandas().fetch_shard)) == 2
