"""What is kept in ROOT names files as the configuration does, whichever folder a command is run in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines import build
from pmd import config
from pmd.config import inputs, places
from pmd.curate import needs
from pmd.dedupe import needs as dedupe_needs
from pmd.inspection import explain, upstream
from pmd.store import commits, root
from pmd.store.standing import Standing

ROWS = "url,caption\nhttp://a.example/1.jpg,a red cup\nnonsense,a blue cup\nhttp://a.example/3.jpg,one cup\n"
OTHER = ROWS.replace("nonsense,a blue cup", "nonsense,a row of another file")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a table below its folder and one above, and another folder that has files of these names, too."""
    for name, rows in (("project/data", ROWS), ("project/cfg", ROWS), ("other/data", OTHER)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "p.csv").write_text(rows)
    return tmp_path


def load(project: Path, patterns: dict[str, list[str]], *, images: bool = False) -> None:
    listed = [
        f'[sources.{name}]\nreader = "url_text"\nannotations = {paths}\n' + images * f"images = {paths}\n"
        for name, paths in patterns.items()
    ]
    top = 'root = "out"\ncontact = "mailto:a@b.org"\n'
    (project / "project/cfg/pmd.toml").write_text(top + "".join(listed))


def curate(path: str) -> None:
    chosen = config.load(path)
    with root.writer(chosen.root, "test", str(Path(path).absolute())):
        build.build(chosen, only="curate", report=lambda step: None)


def rejected(folder: Path) -> list[str]:
    return [
        where
        for file in sorted(folder.rglob("rejected/*.parquet"))
        for where in pq.read_table(file)["where"].to_pylist()
    ]


#: Folder below the project's → the configuration, as it is named from there.
FROM = {"project/cfg": "pmd.toml", "other": "../project/cfg/pmd.toml", "": "ABSOLUTE/project/cfg/pmd.toml"}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("p.csv", "p.csv"),
        ("./p.csv", "p.csv"),
        ("*.csv", "p.csv"),
        ("../data/p.csv", "../data/p.csv"),
        ("../data/*.csv", "../data/p.csv"),
        ("../data", "../data/p.csv"),
        ("ABSOLUTE/project/data/*.csv", "ABSOLUTE/project/data/p.csv"),
        ("ABSOLUTE/project/cfg/p.csv", "ABSOLUTE/project/cfg/p.csv"),
    ],
)
def test_a_rejected_row_has_the_same_place_and_bytes_from_everywhere(
    project: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, name: str
) -> None:
    pattern, name = (text.replace("ABSOLUTE", str(project)) for text in (pattern, name))
    load(project, {"mine": [pattern]})
    digests = set()
    for number, (folder, path) in enumerate(FROM.items()):
        monkeypatch.chdir(project / folder)
        curate(path.replace("ABSOLUTE", str(project)))
        out = project / "project/cfg/out"
        (where,) = rejected(out / "curate/source=mine")
        assert where == f"{name}:line 3"
        digests.add(commits.require(str(out / "curate/source=mine"), "").digest("rejected"))
        out.rename(project / f"out{number}")
    assert len(digests) == 1


def test_the_row_of_the_configurations_file_is_shown_and_no_other(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(project, {"mine": ["../data/p.csv"]})
    monkeypatch.chdir(project / "project/cfg")
    curate("pmd.toml")
    out = str(project / "project/cfg/out")
    (file,) = Path(out).rglob("rejected/*.parquet")
    (pair_id,) = pq.read_table(file)["pair_id"].to_pylist()
    (project / "other/deep").mkdir()
    for folder in ("project/cfg", "other/deep", ""):
        monkeypatch.chdir(project / folder)
        (row,) = explain.explain(out, pair_id.hex())["pairs"][0]["rejected"]
        assert (row["place"], row["upstream"], row["unread"]) == ("../data/p.csv:line 3", "nonsense,a blue cup", None)
    # Where the file is gone, that of its name in the working folder is not it.
    monkeypatch.chdir(project / "other/deep")
    path = project / "project/data/p.csv"
    path.unlink()
    told = explain.explain(out, pair_id.hex())
    (row,) = told["pairs"][0]["rejected"]
    why = f"no file {project}/project/cfg/../data/p.csv"
    assert (row["place"], row["upstream"], row["unread"]) == ("../data/p.csv:line 3", None, why)
    assert f"the row there: not read: {why}" in explain.render(told)
    # Nor where nobody knows which folder is meant.
    (Path(out) / "writer.json").unlink()
    (row,) = explain.explain(out, pair_id.hex())["pairs"][0]["rejected"]
    assert (row["upstream"], row["unread"]) == (None, upstream.NO_FOLDER)


def digests(path: str) -> list[Any]:
    chosen = config.load(path)
    curated = [dict(needs.wanted(chosen, name)[0].inputs) for name in sorted(chosen.sources)]
    archives = [[*map(places.written, inputs.archives_of(source))] for source in chosen.sources.values()]
    return [*curated, archives, dict(dedupe_needs.wanted(chosen)[0].inputs)]


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (["../data/*.csv"], ["ABSOLUTE/project/data/p.csv"]),
        (["../data/p.csv"], ["ABSOLUTE/project/data/*.csv"]),
        (["p.csv"], ["ABSOLUTE/project/cfg/p.csv"]),
        (["*.csv"], ["ABSOLUTE/project/cfg/*.csv"]),
        ([".."], ["ABSOLUTE/project"]),
        (["p.csv", "ABSOLUTE/project/cfg/p.csv"], ["ABSOLUTE/project/cfg/p.csv", "p.csv"]),
    ],
)
def test_what_is_fresh_does_not_depend_on_the_folder_where_relative_and_absolute_paths_meet(
    project: Path, monkeypatch: pytest.MonkeyPatch, mine: list[str], other: list[str]
) -> None:
    monkeypatch.setattr(Standing, "digest", lambda standing, folder: "views")
    monkeypatch.setattr(root, "views_folder", lambda url: "views")
    patterns = {
        name: [one.replace("ABSOLUTE", str(project)) for one in listed]
        for name, listed in (("mine", mine), ("abs", other))
    }
    load(project, patterns, images=True)
    more = f'[dedupe]\nevaluation = ["../lists", "{project}/project/lists/a.txt"]\n'
    with (project / "project/cfg/pmd.toml").open("a") as file:
        file.write(more)
    (project / "project/lists").mkdir()
    (project / "project/lists/a.txt").write_text("00\n")
    found = []
    for folder, path in FROM.items():
        monkeypatch.chdir(project / folder)
        found.append(digests(path.replace("ABSOLUTE", str(project))))
    assert found[0] == found[1] == found[2]
    named = found[0][1]
    assert all(name.startswith("/") for name in found[0][0]) == other[0].startswith("ABSOLUTE")
    assert len(named) == len({Path(project / "project/cfg", name).resolve() for name in named})
