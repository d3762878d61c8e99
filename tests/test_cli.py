"""The command line: help for everything, documented exit codes, and no traceback for a user's mistake."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner

from pmd import __version__, cli, flow, manifests, sources
from pmd.config.reasons import REASONS
from pmd.errors import PmdError
from pmd.fetch import runs
from pmd.schema.exits import EXIT_CODES, GATED
from pmd.schema.statuses import STATUSES, TRANSIENT
from pmd.store import storage
from pmd.terminal import endings
from tests.store.test_failures import s3


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Pmd = Callable[..., Ended]


@pytest.fixture
def pmd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Pmd:
    """A function that runs the command line in an empty folder; fails on a traceback."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["pmd", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        code = ended.value.code
        found = Ended(code if isinstance(code, int) else int(bool(code)), said.out, said.err)
        assert "Traceback" not in found.err
        assert found.code in EXIT_CODES
        return found

    return run


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["peek", "root", "--out", "s3://bucket/peek.html"], "--out"),
        (["demo", "--out", "s3://bucket/peek.html"], "--out"),
        (["manifests", "fetch", "coco", "--folder", "s3://bucket/peek.html"], "--folder"),
        (["manifests", "verify", "coco", "--folder", "s3://bucket/peek.html"], "--folder"),
    ],
)
def test_a_url_where_files_are_written_here_makes_no_folder_of_its_name(
    pmd: Pmd, tmp_path: Path, words: list[str], option: str
) -> None:
    ended = pmd(*words)
    assert ended.code == 2
    assert ended.err == (
        f"pmd: {option}: this is written on this machine alone\n  expected: a path of this machine\n"
        "  found: s3://bucket/peek.html\n  remedy: write it here, then copy it there\n"
    )
    assert not [*tmp_path.iterdir()]


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*words, name))

    yield from walk(typer.main.get_command(cli.app), ())


def config(folder: Path, text: str = "", **paths: str) -> Path:
    """Write a configuration with some sources and their annotation file."""
    tables = "".join(f'[sources.{name}]\nannotations = ["{path}"]\n' for name, path in paths.items())
    path = folder / "pmd.toml"
    path.write_text(f'root = "{folder}/pmd"\ncontact = "mailto:tests@example.org"\n{text}{tables}', encoding="utf-8")
    return path


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.app, [*words, "--help"])
    assert result.exit_code == 0
    command = typer.main.get_command(cli.app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    first = (command.help or "").split("\n")[0]
    assert first.endswith("."), "help is a sentence"
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"


def test_the_commands_are_those_of_the_contract() -> None:
    others = "sources init manifests plan build status verify repair diff peek explain hashes label join refresh"
    others = f"{others} demo engine takedown"
    assert {words[0] for words in commands() if words} == {*flow.NAMES, *others.split()}
    below = "fetch verify up down status add cancel find apply prove receipt"
    assert {words[1] for words in commands() if len(words) == 2} == {*below.split()}


def test_the_help_lists_the_exit_codes() -> None:
    shown = " ".join(CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "400"}).output.split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in shown


def test_a_source_is_listed_once(pmd: Pmd) -> None:
    listed = json.loads(pmd("sources", "--json").out)
    assert [entry["name"] for entry in listed] == list(sources.names())
    for name in sources.names():
        assert name in pmd("sources").out


def test_the_closed_lists_are_shown(pmd: Pmd) -> None:
    found = json.loads(pmd("sources", "--rules", "--json").out)
    assert [item["reason"] for item in found["reasons"]] == list(REASONS)
    assert found["statuses"] == list(STATUSES)
    assert {item["code"]: item["says"] for item in found["exit_codes"]} == EXIT_CODES
    assert {item["where"] for item in found["rules"]} >= {"curate", "dedupe", "coco", "wit"}
    assert "duplicate_rows" in pmd("sources", "--rules").out


