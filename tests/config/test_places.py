"""Paths in a configuration: relative to its folder, and named in ROOT alike from wherever a command is run."""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from pmd import config, sources
from pmd.config import Config, inputs, options, places
from pmd.config.loading import all_placed
from pmd.sources.contract import NamesFiles, SourceOptions
from pmd.store import storage

CONTENT = """
root = "out/pmd"
contact = "mailto:tests@example.org"
takedown = ["lists/takedown.txt", "/etc/hostname"]
[sources.coco]
annotations = ["data/*.json", "data/a.zip!/in/b.json", "/abs/c.json", "gs://bucket/d.json", "~/e.json"]
images = ["images/train2017.zip"]
karpathy = "data/dataset_coco.json"
[sources.visual_genome]
annotations = ["../vg/*.json"]
karpathy = "none"
[[scores]]
file = "scores.parquet"
keep = "nsfw < 0.2"
missing = "keep"
[fetch]
ca_file = "ca.pem"
blocklists = ["lists/block.txt"]
adopt = ["adopted/*.tar"]
against = ["lists/published.parquet"]
web_archive = "https://archive.example/{url}"
[dedupe]
evaluation = ["lists/evaluation.txt", "/abs/images"]
"""


@pytest.mark.parametrize(
    ("path", "folder", "placed"),
    [
        ("data/x.tsv", "", "data/x.tsv"),
        ("data/x.tsv", "project", "project/data/x.tsv"),
        ("data/x.tsv", "/home/me/project", "/home/me/project/data/x.tsv"),
        ("../x.tsv", "project", "project/../x.tsv"),
        ("data/x.tsv", "gs://bucket/project", "gs://bucket/project/data/x.tsv"),
        ("./data/x.tsv", "gs://bucket/project", "gs://bucket/project/data/x.tsv"),
        ("../data/x.tsv", "gs://bucket/project", "gs://bucket/data/x.tsv"),
        ("../../x.tsv", "s3://bucket/a/b", "s3://bucket/x.tsv"),
        ("../x.tsv", "s3://bucket", "s3://bucket/../x.tsv"),
        ("../a.zip!/../b.json", "s3://bucket/project", "s3://bucket/a.zip!/../b.json"),
        (".x/..y", "s3://bucket/a//b", "s3://bucket/a//b/.x/..y"),
        ("/data/x.tsv", "project", "/data/x.tsv"),
        ("~/x.tsv", "project", "/home/me/x.tsv"),
        ("~", "", "/home/me"),
        ("s3://bucket/x.tsv", "project", "s3://bucket/x.tsv"),
        ("a.zip!/b", "project", "project/a.zip!/b"),
        ("", "project", ""),
    ],
)
def test_a_path_leads_from_the_configurations_folder(
    monkeypatch: pytest.MonkeyPatch, path: str, folder: str, placed: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert places.placed(path, folder) == placed


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/x.tsv", "data/x.tsv"),
        ("data", "data/deep/x.tsv"),
        ("images/", "images/"),
        ("images/", "images/deep/x.jpg"),
        ("data/*.tsv", "data/x.tsv"),
        ("*.tsv", "x.tsv"),
        ("data/[v2] x#%20.tsv", "data/[v2] x#%20.tsv"),
        ("../other/*.tsv", "../other/x.tsv"),
        ("data/*.zip!/*.tsv", "data/a.zip!/x.tsv"),
        ("ABSOLUTE/data/*.tsv", "ABSOLUTE/data/x.tsv"),
        ("ABSOLUTE/project/data/x.tsv", "ABSOLUTE/project/data/x.tsv"),
        ("~/x.tsv", "~/x.tsv"),
        ("gs://b/*.tsv", "gs://b/x.tsv"),
    ],
)
def test_a_file_is_named_as_it_is_written_wherever_the_command_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, found: str
) -> None:
    (tmp_path / "project" / "deeper").mkdir(parents=True)
    pattern, found = (text.replace("ABSOLUTE", str(tmp_path)) for text in (pattern, found))
    plain = config.parse(CONTENT)
    chosen = dataclasses.replace(plain, takedown=(pattern,), sources={}, scores=())
    for where, file in (
        ("project", "pmd.toml"),
        ("project", "./pmd.toml"),
        ("project", str(tmp_path / "project/pmd.toml")),
        (".", "project/pmd.toml"),
        ("project/deeper", "../pmd.toml"),
        ("/", str(tmp_path / "project/pmd.toml")),
    ):
        monkeypatch.chdir(tmp_path / where)
        folder = places.folder_of(file)
        assert (folder == "") == (where == "project")
        loaded = all_placed(chosen, folder)
        assert places.written(loaded.takedown[0]) == pattern
        assert places.written(places.placed(found, folder)) == found


