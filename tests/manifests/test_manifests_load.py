"""The manifests as they are, PMD's above all, and what a mistake in one is told."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pmd import sources
from pmd.errors import ConfigError, InputError
from pmd.manifests import load, load_all, of_table2
from pmd.manifests.loading import FOLDER
from tests import postcards

#: The sources that PMD is made of; there may be others.
OF_PMD = [
    "coco",
    "conceptual_12m",
    "conceptual_captions",
    "localized_narratives__ADE20k",
    "localized_narratives__coco",
    "localized_narratives__flickr30k",
    "localized_narratives__openimages",
    "red_caps",
    "sbu_captions",
    "visual_genome",
    "wit",
    "yfcc100m",
]

#: FLAVA (arXiv 2112.04482), Table 2: pairs in millions, average words.
TABLE_2 = {
    "COCO": (0.9, 12.4),
    "SBU Captions": (1.0, 12.1),
    "Localized Narratives": (1.9, 13.8),
    "Conceptual Captions (CC3M)": (3.1, 10.3),
    "Visual Genome": (5.4, 5.1),
    "Wikipedia Image Text": (4.8, 12.8),
    "Conceptual Captions 12M": (11.0, 17.3),
    "RedCaps": (11.6, 9.5),
    "YFCC100M, filtered": (30.3, 12.7),
}


def test_every_source_has_one_in_order() -> None:
    assert list(load_all()) == sorted(sources.names(), key=str.lower)


def test_pmds_sources_are_those_of_table_2() -> None:
    assert list(of_table2()) == OF_PMD


def test_table_2_is_the_papers_and_sums_to_its_total() -> None:
    rows = {table2.row: table2 for table2 in of_table2().values()}
    assert {row: (table2.pairs_millions, table2.mean_words) for row, table2 in rows.items()} == TABLE_2
    assert sum(table2.pairs_millions for table2 in rows.values()) == pytest.approx(70.0)


def test_the_four_localized_narratives_share_one_row() -> None:
    shared = [name for name, table2 in of_table2().items() if table2.row == "Localized Narratives"]
    assert len(shared) == 4
    assert all(name.startswith("localized_narratives__") for name in shared)
    assert sum(load(name).upstream_rows or 0 for name in shared) == 873_107


def test_rows_of_files_add_up_to_the_published_count() -> None:
    for name in ("wit", "localized_narratives__openimages", "localized_narratives__coco", "red_caps", "conceptual_12m"):
        manifest = load(name)
        rows = [file.rows for file in manifest.files if file.rows and not file.optional]
        assert sum(rows) == manifest.upstream_rows, name


def test_wit_bytes_add_up() -> None:
    assert sum(file.bytes or 0 for file in load("wit").files) == 26_701_451_720


def test_only_wit_is_spelled_otherwise_by_facebook_pmd() -> None:
    assert {name: load(name).hub_name for name in OF_PMD if load(name).hub_name != name} == {"wit": "google/wit"}


def test_what_is_gated() -> None:
    gated = {file.target for name in OF_PMD for file in load(name).files if file.gated}
    assert gated == {"yfcc100m/yfcc100m_dataset.bz2", "localized_narratives__flickr30k/flickr30k-images.tar"}


def test_text_that_must_not_be_redistributed() -> None:
    assert {name for name in OF_PMD if load(name).redistribute != "text"} == {"sbu_captions", "yfcc100m"}


def test_the_page_of_sources_says_what_is_published_of_each() -> None:
    """PMD's sources stand in one table, any other there or in its own section."""
    page = (FOLDER.parent / "docs/sources.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")}
    table = [row for row in sections["What is published"].splitlines() if row.startswith("|")]
    listed = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[2:]]
    expected = {
        name: [", ".join(f"`{field}`" for field in manifest.meta) or "nothing", manifest.meta_reason]
        for name, manifest in load_all().items()
    }
    in_table = [row[0].strip("`") for row in listed]
    assert listed == [[f"`{name}`", *expected[name]] for name in load_all() if name in in_table]
    assert {*OF_PMD} <= {*in_table}
    for name in {*expected} - {*in_table}:
        fields, why = expected[name]
        assert f"`meta` of a list: {fields}: {why}" in " ".join(sections[name].split()), name


def test_no_source_licence_is_copied_onto_images() -> None:
    assert {load(name).image_licence for name in OF_PMD} == {"NOASSERTION"}


def test_a_file_of_another_source_is_that_sources_but_for_its_own_keys() -> None:
    mine = next(file for file in load("visual_genome").files if file.name == "caption_datasets.zip")
    theirs = next(file for file in load("coco").files if file.name == "caption_datasets.zip")
    assert mine.target == "coco/caption_datasets.zip"
    assert (mine.sha256, mine.bytes, mine.urls, mine.option) == (theirs.sha256, theirs.bytes, theirs.urls, "karpathy")
    assert mine.note != theirs.note


def test_models_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("coco").title = "other"


def test_an_unknown_source_is_told_with_its_neighbour() -> None:
    with pytest.raises(ConfigError) as caught:
        load("redcaps")
    assert str(caught.value).startswith("no such source: redcaps\n  expected: coco, conceptual_12m, ")
    assert caught.value.remedy == "did you mean red_caps?"