def test_the_starter_configuration_is_printed(pmd: Pmd) -> None:
    assert pmd("init", "--sources", "coco").out.strip() == manifests.starter_config(["coco"]).strip()


def test_a_missing_annotation_file_ends_a_build_at_once_with_the_hint(pmd: Pmd, tmp_path: Path) -> None:
    path = config(
        tmp_path,
        red_caps="data/redcaps_v1.0_annotations.zip",
        sbu_captions="data/sbu.json",
        coco="data/captions_train2017.json",
    )
    path.write_text(path.read_text() + 'karpathy = "data/dataset_coco.json"\nimages = ["data/train2017.zip"]\n')
    ended = pmd("build", path)
    assert ended.code == 3
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert lines[0] == "pmd: coco: data/captions_train2017.json not found; run: " + hint(
        "coco", "captions_train2017.json"
    )
    assert lines[1].startswith("coco: data/train2017.zip not found; run: pmd manifests fetch coco")
    assert lines[2].startswith("coco: data/dataset_coco.json not found; ")
    zipped = "data/redcaps_v1.0_annotations.zip"
    assert lines[3] == f"red_caps: {zipped} not found; run: pmd manifests fetch red_caps (1.06 GB)"
    assert lines[4].startswith("sbu_captions: data/sbu.json not found; ")
    assert lines[5] == "  remedy: fetch or move the files, or mend the paths in the configuration"
    assert not (tmp_path / "pmd" / "curate").exists()