@pytest.mark.parametrize("where", ["project", "."])
@pytest.mark.parametrize(
    ("spelled", "name"),
    [("./data/x.tsv", "data/x.tsv"), ("data//x.tsv", "data/x.tsv"), ("./images/", "images/"), ("", "")],
)
def test_spellings_of_one_path_are_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, spelled: str, name: str
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / where)
    plain = dataclasses.replace(config.parse(CONTENT), takedown=(spelled,), sources={}, scores=())
    loaded = all_placed(plain, "" if where == "project" else "project")
    assert places.written(loaded.takedown[0]) == name


def test_a_configuration_in_an_object_store_has_its_files_there() -> None:
    loaded = all_placed(config.parse(CONTENT), places.folder_of("gs://bucket/project/pmd.toml"))
    assert loaded.root == "gs://bucket/project/out/pmd"
    assert loaded.sources["coco"].annotations[:2] == (
        "gs://bucket/project/data/*.json", "gs://bucket/project/data/a.zip!/in/b.json",
    )  # fmt: skip
    relative, _, _, absolute, _ = loaded.sources["coco"].annotations
    assert places.written(places.found("gs://bucket/project/data/x.json", relative)) == "data/x.json"
    assert (
        places.written(places.found("gs://bucket/project/data/x.json", absolute)) == "gs://bucket/project/data/x.json"
    )


@pytest.mark.parametrize(
    ("pattern", "found", "name"),
    [
        ("../../data/*.json", "gs://bucket/data/x.json", "../../data/x.json"),
        ("../../*.json", "gs://bucket/x.json", "../../x.json"),
        ("./data/x.json", "gs://bucket/mine/project/data/x.json", "data/x.json"),
        ("../project-2/x.json", "gs://bucket/mine/project-2/x.json", "../project-2/x.json"),
        (".", "gs://bucket/mine/project", "."),
        ("gs://other/*.json", "gs://other/x.json", "gs://other/x.json"),
    ],
)
def test_a_file_beside_a_configuration_in_an_object_store_is_named_as_it_is_written(
    pattern: str, found: str, name: str
) -> None:
    """A store takes "." and ".." for parts of a name: nothing was found there, and a ROOT had a name that no console shows."""
    folder = "gs://bucket/mine/project"
    placed = places.placed(pattern, folder)
    assert "/../" not in placed
    assert places.written(places.found(found, placed)) == name
    assert places.rejoined(name, folder) == found


def test_a_root_beside_a_configuration_in_an_object_store_stands_where_it_is_named() -> None:
    plain = config.parse(CONTENT.replace('root = "out/pmd"', 'root = "../out/./pmd"'))
    assert all_placed(plain, "s3://bucket/project").root == "s3://bucket/out/pmd"


