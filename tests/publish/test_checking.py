"""A release is held to its checksums: what is gone, damaged or strange is told, and what people put beside it is theirs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pmd import cli
from pmd.config import Config
from pmd.errors import RootError, VerificationError
from pmd.inspection import damage, verify
from pmd.publish import checking, folder, withdrawn
from pmd.store import lock, parquet_files, root, sealed, storage
from tests import tiny_root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    chosen = tiny_root.build(tmp_path_factory.mktemp("released"))
    release = Path(chosen.root, "release")
    # As if an earlier release had had more: a row has left.
    earlier = release.with_name("earlier.parquet")
    earlier.write_bytes(parquet_files.to_bytes(pa.table([["ab" * 16]], schema=withdrawn.WITHDRAWN)))
    withdrawn.update(str(release), [str(earlier)], [])
    earlier.unlink()
    folder.write(chosen)
    return chosen


@pytest.fixture
def mine(built: Config, tmp_path: Path) -> Config:
    shutil.copytree(built.root, tmp_path / "pmd")
    return dataclasses.replace(built, root=str(tmp_path / "pmd"))


def problems(chosen: Config) -> list[dict[str, str]]:
    sealed.forget()
    found: list[dict[str, str]] = verify.verify(chosen.root)["problems"]
    return found


def release(chosen: Config) -> Path:
    return Path(chosen.root) / "release"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # a list's file has two names
    path.write_bytes(content)


def test_a_sound_release_is_counted(mine: Config) -> None:
    assert problems(mine) == []
    result = verify.verify(mine.root)
    lines = (release(mine) / "SHA256SUMS").read_text().splitlines()
    assert result["released"] == len(lines) > 10
    assert f"{len(lines)} files of the release held to its checksums" in verify.render(result)
    assert [note for note in result["notes"] if note["place"].startswith("release")] == []


def test_pointers_of_a_clone_without_git_lfs_are_told_as_such(mine: Config, tmp_path: Path) -> None:
    copy = tmp_path / "clone"
    shutil.copytree(release(mine), copy)
    (path,) = copy.glob("source=coco/*.parquet")
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12\n")
    found = checking.check_alone(str(copy))
    assert found is not None
    (problem,) = found.problems
    assert (problem.what, problem.name) == (checking.OTHER, f"source=coco/{path.name}")
    assert problem.found.endswith(": a pointer of Git LFS in the place of the file (run: git lfs pull)")


def test_a_copy_of_a_release_is_held_to_its_checksums_without_a_root(mine: Config, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(release(mine), copy)
    (copy / "README.md").write_text("mine")
    (copy / ".gitattributes").write_text("mine")
    shutil.rmtree(mine.root)
    files = len((copy / folder.SUMS).read_text().splitlines())
    found = verify.verify(str(copy))
    assert (found["kind"], found["released"], found["problems"]) == ("release", files, [])
    assert [(note["place"], note["found"]) for note in found["notes"]] == [
        (".gitattributes", "1 file"),
        ("README.md", "other bytes"),
    ]
    assert "all of them are as they were written" in verify.render(found)
    list_ = next(copy.glob("source=*/*.parquet"))
    flip(list_)
    (copy / "croissant.json").unlink()
    shutil.copy(list_, copy / "strange.parquet")
    told = [(problem["what"], problem["place"]) for problem in verify.verify(str(copy))["problems"]]
    assert sorted(told) == sorted(
        [
            (checking.OTHER, str(list_.relative_to(copy))),
            (checking.GONE, "croissant.json"),
            (checking.UNLISTED, "strange.parquet"),
        ]
    )
    (copy / folder.SUMS).unlink()
    result = CliRunner().invoke(cli.app, ["verify", str(copy)])
    assert result.exit_code == 5
    assert "SHA256SUMS: a file of the release is gone" in result.output
    assert "copy these files again" in result.output.lower()


def test_what_a_later_release_has_lost_may_stand_beside_a_copy_that_had_no_such_list(
    mine: Config, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(release(mine), copy)
    later = (copy / withdrawn.FILE).read_bytes()
    build, sums = copy / folder.BUILD, copy / folder.SUMS
    told = json.loads(build.read_bytes()) | {"withdrawn": None}
    build.write_text(json.dumps(told))
    lines = dict(reversed(line.split("  ")) for line in sums.read_text().splitlines())
    del lines[withdrawn.FILE]
    lines[folder.BUILD] = hashlib.sha256(build.read_bytes()).hexdigest()
    (copy / withdrawn.FILE).unlink()
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in lines.items()))
    assert verify.verify(str(copy))["problems"] == []
    (copy / withdrawn.FILE).write_bytes(later)
    found = verify.verify(str(copy))
    assert (found["problems"], len(found["notes"])) == ([], 1)


def test_what_is_neither_a_root_nor_a_release_is_told(tmp_path: Path) -> None:
    (tmp_path / folder.SUMS).write_text(f"{'ab' * 32}  somebody.iso\n")
    with pytest.raises(RootError, match="no ROOT here"):
        verify.verify(str(tmp_path))


@pytest.mark.parametrize("is_gone", [True, False])
def test_every_file_that_is_gone_or_damaged_is_told(mine: Config, *, is_gone: bool) -> None:
    names = [line.partition("  ")[2] for line in (release(mine) / "SHA256SUMS").read_text().splitlines()]
    assert {"build.json", "find.html", "croissant.json", "find/0.js", withdrawn.FILE} < {*names}
    for name in [*names, *(["README.md", "SHA256SUMS"] if is_gone else [])]:
        path = release(mine) / name
        content = path.read_bytes()
        path.unlink() if is_gone else flip(path)
        (found,) = problems(mine)
        what = checking.GONE if is_gone else checking.OTHER
        assert (found["what"], found["place"]) == (what, f"release/{name}")
        (mended,) = damage.survey(mine.root)
        assert (mended.name, mended.found) == (f"release/{name}", found["found"])
        if not is_gone:
            expected = hashlib.sha256(content).hexdigest()
            assert found["expected"] == f"sha256 {expected}"
            assert re.fullmatch(rf"{len(content)} bytes, sha256 [0-9a-f]{{64}}", found["found"])
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert problems(mine) == []


@pytest.mark.parametrize("left", [b"", b" \n", bytes(4096), b"\xff\xfe card"])
def test_a_card_that_is_no_text_is_told_and_written_anew(mine: Config, left: bytes) -> None:
    path = release(mine) / "README.md"
    whole = path.read_bytes()
    path.write_bytes(left)
    (found,) = problems(mine)
    assert (found["what"], found["place"]) == (checking.OTHER, "release/README.md")
    assert found["expected"] == f"sha256 {hashlib.sha256(whole).hexdigest()}, or an edited card"
    assert [mended.name for mended in damage.survey(mine.root)] == ["release/README.md"]
    for gone in (path, release(mine) / folder.SUMS):  # as `pmd repair` does
        gone.unlink()
    folder.write(mine)
    assert path.read_bytes() == whole
    assert problems(mine) == []


@pytest.mark.parametrize(
    "edit", [lambda whole: whole + b"\nOurs: see our page.\n", lambda whole: whole[: len(whole) // 2]]
)
def test_an_edited_card_is_a_note(mine: Config, edit: Callable[[bytes], bytes]) -> None:
    path = release(mine) / "README.md"
    path.write_bytes(edit(path.read_bytes()))
    assert problems(mine) == []
    (note,) = [note for note in verify.verify(mine.root)["notes"] if note["place"].startswith("release")]
    assert note["place"] == "release/README.md"
    assert "where nobody has edited it, remove it, and copy it again or run pmd repair CONFIG" in note["what"]


def test_a_damaged_line_of_checksums_is_told(mine: Config) -> None:
    path = release(mine) / "SHA256SUMS"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["rubbish", *lines]) + "\n")
    (found,) = problems(mine)
    assert (found["place"], found["found"]) == ("release/SHA256SUMS", "line 1: rubbish")


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("source=coco/more.parquet", True),
        ("source=coco/train-part-00000-of-00001-0123456789abcdef.parquet", True),
        ("find/f.js", True),
        ("samples/00000.tar", True),
        ("notes.txt", False),
        (".git/config", False),
        ("README.new.md", None),
    ],
)
def test_strange_files_are_told(mine: Config, name: str, *, is_told: bool | None) -> None:
    path = release(mine) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert [(found["what"], found["place"]) for found in problems(mine)] == (
        [(checking.UNLISTED, f"release/{name}")] if is_told else []
    )
    notes = [note for note in verify.verify(mine.root)["notes"] if note["place"] == f"release/{name}"]
    assert len(notes) == (is_told is False)
    assert damage.survey(mine.root) == []  # nobody removes it


def test_what_a_killed_run_left_is_a_note(mine: Config) -> None:
    (release(mine) / f".tmp-{'ab' * 16}").write_text("x")
    assert problems(mine) == []
    (release(mine) / "find.html").unlink()
    killed = lock.State(1, lock.Holder.here("pmd publish", None), ended=False)
    (Path(mine.root) / lock.STATE_FILE).write_bytes(killed.to_json())
    assert problems(mine) == []
    places = {note["place"]: note["what"] for note in verify.verify(mine.root)["notes"]}
    assert "the last run did not end" in places["release/find.html"]


def test_a_release_of_other_lists_is_a_note(mine: Config) -> None:
    (name,) = [path.name for path in release(mine).glob("source=coco/*.parquet")]
    sums = release(mine) / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if not line.endswith(name)]
    sums.write_text("\n".join(lines) + "\n")
    (release(mine) / "source=coco" / name).unlink()
    assert problems(mine) == []
    notes = {note["place"]: note["found"] for note in verify.verify(mine.root)["notes"]}
    assert notes["release"] == f"source=coco/{name}"


def test_without_a_release_nothing_is_wrong(mine: Config) -> None:
    shutil.rmtree(release(mine))
    assert problems(mine) == []
    release(mine).mkdir()
    (release(mine) / "README.md").write_text("mine")
    assert problems(mine) == []


@pytest.mark.parametrize("spoil", [Path.unlink, flip])
def test_a_list_of_what_has_left_that_is_lost_is_not_begun_anew(mine: Config, spoil: Callable[[Path], Any]) -> None:
    path = release(mine) / withdrawn.FILE
    content = path.read_bytes()
    spoil(path)
    changed = dataclasses.replace(mine, card=mine.card.model_copy(update={"title": "Another"}))
    with pytest.raises(VerificationError, match="what has left") as told:
        folder.write(changed)
    assert told.value.where == str(path)
    assert hashlib.sha256(content).hexdigest() in str(told.value.expected)
    if spoil is Path.unlink:
        with pytest.raises(VerificationError):
            folder.write(mine)  # though nothing else has changed
    path.write_bytes(content)
    assert folder.write(changed)
    assert problems(mine) == []
    # As the remedy says.
    path.unlink()
    (release(mine) / "build.json").unlink()
    sums = release(mine) / "SHA256SUMS"
    sums.write_text("".join(f"{line}\n" for line in sums.read_text().splitlines() if withdrawn.FILE not in line))
    assert folder.write(changed)
    assert not path.exists()
    assert problems(mine) == []


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_a_list_of_what_has_left_is_known_however_often_its_writer_was_killed(
    mine: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    """Each run has other lists, writes what has left them, and is killed; the last one before its file stands."""
    where = str(release(mine))
    for kill in range(kills):
        stands = tmp_path / f"{kill}.parquet"
        stands.write_bytes(parquet_files.to_bytes(pa.table([["cd" * 16]], schema=withdrawn.WITHDRAWN)))
        former = tmp_path / f"former-{kill}.parquet"
        ids = [f"{number:032x}" for number in range(kill + 1)]
        former.write_bytes(parquet_files.to_bytes(pa.table([ids], schema=withdrawn.WITHDRAWN)))
        monkeypatch.setattr(folder, "_standing", lambda _, path=str(former): [path])
        if kill == kills - 1:
            monkeypatch.setattr(withdrawn.storage.Draft, "finish", _killed_at_the_list)
            with pytest.raises(KeyboardInterrupt):
                folder._put_withdrawn(where, folder._before(where), [str(stands)])
        else:
            assert folder._put_withdrawn(where, folder._before(where), [str(stands)]) is not None
    monkeypatch.undo()
    changed = dataclasses.replace(mine, card=mine.card.model_copy(update={"title": "Another"}))
    flip(release(mine) / withdrawn.FILE)
    with pytest.raises(VerificationError, match="is damaged"):
        folder.write(changed)
    flip(release(mine) / withdrawn.FILE)
    assert folder.write(changed)
    assert problems(mine) == []
    assert "withdrawn_before" not in (release(mine) / folder.BUILD).read_text()


_finish = storage.Draft.finish


def _killed_at_the_list(draft: storage.Draft, name: str) -> None:
    if name == withdrawn.FILE:
        raise KeyboardInterrupt
    _finish(draft, name)


def test_the_lock_is_free(mine: Config) -> None:
    (release(mine) / "find.html").unlink()
    with root.writer(mine.root, "test"):
        assert [found for found in problems(mine) if found["place"].startswith("release/")] == []