@pytest.mark.parametrize("words", ["plan CONFIG", "build CONFIG --why", "build CONFIG", "join CONFIG URL --out lists"])
def test_an_input_that_a_store_refuses_is_told_as_an_input(
    words: str, pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the commands that hold no lock of ROOT: its store is another one."""
    url = f"memory://inputs-{tmp_path.name}/cc12m.tsv"

    def refuse(*_: Any, **__: Any) -> None:
        raise s3("AccessDenied", "no")

    for name in ("info", "exists", "ls"):
        monkeypatch.setattr(storage.filesystem(url)[0], name, refuse)
    named = {"CONFIG": str(config(tmp_path, conceptual_12m=url)), "URL": url}
    ended = pmd(*(named.get(word, word) for word in words.split()), "--json")
    told = json.loads(ended.out)["error"]
    assert (ended.code, told["exit_code"], told["problem"], told["where"]) == (3, 3, "the storage refuses", url)


@pytest.mark.parametrize(
    ("words", "code"),
    [("hashes URL", 3), ("audit URL --out out", 3), ("takedown find CONFIG URL", 3), ("plan URL", 2), ("build URL", 2)],
)
def test_what_a_store_refuses_is_told_as_what_it_is(
    words: str, code: int, pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ROOT is in that store."""
    url = f"memory://inputs-{tmp_path.name}/file"

    def refuse(*_: Any, **__: Any) -> None:
        raise s3("AccessDenied", "no")

    for name in ("info", "exists", "ls"):
        monkeypatch.setattr(storage.filesystem(url)[0], name, refuse)
    named = {"CONFIG": str(config(tmp_path, conceptual_12m="cc12m.tsv")), "URL": url}
    ended = pmd(*(named.get(word, word) for word in words.split()))
    assert (ended.code, ended.err.splitlines()[0]) == (code, f"pmd: {url}: the storage refuses")


def hint(name: str, path: str) -> str:
    return manifests.missing_hint(name, path).partition("run: ")[2]


def test_other_files_of_a_configuration_are_looked_for_too(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "sbu.json").write_text('{"image_urls": [], "user_ids": [], "captions": []}')
    path = config(tmp_path, 'takedown = ["gone.txt"]\n', sbu_captions="sbu.json")
    path.write_text(path.read_text() + '[fetch]\nca_file = "ca.pem"\n')
    more = '[[scores]]\nfile = "s.parquet"\nkeep = "x < 1"\nmissing = "keep"\n[dedupe]\nevaluation = ["e"]\n'
    path.write_text(path.read_text() + 'blocklists = [".", "b.txt"]\n' + more)
    for command in ("build", "fetch", "plan"):
        ended = pmd(command, path)
        assert ended.code == 2
        assert ended.err == (
            f"pmd: {path}: 6 mistakes; nothing was run\n"
            "  line 3: takedown\n    expected: a file that is there\n"
            '    found: "gone.txt"\n    remedy: mend the path, or remove it\n'
            "  line 7: fetch.ca_file\n    expected: a file of certificates (PEM)\n"
            '    found: "ca.pem"\n    remedy: mend the path, or the file\n'
            "  line 8: fetch.blocklists\n    expected: a file that is there\n"
            '    found: "."\n    remedy: mend the path, or remove it\n'
            "  line 8: fetch.blocklists\n    expected: a file that is there\n"
            '    found: "b.txt"\n    remedy: mend the path, or remove it\n'
            "  line 10: scores.0.file\n    expected: a file that is there\n"
            '    found: "s.parquet"\n    remedy: mend the path, or remove it\n'
            "  line 14: dedupe.evaluation\n    expected: files or folders that are there\n"
            '    found: "e"\n    remedy: mend the path\n'
        )


def test_with_json_a_mistake_is_json_too(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "pmd.toml").write_text('root = "out"\nprofil = "hub"\n[shard]\nunit = "view"\n')
    ended = pmd("plan", "pmd.toml", "--json")
    assert ended.code == 2
    told = json.loads(ended.out)["error"]
    assert told["exit_code"] == 2
    assert told["problem"] == "pmd.toml: 4 mistakes; nothing was run"
    assert told["problems"][2] == {
        "line": 2,
        "key": "profil",
        "expected": told["problems"][2]["expected"],
        "found": '"profil"',
        "remedy": "did you mean profile?",
    }
    assert ended.err.startswith("pmd: pmd.toml: 4 mistakes")
    other = pmd("status", "nowhere", "--json")
    assert json.loads(other.out) == {
        "error": {
            "exit_code": 4,
            "problem": "no ROOT here",
            "where": "nowhere",
            "expected": "root.json",
            "found": None,
            "remedy": "run: pmd build CONFIG",
        }
    }
    assert pmd("status", "nowhere").out == ""


@pytest.mark.parametrize(
    "words",
    [("add", "coco/1"), ("find", "a.png"), ("apply",), ("prove",), ("receipt",), ("receipt", "1")],
    ids=" ".join,
)
def test_a_takedown_where_no_root_is_says_so(words: tuple[str, ...], pmd: Pmd, tmp_path: Path) -> None:
    """Whoever has the wrong configuration is not told that nothing was asked for."""
    (tmp_path / "cc12m.tsv").write_text("http://a.example/1.jpg\tA cat\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    command, *more = words
    ended = pmd("takedown", command, config(tmp_path, conceptual_12m="cc12m.tsv"), *more)
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith(f"pmd: {tmp_path}/pmd: no ROOT here")


def test_the_version(pmd: Pmd) -> None:
    assert pmd("--version").out == f"pmd {__version__}\n"


def test_help_loses_no_brackets(pmd: Pmd) -> None:
    assert "[dedupe] evaluation" in " ".join(pmd("--help").out.split())
    assert "[dedupe] evaluation" in " ".join(pmd("hashes", "--help").out.split())


def test_a_truncated_file_is_told_with_its_byte(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "sbu.json").write_text('{"image_urls": ["http://e.org/1"], "user_ids": ["u"], "captions": ["a do')
    ended = pmd("curate", config(tmp_path, sbu_captions="sbu.json"))
    assert ended.code == 3
    assert "pmd: sbu.json:byte " in ended.err
    assert "expected: " in ended.err


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (
            [],
            "! coco: no pair was kept, since its annotation files hold no row; see that these are the files that were meant",
        ),
        (
            ["7", "8", 9],
            "! coco: 2 of 3 rows could not be read (malformed_row 2); are these its files? pmd peek ROOT shows some of them",
        ),
        ([7, "8", 9], None),
    ],
)
def test_a_source_that_loses_nearly_all_is_told(pmd: Pmd, tmp_path: Path, ids: list[Any], says: str | None) -> None:
    image = {"id": 1, "file_name": "1.jpg", "coco_url": "http://a.example/1.jpg"}
    said = [{"id": number, "image_id": 1, "caption": f"a dog and {number} cats"} for number in ids]
    (tmp_path / "captions_train2017.json").write_text(json.dumps({"images": [image], "annotations": said}))
    ended = pmd("curate", config(tmp_path, coco="captions_train2017.json"))
    assert ended.code == 0
    notes = [line for line in ended.err.splitlines() if line.startswith("! ") and "karpathy" not in line]
    assert notes == ([] if says is None else [says])