def test_every_path_of_a_configuration_is_placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "project"
    monkeypatch.setenv("HOME", "/home/me")
    found = all_placed(config.parse(CONTENT), folder)
    coco = found.sources["coco"]
    assert found.root == "project/out/pmd"
    assert found.takedown == ("project/lists/takedown.txt", "/etc/hostname")
    assert coco.annotations == (
        "project/data/*.json", "project/data/a.zip!/in/b.json", "/abs/c.json", "gs://bucket/d.json", "/home/me/e.json",
    )  # fmt: skip
    assert coco.images == ("project/images/train2017.zip",)
    assert coco.options.karpathy == "project/data/dataset_coco.json"
    assert found.sources["visual_genome"].annotations == ("project/../vg/*.json",)
    assert found.sources["visual_genome"].options.karpathy == "none"
    assert [rule.file for rule in found.scores] == ["project/scores.parquet"]
    assert found.fetch.ca_file == "project/ca.pem"
    assert found.fetch.blocklists == ("project/lists/block.txt",)
    assert found.fetch.adopt == ("project/adopted/*.tar",)
    assert found.fetch.against == ("project/lists/published.parquet",)
    assert found.fetch.web_archive == "https://archive.example/{url}"
    assert found.dedupe.evaluation == ("project/lists/evaluation.txt", "/abs/images")
    assert found.folder == folder
    # What a commit keeps of the options is as it is written.
    plain = config.parse(CONTENT)
    for one, other in (
        (found.fetch, plain.fetch),
        (found.dedupe, plain.dedupe),
        (coco.options, plain.sources["coco"].options),
    ):
        assert places.options_written(one, places.written) == other.model_dump(mode="json")


def _models() -> list[type[BaseModel]]:
    stages = [
        value for value in vars(options).values() if isinstance(value, type) and issubclass(value, options.StageOptions)
    ]
    return [*stages, *(sources.load(name).options for name in sources.names())]


#: Options of strings that are no paths.
_NO_PATHS = frozenset({
    "keep", "host_groups", "user_agent", "resolve", "allow_addresses", "web_archive", "formats", "languages", "captions",
    "image_allow", "title", "version", "released", "authors", "contact", "url", "changes", "gating_prompt",
})  # fmt: skip


def test_every_option_of_free_strings_names_files_or_is_known_not_to() -> None:
    for model in _models():
        for name, field in model.model_fields.items():
            marked = any(isinstance(item, NamesFiles) for item in field.metadata)
            strings = "str" in str(field.annotation) and "Literal" not in str(field.annotation)
            assert marked == (strings and name not in _NO_PATHS), f"{model.__module__}.{model.__name__}.{name}"


def test_a_configuration_is_loaded_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "list.txt").touch()
    (project / "pmd.toml").write_text(
        'root = "out"\ncontact = "mailto:a@b.org"\ntakedown = "list.txt"\n'
        '[sources.conceptual_captions]\nannotations = ["data/*.tsv"]\n'
    )
    loaded: list[Config] = []
    for where, path in ((project, "pmd.toml"), (tmp_path, "project/pmd.toml"), (Path("/"), str(project / "pmd.toml"))):
        monkeypatch.chdir(where)
        found = config.load(path)
        assert Path(found.root).resolve() == project / "out"
        assert Path(found.takedown[0]).resolve() == project / "list.txt"
        assert Path(found.sources["conceptual_captions"].annotations[0]).resolve() == project / "data" / "*.tsv"
        loaded.append(found)
    assert [one.root for one in loaded] == ["out", "project/out", f"{project}/out"]
    assert loaded[0] == dataclasses.replace(config.parse((project / "pmd.toml").read_text()))
    assert not (tmp_path / "out").exists()


def test_options_of_a_source_without_paths_stay_as_they_are() -> None:
    model: type[SourceOptions] = sources.load("wit").options
    chosen = model(**model.profile_values("paper"))
    assert places.options_written(chosen, str.upper) == chosen.model_dump(mode="json")


def test_a_glob_of_the_home_folder_is_named_alike_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.tsv").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in (tmp_path, tmp_path / "data", Path("/")):
        monkeypatch.chdir(folder)
        assert [places.written(path) for path in storage.glob("~/data/*.tsv")] == [f"{tmp_path}/data/x.tsv"]


