"""The hint of a build that lacks a file, and the configuration to begin with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pmd.errors import ConfigError
from pmd.manifests import human_bytes, load_all, missing_hint, select, starter_config
from tests import postcards


@pytest.mark.parametrize(
    ("source", "path", "hint"),
    [
        (
            "red_caps",
            "data/red_caps/redcaps_v1.0_annotations.zip",
            "red_caps: data/red_caps/redcaps_v1.0_annotations.zip not found; run: pmd manifests fetch red_caps (1.06 GB)",
        ),
        (
            "red_caps",
            "elsewhere/annotations.zip",
            "red_caps: elsewhere/annotations.zip not found; run: pmd manifests fetch red_caps (1.06 GB), "
            "which gets redcaps_v1.0_annotations.zip",
        ),
        (
            "coco",
            "annotations_trainval2017.zip!/annotations/captions_val2017.json",
            "coco: annotations_trainval2017.zip not found; run: pmd manifests fetch coco (253 MB)",
        ),
        (
            "coco",
            "data/coco/train2017.zip",
            "coco: data/coco/train2017.zip not found; run: pmd manifests fetch coco --file train2017.zip (19.3 GB)",
        ),
        (
            "wit",
            "data/wit/wit_v1.train.all-*.tsv.gz",
            "wit: data/wit/wit_v1.train.all-*.tsv.gz not found; run: pmd manifests fetch wit (26.7 GB)",
        ),
        (
            "visual_genome",
            "images*.zip",
            "visual_genome: images*.zip not found; "
            "run: pmd manifests fetch visual_genome --file images.zip --file images2.zip (15.2 GB)",
        ),
        (
            "localized_narratives__coco",
            "coco_val_captions.jsonl",
            "localized_narratives__coco: coco_val_captions.jsonl not found; "
            "run: pmd manifests fetch localized_narratives__coco (size not published)",
        ),
        (
            "localized_narratives__flickr30k",
            "data/flickr30k-images.tar",
            "localized_narratives__flickr30k: data/flickr30k-images.tar not found; fill in Flickr30k's form; "
            "the archive may also stay compressed or unpacked: name what you have under images in the configuration; "
            "ask at http://shannon.cs.illinois.edu/DenotationGraph/; put it at data/flickr30k-images.tar",
        ),
    ],
)
def test_missing_hint(source: str, path: str, hint: str) -> None:
    assert missing_hint(source, path) == hint


def test_missing_hint_of_an_unknown_source() -> None:
    with pytest.raises(ConfigError, match="no such source: cocoa"):
        missing_hint("cocoa", "x")


def test_the_starter_config_is_toml_with_every_source_and_its_files() -> None:
    config = tomllib.loads(starter_config())
    assert list(config) == ["root", "profile", "seed", "contact", "sources", "fetch", "shard"]
    assert list(config["sources"]) == list(load_all())
    for name, section in config["sources"].items():
        files = [file for file in select([load_all()[name]]) if file.option is None]
        assert section["annotations"] == [f"data/{file.target}" for file in files]


def test_archives_are_asked_for_only_where_images_have_no_urls() -> None:
    sources = tomllib.loads(starter_config())["sources"]
    assert {name: section["images"] for name, section in sources.items() if "images" in section} == {
        "localized_narratives__ADE20k": ["data/localized_narratives__ADE20k/ADEChallengeData2016.zip"],
        "localized_narratives__flickr30k": ["data/localized_narratives__flickr30k/flickr30k-images.tar"],
    }


def test_what_is_not_known_of_a_source_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postcards.beside_the_others(tmp_path, monkeypatch)
    shown = starter_config(["postcards"])
    assert tomllib.loads(shown)["sources"] == {"postcards": {"annotations": []}}
    assert "# Upstream: how many records it has is not known. FLAVA's Table 2 does not have it.\n" in shown
    assert "# Where upstream's files are is not known: name yours.\nannotations = [" in shown
    assert "pmd manifests fetch" not in shown
    assert missing_hint("postcards", "data/p.tsv") == (
        "postcards: data/p.tsv not found; where upstream's files are is not known: name yours in the configuration"
    )


def test_a_starter_config_in_whole() -> None:
    assert (
        starter_config(["coco", "yfcc100m"])
        == """\