def test_flags_that_beam_does_not_know_are_told_also_where_nothing_is_to_do(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "sbu.json").write_text('{"image_urls": ["http://e.org/1"], "user_ids": ["u"], "captions": ["a dog"]}')
    path = config(tmp_path, sbu_captions="sbu.json")
    assert pmd("curate", path).code == 0
    assert pmd("curate", path, "--", "--direct_num_workers=1").code == 0
    ended = pmd("curate", path, "--", "--direct_num_worker=1")
    assert (ended.code, ended.err.splitlines()[0]) == (2, "pmd: --direct_num_worker=1: Beam does not know these flags")


def test_nothing_to_publish_is_told(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "captions_train2017.json").write_text('{"images": [], "annotations": []}')
    ended = pmd("publish", config(tmp_path, coco="captions_train2017.json"))
    assert ended.code == 4
    assert "no source is curated here" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["build", "absent.toml"], 2, "pmd: absent.toml: no such configuration file"),
        (
            ["build", "pmd.toml", "--sources", "wit,coco"],
            2,
            "pmd: --sources: no such source\n  expected: one of sbu_captions",
        ),
        (["build", "pmd.toml", "--sample", "1/0"], 2, "pmd: --sample: not a sample"),
        (["build", "pmd.toml", "--sample", "2/3"], 2, "pmd: --sample: not a sample"),
        (["build", "pmd.toml", "--sample", "1/²"], 2, "pmd: --sample: not a sample"),
        (["build", "pmd.toml", "--sample", f"1/{10**30}"], 2, "pmd: --sample: not a sample"),
        (["build", "pmd.toml", "--sample", "1/" + 5000 * "9"], 2, "pmd: --sample: not a sample"),
        (["build", "pmd.toml", "--sources", " , "], 2, "pmd: --sources: no source is named"),
        (["init", "--sources", ""], 2, "pmd: --sources: no source is named"),
        (["build", "pmd.toml", "--sourcs", "coco"], 2, "No such option"),
        (
            ["build", "pmd.toml", "--", "--direct_num_worker=2"],
            2,
            "pmd: --direct_num_worker=2: Beam does not know these flags",
        ),
        (
            ["build", "pmd.toml", "--", "direct_num_workers=2"],
            2,
            "pmd: direct_num_workers=2: Beam does not know these flags",
        ),
        (["build", "pmd.toml", "sbu_captions"], 2, "Got unexpected words (sbu_captions): sources are named with"),
        (["shard", "pmd.toml", "a", "b", "--", "--direct_num_workers=2"], 2, "Got unexpected words (a b)"),
        (["fetch", "pmd.toml", "--retry", "dead", "it"], 2, "Got unexpected words (it)"),
        (["repair", "pmd", "coco"], 2, "Got unexpected words (coco): Beam's own flags follow --."),
        (["takedown", "apply", "pmd.toml", "coco:9", "--", "--x"], 2, "Got unexpected words (coco:9)"),
        (["demo", "out"], 2, "Got unexpected words (out)"),
        (["build", "pmd.toml", "--why", "--engine", "flnk"], 2, "remedy: did you mean flink?"),
        (
            ["build", "pmd.toml", "--why", "--", "--direct_num_worker=2"],
            2,
            "remedy: did you mean --direct_num_workers?",
        ),
        (
            ["audit", "1.csv", "2.csv", "3.csv", "4.csv", "5.csv", "--out", "out"],
            2,
            "Got unexpected words (2.csv 3.csv 4.csv and 1 more): quote a glob",
        ),
        (["engine", "up", "sprk"], 2, "remedy: did you mean spark?"),
        (["build", "pmd.toml", "--", "--runner=Nonsense"], 2, "pmd: --runner=Nonsense: Beam refuses these flags"),
        (
            ["build", "pmd.toml", "--", "--direct_num_workers=many"],
            2,
            "pmd: --direct_num_workers=many: Beam refuses these flags",
        ),
        *(
            ([stage, "pmd.toml", "--sources", "sbu_captions"], 2, "No such option: --sources")
            for stage in flow.NAMES
            if stage != "curate"
        ),  # they take all sources that are curated
        (["init", "--sources", "imagenet"], 2, "pmd: --sources: no such source"),
        (["nonsense"], 2, "No such command"),
        (["build"], 2, "Missing argument"),
        (["fetch", "pmd.toml", "--retry", "gone"], 2, "pmd: --retry: no such status"),
        (["fetch", "pmd.toml", "--retry", "ok"], 2, "pmd: --retry: no such status"),
        (["fetch", "pmd.toml", "--retry", "timout"], 2, "remedy: did you mean timeout?"),
        (["fetch", "pmd.toml"], 4, "nothing is committed here"),
        (["dedupe", "pmd.toml"], 4, "nothing is committed here"),
        (["shard", "pmd.toml"], 4, "nothing is committed here"),
        (["audit", "pmd.toml"], 4, "nothing is committed here"),
        (["audit", "pmd.toml", "--column", "text=said"], 2, "columns are named of a data set alone"),
        (["audit", "my rows.csv"], 2, "run: pmd audit 'my rows.csv' --out DIR"),
        (["audit", "*.parquet"], 2, "this is no configuration"),
        (["audit", "rows.csv", "--out", "out", "--sample", "1/8"], 2, "this is for a build"),
        (["audit", "rows.csv", "--out", "out"], 3, "no file of a data set is here"),
        (["status", "nowhere"], 4, "pmd: nowhere: no ROOT here"),
        (["verify", "nowhere"], 4, "pmd: nowhere: no ROOT here"),
        (["explain", "nowhere", "x"], 4, "pmd: nowhere: no ROOT here"),
        (["peek", "nowhere"], 4, "pmd: nowhere: nothing to look at: no source is curated here"),
        (["demo", "--profile", "papers"], 2, "pmd: --profile: no such profile"),
        (["demo", "--profile", "papers"], 2, "remedy: did you mean paper?"),
        (["manifests", "fetch", "imagenet"], 2, "imagenet"),
        (["manifests", "fetch", "coco", "--folder", "sbu.json"], 2, "pmd: --folder: not a folder"),
        (["takedown", "find", "pmd.toml", "nowhere.jpg"], 3, "pmd: nowhere.jpg: no such file"),
        (["takedown", "find", "pmd.toml", "sbu.json"], 3, "pmd: sbu.json: no picture"),
        (["takedown", "find", "pmd.toml", "photo.gif"], 4, "no ROOT here"),
        (["takedown", "receipt", "pmd.toml"], 4, "no ROOT here"),
        (["takedown", "receipt", "pmd.toml", "1"], 4, "no ROOT here"),
        (["manifests", "verify", "sbu_captions"], 3, ""),
        (["manifests", "verify", "yfcc100m"], GATED, ""),
        (["manifests", "verify", "sbu_captions", "yfcc100m"], 3, ""),
        (["manifests", "fetch", "yfcc100m"], GATED, ""),
    ],
)
def test_a_users_mistake_is_told_with_its_exit_code(
    pmd: Pmd, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "sbu.json").write_text('{"image_urls": ["http://e.org/1"], "user_ids": ["u"], "captions": ["a dog"]}')
    (tmp_path / "photo.gif").write_bytes(b"GIF89a")
    config(tmp_path, sbu_captions="sbu.json")
    ended = pmd(*arguments)
    assert ended.code == code
    assert says in ended.err