def test_a_path_of_the_home_folder_leads_there_and_is_named_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "deep").mkdir()
    for name in ("x.tsv", "deep/y.tsv"):
        (tmp_path / name).write_text("x")
    loaded = all_placed(dataclasses.replace(config.parse(CONTENT), takedown=("~/x.tsv",)), "project")
    assert loaded.takedown == (f"{tmp_path}/x.tsv",)
    assert loaded.sources["coco"].annotations[4] == f"{tmp_path}/e.json"
    for pattern, name in (("~/x.tsv", "~/x.tsv"), ("~/deep", "~/deep/y.tsv"), ("~/*.tsv", f"{tmp_path}/x.tsv")):
        found = inputs._expand([places.placed(pattern, "project")])
        assert [places.written(path) for path in found] == [name]
    again = pickle.loads(pickle.dumps(places.placed("~/x.tsv", "")))
    assert (again, places.written(again)) == (f"{tmp_path}/x.tsv", "~/x.tsv")


#: A path that a shell would read otherwise, in each option that takes one.
WITH_VARIABLES = """
root = "$HOME/pmd"
contact = "mailto:tests@example.org"
takedown = ["data/list.txt", "$LISTS/takedown.txt"]
suppression = ["data/${LIST}.json", "${LISTS}/x.json"]
[sources.coco]
annotations = ["$DATA/*.json", "data/a.json"]
images = ["data/$HOME/train2017.zip"]
karpathy = "$DATA/dataset_coco.json"
[[scores]]
file = "gs://$BUCKET/scores.parquet"
keep = "nsfw < 0.2"
missing = "keep"
[fetch]
ca_file = "$CA/ca.pem"
blocklists = ["$HOME/block.txt"]
adopt = ["$SCRATCH/*.tar"]
against = ["$HOME/published.parquet"]
[dedupe]
evaluation = ["$EVAL"]
[audit]
attributes = ["$HOME/scores.parquet"]
[audit.reference]
countries = "$HOME/countries.csv"
"""


def test_a_variable_in_any_path_is_told_with_its_line_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/pmd.toml").write_text(WITH_VARIABLES)
    with pytest.raises(config.InvalidConfig) as told:
        config.load("project/pmd.toml")
    lines = WITH_VARIABLES.split("\n")
    found = [(problem.line, problem.found.strip('"')) for problem in told.value.problems]
    assert {line for line, _ in found} == {number for number, line in enumerate(lines, 1) if re.search(r'["/]\$', line)}
    assert all(line is not None and path in lines[line - 1] for line, path in found)
    assert len(found) == 15
    problem = told.value.problems[0]
    assert (problem.key, problem.expected) == ("root", "a path as it is: variables are not read in it")
    assert problem.remedy == "write the folder itself; ~ is your home folder"
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


@pytest.mark.parametrize("path", ["", " "])
@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("root", 'root = "PATH"'),
        ("takedown", 'takedown = ["PATH"]'),
        ("sources.coco.annotations", '[sources.coco]\nannotations = ["PATH"]'),
        ("sources.coco.images", '[sources.coco]\nannotations = ["a.json"]\nimages = ["PATH"]'),
        ("sources.coco.karpathy", '[sources.coco]\nannotations = ["a.json"]\nkarpathy = "PATH"'),
        ("fetch.adopt", '[fetch]\nadopt = ["PATH"]'),
        ("fetch.against", '[fetch]\nagainst = ["PATH"]'),
        ("fetch.ca_file", '[fetch]\nca_file = "PATH"'),
        ("dedupe.evaluation", '[dedupe]\nevaluation = ["PATH"]'),
    ],
)
def test_a_path_of_nothing_is_a_mistake_and_not_the_working_folder(
    tmp_path: Path, key: str, line: str, path: str
) -> None:
    top = "" if key == "root" else 'root = "pmd"\n'
    of_source = "" if "sources" in line else '[sources.sbu_captions]\nannotations = ["a.json"]\n'
    (tmp_path / "pmd.toml").write_text(
        f'{top}contact = "mailto:a@example.org"\n{line}\n{of_source}'.replace("PATH", path)
    )
    with pytest.raises(config.InvalidConfig) as error:
        config.load(str(tmp_path / "pmd.toml"))
    assert [problem.key for problem in error.value.problems] == [key]