# What to download first, unless you have it:
#   pmd manifests fetch coco yfcc100m
# Annotation files: 290 MB.
# Archives of images, named below: 20.2 GB more.
# `pmd plan` tells rows, bytes, hours and disk before anything runs.

# Paths here are relative to the folder of this file, wherever pmd is run.
root = "out/pmd"                     # or any fsspec URL
profile = "recommended"              # paper | hub | recommended
seed = 0
contact = "mailto:you@example.org"   # sent with every request; a real run needs it

# COCO captions: Five captions an image, written by crowd workers for photographs from Flickr.
# Upstream: 616,767 captions of train and val together. FLAVA's Table 2, "COCO": 0.9M pairs.
# Text: CC-BY-4.0. The annotations, captions included, are CC BY 4.0.
# Images: NOASSERTION. The photographs are Flickr users', under Flickr's terms; the annotation files name a licence for
# each (images[].license).
[sources.coco]
annotations = [
    "data/coco/annotations_trainval2017.zip",   # 253 MB
]
# Optional: archives, read in place, so that these images need not be fetched one by one.
# images = [
#     "data/coco/train2017.zip",   # 19.3 GB; pmd manifests fetch coco --file train2017.zip
#     "data/coco/val2017.zip",   # 816 MB; pmd manifests fetch coco --file val2017.zip
# ]
karpathy = "data/coco/caption_datasets.zip"   # 36.7 MB
#   Karpathy's split (dataset_coco.json): says which images evaluations hold out

# YFCC100M: Titles and descriptions that Flickr users gave to a hundred million photographs and videos under Creative
# Commons licences.
# Upstream: 100,000,000 photographs and videos. FLAVA's Table 2, "YFCC100M, filtered": 30.3M pairs.
# Text: NOASSERTION. Titles and descriptions are their authors'; the file comes under the Webscope agreement. No licence
# of the text itself is known.
# Images: NOASSERTION. One of six Creative Commons 2.0 licences a photograph; each row states its own, and it is carried
# to the pair.
[sources.yfcc100m]
# Gated, yfcc100m_dataset.bz2: accept the Webscope agreement, then copy it from s3://yahoo-webscope/I3set14/; or fetch
# the SQLite dump, which needs no form: pmd manifests fetch yfcc100m --file yfcc100m_dataset.sql; ask at
# https://multimediacommons.wordpress.com/yfcc100m-core-dataset/
annotations = [
    "data/yfcc100m/yfcc100m_dataset.bz2",   # about 15.0 GB, 100,000,000 rows; gated
    # "data/yfcc100m/yfcc100m_dataset.sql",   # 65.6 GB; pmd manifests fetch yfcc100m --file yfcc100m_dataset.sql
]

# [sources.my_pairs]                 # any other name: a table of your own pairs (TSV, CSV, Parquet, JSON Lines)
# reader = "url_text"
# annotations = ["my_pairs.csv"]

[fetch]
store = "resized"                    # or "original"; images with regions are always kept original
short_side_px = 256
# resize_mode = "center_crop"          # keep_ratio | keep_ratio_largest | center_crop | border | no; in [shard] too
# image_size = 256                     # for any of them, in place of short_side_px
# encode_format = "webp"               # jpg | png | webp
# min_side_px = 200                    # smaller pictures are not stored
# max_aspect_ratio = 3.0               # nor are narrower ones
per_host = { requests_per_s = 10, connections = 8 }
# resolve = { "images.cocodataset.org:80" = "127.0.0.1:8080", "*:443" = "127.0.0.1:8443" }   # as curl's --connect-to
# allow_addresses = ["127.0.0.1/32"]   # private addresses are refused unless named
# ca_file = "ca.pem"

[shard]
formats = ["webdataset", "parquet"]
unit = "image"                       # or "pair"
samples_per_shard = 10000
"""
    )


def test_an_unknown_source_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="no such source: cocoa"):
        starter_config(["coco", "cocoa"])


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (524_288, "524 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1_061_908_181, "1.06 GB"),
        (65_644_027_904, "65.6 GB"),
        (2_500_000_000_000, "2.50 TB"),
    ],
)
def test_human_bytes(count: int, words: str) -> None:
    assert human_bytes(count) == words