@pytest.mark.parametrize(
    ("line", "retried"),
    [
        ("pmd.toml", ()),
        ("pmd.toml --retry", TRANSIENT),
        ("--retry pmd.toml", TRANSIENT),
        ("pmd.toml --retry --sample 1/2", TRANSIENT),
        ("--retry pmd.toml -- --runner=FnApiRunner", TRANSIENT),
        ("pmd.toml --retry -- --retry", TRANSIENT),
        ("pmd.toml -- --retry dead", ()),
        ("pmd.toml --retry=transient", TRANSIENT),
        ("--retry transient pmd.toml", TRANSIENT),
        ("pmd.toml --retry dead,timeout", ("dead", "timeout")),
        ("--retry dead,transient pmd.toml", ("dead", *TRANSIENT)),
        ("pmd.toml --retry 'dead, timeout'", ("dead", "timeout")),
        ("pmd.toml --retry ''", ()),
    ],
)
def test_what_is_tried_again(
    pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, retried: tuple[str, ...]
) -> None:
    config(tmp_path, sbu_captions="sbu.json")
    asked: list[tuple[str, ...]] = []

    def ended(*_: object, retry: tuple[str, ...] = (), **__: object) -> runs.Run:
        asked.append(retry)
        return runs.Run()

    monkeypatch.setattr("pipelines.fetch.build", ended)
    monkeypatch.setattr("pmd.cli.stages.run_stage", lambda *_: (None, ended()))
    assert pmd("fetch", *shlex.split(line)).code == 0
    assert asked == [retried]