@pytest.mark.parametrize("folder", ["", "below"])
def test_a_home_that_is_nobodys_is_a_mistake_unless_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / folder / "pmd.toml"
    path.parent.mkdir(exist_ok=True)
    text = 'root = "~nobody_at_all/pmd"\ncontact = "mailto:a@example.org"\n[sources.sbu_captions]\nannotations = ["a.json"]\n'
    path.write_text(text)
    with pytest.raises(config.InvalidConfig) as caught:
        config.load(str(Path(folder) / "pmd.toml"))
    (problem,) = caught.value.problems
    assert (problem.key, problem.expected) == ("root", "the home folder of somebody who is known here")
    (tmp_path / "~nobody_at_all").mkdir()
    assert config.load(str(Path(folder) / "pmd.toml")).root.endswith("~nobody_at_all/pmd")


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3:/bucket/pmd", "s3://bucket/pmd"),
        ("gs:/bucket/pmd", "gs://bucket/pmd"),
        ("s3://bucket/pmd", None),
        ("s3:", None),
        ("a:/b", None),
        ("data/s3:/x", None),
    ],
)
def test_a_url_with_one_slash_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, url: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.url(path) == url
    text = f'root = "{path}"\ncontact = "mailto:a@b.org"\n[sources.sbu_captions]\nannotations = ["a.json"]\n'
    (tmp_path / "pmd.toml").write_text(text)
    if url is not None:
        with pytest.raises(config.InvalidConfig, match=f'(?s)root.*found: "{path}".*remedy: write {url}'):
            config.load("pmd.toml")
        (tmp_path / path).mkdir(parents=True)
        assert config.load("pmd.toml").root == path, "it is called so"


def test_what_is_really_called_so_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "$data").mkdir()
    (tmp_path / "$data/x.tsv").write_text("x")
    for path in ("$data/x.tsv", "$data/new", "$da*/x.tsv", "a$HOME", "x/US$5", "a.zip!/$x/y", "$5", "$"):
        assert places.variable(path) is None, path
    for path in ("$data2/x", "$data/$HOME", "s3://$data/x", "$new*"):
        assert places.variable(path) is not None, path


def test_a_placed_path_stays_one_on_its_way_to_a_worker() -> None:
    path = places.placed("data/x.tsv", "project")
    again = pickle.loads(pickle.dumps(path))
    assert (again, places.written(again)) == ("project/data/x.tsv", "data/x.tsv")


@pytest.mark.parametrize(
    ("path", "absolute"), [("gs://b/pmd.toml", "gs://b/pmd.toml"), ("/a/../pmd.toml", "/pmd.toml")]
)
def test_a_configuration_is_noted_by_a_path_that_leads_to_it_from_everywhere(path: str, absolute: str) -> None:
    assert places.absolute(path) == absolute


@pytest.mark.parametrize(
    ("name", "folder", "path"),
    [
        ("data/x.tsv", "/project", "/project/data/x.tsv"),
        ("data/x.tsv", "gs://b/project", "gs://b/project/data/x.tsv"),
        ("data/x.tsv", None, None),
        ("/abs/x.tsv", None, "/abs/x.tsv"),
        ("gs://b/x.tsv", "/project", "gs://b/x.tsv"),
    ],
)
def test_a_name_in_root_leads_to_its_file(name: str, folder: str | None, path: str | None) -> None:
    assert places.rejoined(name, folder) == path


def test_a_list_of_evaluation_images_is_named_as_the_configuration_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    text = 'root = "pmd"\ncontact = "mailto:tests@example.org"\n[sources.coco]\nannotations = ["a.json"]\nkarpathy = "k.json"\n'
    (folder / "pmd.toml").write_text(text)
    chosen = config.load(str(folder / "pmd.toml"))
    path = inputs.karpathy_of(chosen.sources["coco"])
    assert path == str(folder / "k.json")
    assert places.written(path) == "k.json"