def test_loading_imports_no_http_client_and_no_terminal_library() -> None:
    code = (
        "import sys; from pmd.manifests import load_all; load_all(); "
        "print(sorted({'requests', 'rich', 'apache_beam', 'pyarrow', 'fsspec'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with RedCaps' manifest."""
    (tmp_path / "red_caps.toml").write_text((FOLDER / "red_caps.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def change(folder: Path, old: str, new: str) -> Path:
    path = folder / "red_caps.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('name = "red_caps"\n', 'name = "redcaps"\n', "name", "expected 'red_caps', as the file is called"),
        ('title = "RedCaps 1.0"\n', "", "title", "Field required"),
        ("bytes = 1061908181", 'bytes = "1061908181"', "files[0].bytes", "valid integer"),
        ("bytes = 1061908181", "bytes = 1061908181\nsize = 3", "files[0].size", "Extra inputs are not permitted"),
        ('sha256 = "d50', 'sha256 = "D50', "files[0].sha256", "should match pattern"),
        ('kind = "annotations"', 'kind = "annotation"', "files[0].kind", "'annotations' or 'images'"),
        ('row = "RedCaps"', 'row = "Red Caps"', "table2.row", "'RedCaps'"),
        (
            'homepage = "',
            'unknown = ["files", "title"]\n# "',
            "unknown[1]",
            "'homepage', 'citation', 'published' or 'files'",
        ),
        ('homepage = "', '# "', "(whole file)", "missing: homepage; what is not known is named in `unknown`"),
        ("homepage = ", 'unknown = ["files"]\nhomepage = ', "(whole file)", "given, and said to be unknown: files"),
        ('clusters = ["user", "subreddit"]', 'clusters = ["author"]', "clusters[0]", "'image', 'user'"),
        ('hosts = ["i.redd.it"', 'hosts = ["https://i.redd.it"', "hosting.hosts[0]", "should match pattern"),
        (
            'hosts = ["i.redd.it"',
            'pairs = 3\nhosts = ["i.redd.it"',
            "hosting",
            "expected both pairs and images, or neither",
        ),
        ('user = "author"', 'user = "the author"', "recorded.user", "should match pattern"),
        ('user = "author"\n', "", "recorded", "expected `user` with site and names"),
        ('dated = "posted"\n', "", "recorded", "expected all of date, dated, last_year, or none"),
        ('dated = "posted"', 'dated = "sent"', "recorded.dated", "'taken' or 'posted'"),
        ('user = "author"', 'longitude = "x"\nuser = "author"', "recorded", "all of longitude, latitude, or none"),
        ('subreddit = "subreddit"\n', "", "(whole file)", "clusters by subreddit: name the field of upstream's"),
        ('redistribute = "text"', 'redistribute = "yes"', "redistribute", "'text', 'urls' or 'ids'"),
        ("bytes = 1061908181", "bytes_about = 1\nbytes = 1061908181", "files[0]", "bytes or bytes_about, not both"),
        ('urls = ["https', 'urls = ["ftp', "files[0].urls[0]", "should match pattern"),
        ('kind = "annotations"', 'kind = "annotations"\nsame_as = "coco/x.zip"', "files[0].same_as", "not permitted"),
        ("created_utc = '[0-9]{9,11}'", "created_utc = '[0-9'", "meta.created_utc", "expected a regular expression"),
        (
            "created_utc = '[0-9]{9,11}'",
            "author = '.+'",
            "meta.author",
            "expected a form that no name has, but Ada has it",
        ),
        ("created_utc = '[0-9]{9,11}'", '"a..b" = "[0-9]+"', "meta.a..b.[key]", "should match pattern"),
        ("meta_reason", "licence_evidence = '.*'\nmeta_reason", "licence_evidence", "that no name has, but Ada has it"),
        ('name = "redcaps_v1', 'name = "../redcaps_v1', "files[0].name", "should match pattern"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(folder: Path, old: str, new: str, key: str, says: str) -> None:
    path = change(folder, old, new)
    with pytest.raises(InputError) as caught:
        load_all(folder)
    assert caught.value.where == str(path)
    assert f"{key}: " in str(caught.value.found)
    assert says in str(caught.value.found)


def test_all_mistakes_of_a_file_are_told_at_once(folder: Path) -> None:
    change(folder, "pairs_millions = 11.6", "pairs_millions = -1")
    change(folder, 'title = "RedCaps 1.0"', "title = 1")
    with pytest.raises(InputError, match="2 mistakes in the manifest") as caught:
        load_all(folder)
    assert "title: " in str(caught.value.found)
    assert "table2.pairs_millions: " in str(caught.value.found)


def test_what_is_not_toml_is_told_with_its_line(folder: Path) -> None:
    change(folder, 'title = "RedCaps 1.0"', "title = RedCaps")
    with pytest.raises(InputError, match="not a TOML file") as caught:
        load_all(folder)
    assert "line 2" in str(caught.value.found)


def test_an_empty_folder_says_that_the_installation_is_broken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no manifests") as caught:
        load_all(tmp_path)
    assert caught.value.remedy == "install pmd again; its wheel carries this folder"


def test_what_is_not_known_is_said_so(tmp_path: Path) -> None:
    manifest = postcards.written(tmp_path)
    assert (manifest.homepage, manifest.citation, manifest.published, manifest.files) == (None, None, (), ())
    assert (manifest.table2, manifest.upstream_rows, manifest.clusters, manifest.hosting) == (
        None,
        None,
        ("image",),
        None,
    )


def test_the_folder_holds_data_only() -> None:
    assert {path.suffix for path in FOLDER.iterdir() if path.name != "__pycache__"} == {".toml"}
    for path in FOLDER.glob("*.toml"):
        assert tomllib.loads(path.read_text(encoding="utf-8"))["name"] == path.stem