def test_every_mistake_of_a_configuration_is_shown(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "pmd.toml").write_text('root = "out"\nprofil = "hub"\n[shard]\nunit = "view"\n')
    ended = pmd("plan", "pmd.toml")
    assert ended.code == 2
    assert ended.err.startswith("pmd: pmd.toml: 4 mistakes; nothing was run\n")


def test_a_second_writer_is_refused(pmd: Pmd, tmp_path: Path) -> None:
    from pmd.store import root

    (tmp_path / "sbu.json").write_text('{"image_urls": [], "user_ids": [], "captions": []}')
    path = config(tmp_path, sbu_captions="sbu.json")
    with root.writer(f"{tmp_path}/pmd", "pmd build other.toml"):
        ended = pmd("build", path)
    assert ended.code == 4
    assert "another writer has it since" in ended.err
    assert "pmd build other.toml" in ended.err


def test_a_page_is_written_where_it_was_asked_for(pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pmd.inspection.peek.page", lambda *_, **__: "<html>")
    assert pmd("peek", "out", "--out", "new/page.html").out == "new/page.html\n"
    assert (tmp_path / "new" / "page.html").read_text() == "<html>"


def test_a_page_that_finds_no_room_leaves_the_one_before(
    pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmd.inspection.peek.page", lambda *_, **__: "<html>" * 1000)
    (tmp_path / "page.html").write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        ended = pmd("peek", "out", "--out", "page.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "a file would be larger than is allowed" in ended.err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "before")]


@pytest.mark.parametrize("kind", [PmdError, *PmdError.__subclasses__()])
def test_each_kind_of_error_has_its_exit_code(pmd: Pmd, monkeypatch: pytest.MonkeyPatch, kind: type[PmdError]) -> None:
    def fail() -> None:
        raise kind("it broke", remedy="mend it")

    monkeypatch.setattr("pmd.inspection.catalogue.sources", fail)
    ended = pmd("sources")
    assert ended.code == kind("x").exit_code
    assert ended.err == "pmd: it broke\n  remedy: mend it\n"


def test_an_interrupt_is_told_and_has_its_exit_code(pmd: Pmd, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pmd.inspection.catalogue.sources", interrupt)
    ended = pmd("sources")
    assert ended.code == 130
    assert ended.err.strip() == "pmd: interrupted; what was committed stays, and the same command goes on from there"


@pytest.mark.parametrize("where", ["make_context", "invoke", "_main_shell_completion"])
def test_an_interrupt_is_told_wherever_it_meets_the_command_line(
    pmd: Pmd, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise endings.Stopped(15)

    monkeypatch.setattr(f"typer.core.TyperGroup.{where}", interrupt)
    ended = pmd("sources")
    assert ended.code == 143
    assert ended.err == f"pmd: {endings.INTERRUPTED}\n"


def of_its_own(
    words: Sequence[str], folder: Path, redirected: str = "", before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with a shell's redirections, after some lines of Python."""
    code = f"{before}\nimport sys\nsys.argv[0] = 'pmd'\nfrom pmd.__main__ import main\nmain()"
    command = shlex.join([sys.executable, "-c", code, *words])
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    return subprocess.run(
        ["/bin/sh", "-c", f"{command} {redirected}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_take_what_is_said_and_nothing_else_has_their_numbers(
    tmp_path: Path, closed: str
) -> None:
    """As a service may be started. Were nothing opened, `pmd.toml` would be the first that has the number."""
    ended = of_its_own(["sources"], tmp_path, closed)
    assert ended.returncode == 0
    assert ("coco" in ended.stdout) == (closed == "2>&-")
    assert ended.stderr == ""
    config(tmp_path, sbu_captions="sbu.json")
    looks = "import atexit, os\natexit.register(lambda: open('numbers', 'w').write(str(os.fstat(1).st_rdev > 0)))"
    assert of_its_own(["build", "pmd.toml"], tmp_path, closed, looks).returncode == 3
    assert (tmp_path / "numbers").read_text() == str(">&-" in closed.split())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a device that is full")
def test_where_no_more_can_be_said_that_is_told(tmp_path: Path) -> None:
    ended = of_its_own(["sources"], tmp_path, "> /dev/full")
    assert ended.returncode == 1
    assert ended.stderr.startswith("pmd: standard output: it cannot be written to\n")


def test_names_are_utf8_whatever_the_locale_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would take them for ASCII here, and a ROOT called so could not be made."""
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    (tmp_path / "sbu.json").write_text('{"image_urls": ["http://e.org/1"], "user_ids": ["u"], "captions": ["a dog"]}')
    path = config(tmp_path, sbu_captions="sbu.json").rename(tmp_path / "größe.toml")
    path.write_text(path.read_text().replace(f"{tmp_path}/pmd", "wörter"))
    ended = of_its_own(["curate", path.name], tmp_path)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert (tmp_path / "wörter/curate/source=sbu_captions/_stage.json").exists()
    ended = of_its_own(["status", "wörter"], tmp_path)
    assert ended.returncode == 0
    assert "\\u2013" in ended.stdout  # the terminal's encoding stays what it is


def test_no_module_is_looked_for_in_the_folder_that_a_command_is_run_in(tmp_path: Path) -> None:
    """People have files beside their configuration that are called as Python's are: `types.py`, `random.py`."""
    here, programs = tmp_path / "here", tmp_path / "bin"
    for folder in (here, programs):
        folder.mkdir()
    for name in ("types", "random", "pmd"):
        (here / f"{name}.py").write_text(f"raise SystemExit('{name}.py of this folder')\n")
    (programs / "pmd").write_text("""
import multiprocessing, subprocess, sys
from pmd import cli
from pmd.__main__ import main

def starts_others():
    lane = multiprocessing.get_context("spawn").Process(target=sorted, args=((),))
    lane.start()
    lane.join()
    other = subprocess.run([sys.executable, "-m", "pmd", "--version"])
    print(lane.exitcode, other.returncode)

if __name__ == "__main__":
    cli.main = starts_others
    main()
""")
    ended = subprocess.run(
        [sys.executable, str(programs / "pmd")],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout.splitlines()[-1:], ended.stderr) == (["0 0"], "")


def test_who_reads_no_further_ends_a_command_in_silence(tmp_path: Path) -> None:
    ended = of_its_own(["sources", "--rules", "--json"], tmp_path, "| head -c 10")
    assert ended.stderr == ""


def test_an_interrupt_before_the_command_begins_ends_it_without_a_traceback(tmp_path: Path) -> None:
    while_read_in = """
import os, signal, sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "pmd.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
"""
    ended = of_its_own(["sources"], tmp_path, "; echo $?", while_read_in)
    assert (ended.stdout, ended.stderr) == ("130\n", "")


@pytest.mark.parametrize("command", ["repair", "label"])
@pytest.mark.parametrize("where", ["nowhere", "file.txt", "folder"])
def test_what_is_no_root_is_told_as_that(pmd: Pmd, tmp_path: Path, command: str, where: str) -> None:
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine.txt").write_text("hello")
    ended = pmd(command, where)
    assert (ended.code, ended.err.splitlines()[0]) == (4, f"pmd: {where}: no ROOT here")


@pytest.mark.parametrize("command", [["plan"], ["build", "--why"], ["build"]], ids=" ".join)
@pytest.mark.parametrize(
    ("root", "says"),
    [
        ("sbu.json", "sbu.json: a file is here"),
        ("sbu.json/pmd", "sbu.json: a folder of the path is a file"),
        (".", ".: the folder holds files, and is no ROOT of pmd"),
        ("newer", "newer/root.json: not a ROOT that this pmd can read"),
    ],
)
def test_where_no_build_can_stand_that_is_told_before_it(
    pmd: Pmd, tmp_path: Path, command: list[str], root: str, says: str
) -> None:
    (tmp_path / "sbu.json").write_text('{"image_urls": ["http://e.org/1"], "user_ids": ["u"], "captions": ["a dog"]}')
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer/root.json").write_text('{"version": 2}')
    path = config(tmp_path, sbu_captions="sbu.json")
    path.write_text(path.read_text().replace(f"{tmp_path}/pmd", root))
    ended = pmd(*command, "pmd.toml")
    assert (ended.code, ended.err.splitlines()[0]) == (4, f"pmd: {says}")


def test_a_configuration_that_is_a_link_to_nothing_is_told(pmd: Pmd, tmp_path: Path) -> None:
    (tmp_path / "pmd.toml").symlink_to("nowhere")
    ended = pmd("plan", "pmd.toml")
    assert (ended.code, ended.err) == (
        2,
        "pmd: pmd.toml: a link that leads nowhere\n  remedy: write one with: pmd init > pmd.toml\n",
    )


def test_a_fetch_of_some_time_refuses_flags_before_it_asks_for_anything(
    pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(tmp_path, sbu_captions="sbu.json")
    looked: list[bool] = []
    monkeypatch.setattr("pmd.fetch.needs.pending_images", lambda *_: looked.append(True))
    ended = pmd("fetch", "pmd.toml", "--for", "1h", "--", "--direct_num_worker=2")
    assert (ended.code, looked) == (2, [])
    assert "Beam does not know these flags" in ended.err


def test_names_are_never_cut(pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "localized_narratives__openimages"
    (tmp_path / "narratives.jsonl").write_text("{}\n")
    config(tmp_path, **{name: "narratives.jsonl"})
    assert name in pmd("build", "pmd.toml", "--why").out


def test_nothing_that_runs_is_told(pmd: Pmd) -> None:
    assert pmd("engine", "down").out == "no engine was started here\n"


def test_the_module_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "pmd", "sources", "--json"], capture_output=True, text=True, check=True)
    assert len(json.loads(run.stdout)) == len(sources.names())
