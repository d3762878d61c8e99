"""A source of any other name: the example of docs/sources.md, built over the demo's web and asked about with every command."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pmd import cli
from pmd.demo.config import open_web, write_demo
from pmd.demo.web import DemoWeb
from tests.end_to_end import building

PAGE = Path(__file__).parents[2] / "docs/sources.md"
Pmd = Callable[..., str]


def _fence(kind: str) -> str:
    section = re.search(r"^## url_text\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section
    found = re.search(rf"^```{kind}\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


ROWS = list(csv.DictReader(io.StringIO(_fence("csv"))))
GONE = ROWS[2]["address"]
SEEN = ROWS[0]["address"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, DemoWeb]]:
    """A folder with the example's configuration and table, over the demo's web; Conceptual Captions beside it."""
    folder = tmp_path_factory.mktemp("own")
    with open_web() as web:
        demo = write_demo(folder, web).read_text(encoding="utf-8")
        kept = re.search(r"\[sources\.conceptual_captions\]\n.*\n", demo)
        assert kept
        others = re.sub(r"\[sources\..*?(?=^\[fetch\])", kept[0] + "\n", demo, flags=re.MULTILINE | re.DOTALL)
        (folder / "pmd.toml").write_text(f"{others}\n{_fence('toml')}", encoding="utf-8")
        (folder / "my_pairs.csv").write_text(_fence("csv"), encoding="utf-8")
        yield folder, web


@pytest.fixture
def pmd(example: tuple[Path, DemoWeb], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pmd:
    """A function that runs a command in the example's folder, and gives what it says."""
    monkeypatch.chdir(example[0])

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["pmd", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert not ended.value.code, said.err
        return said.out + said.err

    return run


def test_the_example_is_built_and_every_command_knows_it(example: tuple[Path, DemoWeb], pmd: Pmd) -> None:
    folder, _ = example
    root = folder / "pmd"

    planned = json.loads(pmd("plan", "pmd.toml", "--json"))
    (mine,) = [source for source in planned["sources"] if source["name"] == "my_pairs"]
    assert (mine["pairs"], mine["basis"], mine["missing"]) == (3, "counted", [])

    said = pmd("build", "pmd.toml")
    assert '! my_pairs: columns by their names: text_column = "caption" (my_pairs.csv)' in said
    books = {
        stage: building.committed(root)[folder_of]["sources"]["my_pairs"]
        for stage, folder_of in (("curate", "curate/source=my_pairs"), ("dedupe", "dedupe"))
    }
    assert books["curate"] == {"in": 3, "kept": 3, "rejected": {}}
    assert books["dedupe"]["kept"] == 2

    assert "my_pairs" in pmd("status", "pmd")
    assert "the books balance" in pmd("verify", "pmd")
    assert "my_pairs" in pmd("explain", "pmd", SEEN)
    assert "dead" in pmd("explain", "pmd", GONE)
    audit = json.loads((root / "audit/audit.json").read_bytes())
    assert audit["sources"]["my_pairs"]["curate"]["pairs"] == 3
    assert not [row for row in audit["table2"] if "my_pairs" in row["sources"]]
    assert "my_pairs" in (root / "audit/report.html").read_text(encoding="utf-8")
    assert 'reader = "url_text"' in pmd("sources")
    assert "url_column" in pmd("sources", "--rules")
    page = folder / "peek.html"
    pmd("peek", "pmd", "--source", "my_pairs", "--out", str(page))
    assert ROWS[0]["caption"] in page.read_text(encoding="utf-8")

    listed = pq.read_table(root / "publish/source=my_pairs").to_pylist()
    assert sorted((row["image_url"], row["text"], row["meta"]) for row in listed) == [
        (row["address"], row["caption"], "{}") for row in ROWS[:2]
    ]
    assert {(row["source"], row["text_licence"], row["image_licence"]) for row in listed} == {
        ("my_pairs", "CC0-1.0", "NOASSERTION")
    }
    assert "Ada" not in json.dumps(building.rows(root / "curate/source=my_pairs", "pairs/"), default=str)

    # Beside it, a shard has its pairs and others'.
    shown = {pair["source"] for row in building.rows(root / "shards/parquet") for pair in row["pairs"] or ()}
    assert shown == {"my_pairs", "conceptual_captions"}

    assert {line.split()[-1] for line in pmd("build", "pmd.toml", "--why").splitlines()[1:]} == {"unchanged"}


def test_an_option_redoes_what_it_must_and_a_takedown_reaches_it(example: tuple[Path, DemoWeb], pmd: Pmd) -> None:
    folder, web = example
    path, root = folder / "pmd.toml", folder / "pmd"
    pmd("build", "pmd.toml")
    before = building.committed(root)
    asked = len(web.requests)
    path.write_text(path.read_text().replace('redistribute = "text"', 'redistribute = "urls"'))
    pmd("build", "pmd.toml")
    after = building.committed(root)
    assert [row["text"] for row in pq.read_table(root / "publish/source=my_pairs").to_pylist()] == [None, None]
    assert before["publish/source=conceptual_captions"] == after["publish/source=conceptual_captions"]
    assert before["curate/source=conceptual_captions"] == after["curate/source=conceptual_captions"]

    (folder / "takedown.txt").write_text(f"{SEEN}\n")
    path.write_text(f'takedown = ["takedown.txt"]\n{path.read_text()}')
    pmd("build", "pmd.toml")
    assert len(web.requests) == asked
    assert SEEN not in str(pq.read_table(root / "publish/source=my_pairs").to_pylist())
    assert "takedown" in pmd("explain", "pmd", SEEN)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('url_column = "address"', "expected: a table with the columns image_url or url, text or caption"),
        ('annotations = ["my_pairs.csv"]', "my_pairs: gone.csv not found"),
    ],
)
def test_a_mistake_is_told(
    example: tuple[Path, DemoWeb],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    problem: str,
) -> None:
    folder, _ = example
    monkeypatch.chdir(folder)
    other = 'annotations = ["gone.csv"]' if line.startswith("annotations") else ""
    (folder / "wrong.toml").write_text((folder / "pmd.toml").read_text().replace(line, other))
    monkeypatch.setattr(sys, "argv", ["pmd", "build", "wrong.toml"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code
    assert problem in capsys.readouterr().err
