"""The configuration: every mistake at once, each with its line, what was expected and what to do."""

from __future__ import annotations

import re
import textwrap
import typing
from pathlib import Path
from typing import Any

import certifi
import pytest

from pmd import config, manifests, sources
from pmd.config import Config, InvalidConfig, Problem, options, tables
from pmd.config.options import PerHost
from pmd.errors import ConfigError
from pmd.fetch.http import trust
from pmd.sources.contract import PROFILES
from pmd.store import root

#: As the documentation shows it, with shorter comments.
EXAMPLE = """\
root = "out/pmd"                     # any fsspec URL
profile = "recommended"              # paper | hub | recommended
seed = 0
contact = "mailto:you@example.org"   # sent with every request; a real run needs it

[sources.coco]
annotations = ["data/coco/captions_train2017.json"]   # paths or globs; every annotation file of the source
images = ["data/coco/train2017.zip"]                  # optional: archives (zip, tar) or folders, read in place
karpathy = "none"                                     # or the path of dataset_coco.json

[fetch]
store = "resized"                    # or "original"; images with regions are always kept original
short_side_px = 256
per_host = { requests_per_s = 10, connections = 8 }
resolve = { "images.cocodataset.org:80" = "127.0.0.1:8080", "*:443" = "127.0.0.1:8443" }   # * is every other host
allow_addresses = ["127.0.0.1/32"]   # private addresses are refused unless named
ca_file = "ca.pem"

[shard]
formats = ["webdataset", "parquet"]
unit = "image"                       # or "pair"
samples_per_shard = 10000
"""
LEAST = 'root = "out"\ncontact = "mailto:you@example.org"\n'
SBU = '[sources.sbu_captions]\nannotations = ["data/sbu.json"]\n'


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidConfig) as caught:
        config.parse(text, "pmd.toml")
    return list(caught.value.problems)


def only(text: str) -> tuple[int | None, str, str, str, str]:
    (problem,) = problems(text)
    return problem.line, problem.key, problem.expected, problem.found, problem.remedy


def with_stage(stage: str, *lines: str) -> str:
    return "\n".join([LEAST, SBU, f"[{stage}]", *lines, ""])


def test_the_documented_example_parses() -> None:
    found = config.parse(EXAMPLE)
    assert (found.root, found.profile, found.seed, found.contact) == (
        "out/pmd",
        "recommended",
        0,
        "mailto:you@example.org",
    )
    assert (found.sample, found.takedown) == (1, ())
    coco = found.sources["coco"]
    assert coco.annotations == ("data/coco/captions_train2017.json",)
    assert coco.images == ("data/coco/train2017.zip",)
    assert coco.options.karpathy == "none"
    assert found.fetch.per_host == PerHost(requests_per_s=10, connections=8)
    assert found.fetch.resolve == {"images.cocodataset.org:80": "127.0.0.1:8080", "*:443": "127.0.0.1:8443"}
    assert found.fetch.allow_addresses == ("127.0.0.1/32",)
    assert found.fetch.ca_file == "ca.pem"
    assert (found.fetch.store, found.fetch.short_side_px) == ("resized", 256)
    assert found.shard.formats == ("webdataset", "parquet")
    assert (found.shard.unit, found.shard.samples_per_shard) == ("image", 10_000)


def test_the_starter_configuration_parses() -> None:
    found = config.parse(manifests.starter_config())
    assert set(found.sources) == set(sources.names())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_fills_every_rule_and_an_option_changes_one(profile: str) -> None:
    found = config.parse(f'profile = "{profile}"\n{LEAST}{SBU}')
    assert found.curate.duplicate_rows == ("reject" if profile == "recommended" else "keep")
    assert found.dedupe.same_bytes == ("merge" if profile == "recommended" else "keep")
    changed = config.parse(f'profile = "{profile}"\n{LEAST}{SBU}[dedupe]\nrepeated_bytes = 3\n')
    assert changed.dedupe.repeated_bytes == 3
    assert changed.dedupe.same_bytes == found.dedupe.same_bytes


def test_a_configuration_with_five_mistakes_reports_all_five() -> None:
    text = """\
        root = "out/pmd"
        profile = "papers"

        [sources.coco]
        annotations = "data/coco/captions_train2017.json"
        exclude_karpaty = "none"

        [sources.imagenet]
        annotations = ["x"]

        [fetch]
        short_side_px = "256"
        """
    with pytest.raises(InvalidConfig) as caught:
        config.parse(textwrap.dedent(text), "pmd.toml")
    known = ", ".join(sources.names())
    assert str(caught.value) == "\n".join(
        [
            "pmd.toml: 5 mistakes; nothing was run",
            "  contact",
            '    expected: your own "mailto:NAME@HOST", or a URL where you can be reached; it is sent with every request',
            "    found: nothing",
            "    remedy: add a line contact = … at the top",
            "  line 2: profile",
            "    expected: one of paper, hub, recommended",
            '    found: "papers"',
            "    remedy: did you mean paper?",
            "  line 6: sources.coco.exclude_karpaty",
            "    expected: a known option",
            '    found: "exclude_karpaty"',
            "    remedy: did you mean exclude_karpathy?",
            "  line 8: sources.imagenet",
            f"    expected: one of {known}",
            '    found: "imagenet"',
            '    remedy: for pairs of your own, add reader = "url_text"; pmd sources lists the others',
            "  line 12: fetch.short_side_px",
            "    expected: a whole number",
            '    found: "256"',
            "    remedy: write it without quotation marks: short_side_px = 256",
        ]
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f'contact = "mailto:a@b.org"\n{SBU}',
            (None, "root", "a folder or fsspec URL", "nothing", "add a line root = … at the top"),
        ),
        (
            f'root = ""\ncontact = "mailto:a@b.org"\n{SBU}',
            (1, "root", "a folder or fsspec URL", '""', "name a folder of its own"),
        ),
        (
            f'root = "memory://pmd"\ncontact = "mailto:a@b.org"\n{SBU}',
            (1, "root", "a folder or fsspec URL that outlasts a command", '"memory://pmd"', "name a folder of its own"),
        ),
        (
            f'root = 3\ncontact = "mailto:a@b.org"\n{SBU}',
            (1, "root", "a folder or fsspec URL", "3", 'write root = "…"'),
        ),
        (f'{LEAST}seed = "x"\n{SBU}', (3, "seed", "a whole number", '"x"', "write seed = a number")),
        (f"{LEAST}seed = true\n{SBU}", (3, "seed", "a whole number", "true", "write seed = a number")),
        (f"{LEAST}seed = {2**63}\n{SBU}", (3, "seed", "a whole number of 64 bits", str(2**63), "write a smaller one")),
        (
            f"{LEAST}sample = 0\n{SBU}",
            (3, "sample", "a whole number of 1 or more: N of 1/N", "0", "write 1 for everything"),
        ),
        (
            f"{LEAST}takedown = 3\n{SBU}",
            (
                3,
                "takedown",
                "a list of strings: files that list image URLs, image_ids or pair_ids, one a line",
                "3",
                'write takedown = ["…"]',
            ),
        ),
        (
            f'root = "out"\ncontact = "me"\n{SBU}',
            (
                2,
                "contact",
                'your own "mailto:NAME@HOST", or a URL where you can be reached',
                '"me"',
                'write contact = "mailto:NAME@HOST"',
            ),
        ),
        (LEAST, (None, "sources", "at least one [sources.NAME] table", "nothing", "run pmd init to see them all")),
        (
            f"{LEAST}[sources.wit]\n",
            (
                3,
                "sources.wit.annotations",
                "a list of paths or globs of annotation files",
                "nothing",
                "see: pmd init --sources wit",
            ),
        ),
        (
            f"{LEAST}[sources.wit]\nannotations = []\n",
            (
                4,
                "sources.wit.annotations",
                "a list of paths or globs of annotation files",
                "[]",
                "see: pmd init --sources wit",
            ),
        ),
        (
            f"{LEAST}[sources.wit]\nannotations = [3]\n",
            (
                4,
                "sources.wit.annotations",
                "a list of strings: paths or globs of annotation files",
                "[3]",
                'write annotations = ["…"]',
            ),
        ),
        (f"{LEAST}[sources]\nwit = 3\n", (4, "sources.wit", "a table [sources.wit]", "3", "write [sources.wit]")),
        (f"{LEAST}fetch = 3\n{SBU}", (3, "fetch", "a table [fetch]", "3", "write [fetch] above its keys")),
    ],
)
def test_each_mistake_has_its_line_and_remedy(text: str, expected: tuple[Any, ...]) -> None:
    assert only(text) == expected


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        (f'{LEAST}profil = "hub"\n{SBU}', "profil", "did you mean profile?"),
        (f"{LEAST}{SBU}[shards]\n", "shards", "did you mean shard?"),
        (f"{LEAST}{SBU}image = []\n", "sources.sbu_captions.image", "did you mean images?"),
        (f"{LEAST}[sources.sbu_caption]\nannotations = []\n", "sources.sbu_caption", "did you mean sbu_captions?"),
        (with_stage("shard", "sample_per_shard = 1"), "shard.sample_per_shard", "did you mean samples_per_shard?"),
        (
            with_stage("fetch", "per_host = { connection = 1 }"),
            "fetch.per_host.connection",
            "did you mean connections?",
        ),
        (
            with_stage("fetch.per_host", "request_per_s = 1"),
            "fetch.per_host.request_per_s",
            "did you mean requests_per_s?",
        ),
        (
            with_stage("fetch", "per_host.max = 1"),
            "fetch.per_host.max",
            "remove it, or choose one of: requests_per_s, connections",
        ),
    ],
)
def test_a_misspelt_key_is_told_the_nearest(text: str, key: str, remedy: str) -> None:
    _, found_key, _, _, found_remedy = only(text)
    assert (found_key, found_remedy) == (key, remedy)


@pytest.mark.parametrize(
    ("stage", "line", "key", "expected", "found"),
    [
        ("images", "evaluation_copies = false", "evaluation_copies", '"keep" or "reject"', "false"),
        ("curate", 'duplicate_rows = "drop"', "duplicate_rows", '"keep" or "reject"', '"drop"'),
        ("fetch", 'store = "big"', "store", '"original" or "resized"', '"big"'),
        ("fetch", "short_side_px = 15", "short_side_px", "16 or more", "15"),
        ("fetch", "jpeg_quality = 101", "jpeg_quality", "100 or less", "101"),
        (
            "fetch",
            'resize_mode = "squash"',
            "resize_mode",
            '"keep_ratio", "keep_ratio_largest", "center_crop", "border" or "no"',
            '"squash"',
        ),
        ("fetch", "image_size = 13378", "image_size", "13377 or less", "13378"),
        ("fetch", 'resize_only_if_bigger = "no"', "resize_only_if_bigger", "true or false", '"no"'),
        ("fetch", 'encode_format = "jpeg"', "encode_format", '"jpg", "png" or "webp"', '"jpeg"'),
        ("fetch", "encode_quality = 101", "encode_quality", '1 to 100 beside encode_format = "jpg"', "101"),
        ("fetch", "max_aspect_ratio = 0.5", "max_aspect_ratio", "1 or more", "0.5"),
        ("fetch", "per_host = { requests_per_s = 0 }", "per_host.requests_per_s", "0.001 or more", "0"),
        ("fetch", "per_host = { connections = 1.5 }", "per_host.connections", "a whole number", "1.5"),
        ("fetch", "concurrency = 0", "concurrency", "1 or more", "0"),
        ("fetch", "lanes = 0", "lanes", "1 or more", "0"),
        ("fetch", "timeout_s = 0", "timeout_s", "more than 0", "0"),
        ("fetch", 'max_bytes = "1 MB"', "max_bytes", "a whole number", '"1 MB"'),
        ("fetch", f"max_bytes = {10**30}", "max_bytes", "a whole number of 64 bits", str(10**30)),
        ("fetch", "max_pixels = 0", "max_pixels", "1 or more", "0"),
        ("fetch", "min_side_px = 0", "min_side_px", "1 or more", "0"),
        ("fetch", "max_redirects = -1", "max_redirects", "0 or more", "-1"),
        ("fetch", "retries = -1", "retries", "0 or more", "-1"),
        ("fetch", "user_agent = 1", "user_agent", "a string", "1"),
        (
            "fetch",
            'resolve = { "*" = "127.0.0.1" }',
            "resolve",
            '"host:port" = "address:port", as in "*:443" = "127.0.0.1:8443"',
            '{"*": "127.0.0.1"}',
        ),
        (
            "fetch",
            'allow_addresses = ["localhost"]',
            "allow_addresses",
            'addresses with a prefix length, such as "127.0.0.1/32"',
            '["localhost"]',
        ),
        (
            "fetch",
            'allow_addresses = ["10.0.0.0/8", "127.0.0.1/8"]',
            "allow_addresses",
            '"127.0.0.0/8" for all of the network that "127.0.0.1/8" is in, or "127.0.0.1/32" for that address',
            '["10.0.0.0/8", "127.0.0.1/8"]',
        ),
        (
            "fetch",
            'allow_addresses = ["fd00::1/8"]',
            "allow_addresses",
            '"fd00::/8" for all of the network that "fd00::1/8" is in, or "fd00::1/128" for that address',
            '["fd00::1/8"]',
        ),
        ("fetch", "ca_file = 1", "ca_file", "a string", "1"),
        ("fetch", 'proxy = "http://proxy:3128"', "proxy", '"none" or "environment"', '"http://proxy:3128"'),
        (
            "fetch",
            'engine = "img2dataset"\nproxy = "environment"',
            "engine",
            'engine = "pmd" beside proxy: img2dataset would ask without one',
            '"img2dataset"',
        ),
        ("fetch", 'robots = "no"', "robots", "true or false", '"no"'),
        ("fetch", 'adopt = "a.tar"', "adopt", "a list", '"a.tar"'),
        ("fetch", 'against = "a.parquet"', "against", "a list", '"a.parquet"'),
        ("fetch", 'engine = "wget"', "engine", '"pmd" or "img2dataset"', '"wget"'),
        (
            "fetch",
            'web_archive = "http://archive.example/"',
            "web_archive",
            'an address with {url} in it, such as "https://web.archive.org/web/2014id_/{url}"',
            '"http://archive.example/"',
        ),
        ("fetch", "blocklists = [1]", "blocklists.0", "a string", "1"),
        ("fetch", 'tdmrep = "no"', "tdmrep", "true or false", '"no"'),
        (
            "fetch",
            'host_groups = { x = ["a.org"], y = ["a.org"] }',
            "host_groups",
            "each host in one group",
            '{"x": ["a.org"], "y": ["a.org"]}',
        ),
        ("dedupe", "same_bytes = true", "same_bytes", '"keep" or "merge"', "true"),
        ("dedupe", "repeated_bytes = -1", "repeated_bytes", "0 or more", "-1"),
        ("dedupe", 'near = "maybe"', "near", '"keep" or "merge"', '"maybe"'),
        ("dedupe", "evaluation = 3", "evaluation", "a list", "3"),
        ("dedupe", "near_distance = 32", "near_distance", "31 or less", "32"),
        ("dedupe", "repeated_bytes = 1", "repeated_bytes", "0 (never), or 2 or more", "1"),
        ("dedupe", "max_images_per_text = 0", "max_images_per_text", "1 or more", "0"),
        ("dedupe", "near_texts = 0.5", "near_texts", "0.6 or more", "0.5"),
        ("dedupe", "near_texts = 0.96", "near_texts", "0.95 or less", "0.96"),
        ("dedupe", 'near_texts_action = "drop"', "near_texts_action", '"report" or "cap"', '"drop"'),
        (
            "dedupe",
            'near_texts_action = "cap"',
            "near_texts_action",
            '"report", or near_texts and max_images_per_text beside it: what is capped, and at how many images',
            '"cap"',
        ),
        ("shard", 'formats = ["webdataset", "tfrecord"]', "formats.1", '"webdataset" or "parquet"', '"tfrecord"'),
        ("shard", 'formats = "parquet"', "formats", "a list", '"parquet"'),
        ("shard", "formats = []", "formats", "each format once, and one at least", "[]"),
        (
            "shard",
            'formats = ["parquet", "parquet"]',
            "formats",
            "each format once, and one at least",
            '["parquet", "parquet"]',
        ),
        ("shard", 'unit = "view"', "unit", '"image" or "pair"', '"view"'),
        ("shard", "samples_per_shard = 0", "samples_per_shard", "1 or more", "0"),
        ("shard", "shards = 0", "shards", "1 or more", "0"),
        ("shard", "short_side_px = 0", "short_side_px", "1 or more", "0"),
        ("shard", "jpeg_quality = 0", "jpeg_quality", "1 or more", "0"),
        (
            "shard",
            'resize_mode = "squash"',
            "resize_mode",
            '"keep_ratio", "keep_ratio_largest", "center_crop", "border" or "no"',
            '"squash"',
        ),
        ("shard", "image_size = 0", "image_size", "1 or more", "0"),
        (
            "shard",
            "resize_only_if_bigger = false",
            "resize_only_if_bigger",
            "image_size beside it: to what pictures are brought",
            "false",
        ),
        ("shard", 'encode_format = "jpeg"', "encode_format", '"jpg", "png" or "webp"', '"jpeg"'),
        ("shard", "encode_quality = 102", "encode_quality", "101 or less", "102"),
        ("shard", "min_side_px = 0", "min_side_px", "1 or more", "0"),
        ("shard", "max_aspect_ratio = 0", "max_aspect_ratio", "1 or more", "0"),
        ("shard", "min_crop_px = 0", "min_crop_px", "1 or more", "0"),
        ("shard", "max_aspect_difference = 0", "max_aspect_difference", "more than 0", "0"),
        ("shard", "window = 0", "window", "1 or more", "0"),
        ("publish", 'withheld_text = "yes"', "withheld_text", '"omit" or "include"', '"yes"'),
        (
            "licence",
            'image_allow = ["CC-BY-2.0", "CC BY 4.0"]',
            "image_allow.1",
            'an SPDX expression, as "CC-BY-4.0" or "LicenseRef-mine", or "NOASSERTION"',
            '"CC BY 4.0"',
        ),
        (
            "licence",
            'image_allow = ["CC BY 4.0"]',  # that the list is too short without it is no second mistake
            "image_allow.0",
            'an SPDX expression, as "CC-BY-4.0" or "LicenseRef-mine", or "NOASSERTION"',
            '"CC BY 4.0"',
        ),
        ("licence", "image_allow = []", "image_allow", "a list of 1 or more", "[]"),
        ("licence", 'image_allow = "CC-BY-2.0"', "image_allow", "a list", '"CC-BY-2.0"'),
        ("card", 'title = ""', "title", "a string that is not empty", '""'),
        ("card", 'title = "a\\u0007b"', "title", "one line of text", '"a\\u0007b"'),
        ("card", 'version = "v1"', "version", 'three numbers, as in "1.0.0"', '"v1"'),
        ("card", 'released = "30.11.2026"', "released", 'a day, as in "2026-11-30"', '"30.11.2026"'),
        ("card", 'released = "20261130"', "released", 'a day, as in "2026-11-30"', '"20261130"'),
        ("card", 'authors = [""]', "authors", "lines of text, none of them empty", '[""]'),
        ("card", 'contact = "a\\nb"', "contact", "one line of text", '"a\\nb"'),
        ("card", 'url = "example.org"', "url", "a URL, of http or https", '"example.org"'),
        ("card", 'changes = ["one\\ntwo"]', "changes", "lines of text, none of them empty", '["one\\ntwo"]'),
        ("card", "gating_prompt = true", "gating_prompt", "a string", "true"),
        ("audit", "text_sample = 0", "text_sample", "1 or more", "0"),
        ("audit", 'reference = "x.csv"', "reference", "a table", '"x.csv"'),
        ("audit", 'reference = { countries = "" }', "reference.countries", "a string that is not empty", '""'),
        ("audit", 'reference = { countries = "x.csv", year = 1900 }', "reference.year", "1950 or more", "1900"),
        ("audit", "attributes = [1]", "attributes.0", "a string", "1"),
    ],
)
def test_each_option_of_a_stage_is_checked(stage: str, line: str, key: str, expected: str, found: str) -> None:
    named = [part for part in key.split(".") if not part.isdigit()]
    remedy = "write a smaller one" if "64 bits" in expected else f"change {named[-1]}"
    remedy = 'did you mean "jpg"?' if found == '"jpeg"' else remedy
    remedy = f"write {key} = false" if found == '"no"' else remedy
    remedy = f"write {key} = [{found}]" if expected == "a list" and found.startswith('"') else remedy
    assert only(with_stage(stage, line)) == (8, f"{stage}.{key}", expected, found, remedy)


def test_what_is_capped_and_at_how_many_images_goes_together() -> None:
    lines = 'near_texts = 0.8\nnear_texts_action = "cap"'
    expected = '"report", or max_images_per_text beside it: what is capped, and at how many images'
    assert only(with_stage("dedupe", lines))[1:4] == ("dedupe.near_texts_action", expected, '"cap"')
    assert config.parse(with_stage("dedupe", f"max_images_per_text = 10\n{lines}")).dedupe.near_texts == 0.8


@pytest.mark.parametrize(
    ("lines", "most"),
    [
        ("lanes = 9", 8),  # connections
        ("lanes = 4\nper_host = { requests_per_s = 3.5 }", 3),
        ("lanes = 2\nper_host = { requests_per_s = 0.5 }", 1),
        ("lanes = 10\nper_host = { requests_per_s = 10.0, connections = 10 }", None),
        ("per_host = { requests_per_s = 0.5 }", None),
        ('lanes = 9\nengine = "img2dataset"', None),  # which spares no host
    ],
)
def test_more_lanes_than_a_host_has_shares_are_told_before_there_are_so_many_shards(
    lines: str, most: int | None
) -> None:
    content = with_stage("fetch", lines)
    if most is None:
        assert config.parse(content).fetch.per_host.most_lanes >= 1
        return
    expected = f"at most {most}: a lane has a request a second of a host, and a connection"
    assert only(content)[1:3] == ("fetch.lanes", expected)


def test_every_option_of_a_stage_is_among_the_cases_above() -> None:
    marks = test_each_option_of_a_stage_is_checked.pytestmark  # type: ignore[attr-defined]
    checked = {(case[0], case[2].split(".")[0]) for mark in marks for case in mark.args[1]}
    fields = {
        (stage, name)
        for stage in tables.TABLES
        for name in type(getattr(config.parse(LEAST + SBU), stage)).model_fields
    }
    assert checked == fields


def test_allowed_licences_are_spelled_as_spdx_spells_them_each_once_in_one_order() -> None:
    chosen = config.parse(with_stage("licence", 'image_allow = ["CC0-1.0", "cc-by-2.0", "CC-BY-2.0", "NOASSERTION"]'))
    assert chosen.licence.image_allow == ("CC-BY-2.0", "CC0-1.0", "NOASSERTION")
    assert config.parse(LEAST + SBU).licence.image_allow is None


OWN = '[sources.mine]\nreader = "url_text"\nannotations = ["pairs.csv"]\n'


def test_a_source_of_any_other_name_says_what_reads_it() -> None:
    found = config.parse(f'{LEAST}{OWN}id_column = "key"\nredistribute = "text"\n{SBU}')
    mine = found.sources["mine"]
    assert (mine.name, mine.reader, mine.annotations, mine.images) == ("mine", "url_text", ("pairs.csv",), ())
    assert (mine.options.url_column, mine.options.text_column, mine.options.id_column) == ("auto", "auto", "key")
    assert (mine.terms.hub_name, mine.terms.redistribute, dict(mine.terms.meta)) == ("mine", "text", {})
    sbu = found.sources["sbu_captions"]
    assert (sbu.reader, sbu.terms) == (None, manifests.load("sbu_captions"))


KNOWN = ", ".join(sources.names())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[sources.coco]\nreader = "url_text"\nannotations = ["x"]\n',
            (
                4,
                "sources.coco.reader",
                "no reader: coco has its own",
                '"url_text"',
                "remove it, or choose another name",
            ),
        ),
        (  # one folder with coco's where file systems do not tell capitals
            '[sources.COCO]\nreader = "url_text"\nannotations = ["x"]\n',
            (
                4,
                "sources.COCO.reader",
                "no reader: COCO has its own",
                '"url_text"',
                "remove it, or choose another name",
            ),
        ),
        (
            f'{OWN}[sources.Mine]\nreader = "url_text"\nannotations = ["x"]\n',
            (
                6,
                "sources.Mine",
                "a name that differs from others in more than capitals",
                '"Mine"',
                "choose another name",
            ),
        ),
        (
            '[sources."my pairs"]\nreader = "url_text"\nannotations = ["x"]\n',
            (3, "sources.my pairs", "a name of letters, digits and underscores", '"my pairs"', "choose another name"),
        ),
        (
            '[sources."../up"]\nreader = "url_text"\nannotations = ["x"]\n',
            (3, "sources.../up", "a name of letters, digits and underscores", '"../up"', "choose another name"),
        ),
        *(
            (
                f'[sources.{name}]\nreader = "url_text"\nannotations = ["x"]\n',
                (
                    3,
                    f"sources.{name}",
                    "a name of at most 64 characters, and none of all, alive, default",
                    f'"{name}"',
                    "choose another name",
                ),
            )
            for name in ("all", "Alive", "m" * 65)
        ),
        (
            '[sources.mine]\nreader = "csv"\nannotations = ["x"]\n',
            (4, "sources.mine.reader", '"url_text"', '"csv"', 'write reader = "url_text"'),
        ),
        (
            '[sources.mine]\nreader = ["url_text"]\nannotations = ["x"]\n',
            (4, "sources.mine.reader", '"url_text"', '["url_text"]', 'write reader = "url_text"'),
        ),
        (
            '[sources.mine]\nannotations = ["x"]\n',
            (
                3,
                "sources.mine",
                f"one of {KNOWN}",
                '"mine"',
                'for pairs of your own, add reader = "url_text"; pmd sources lists the others',
            ),
        ),
        (
            '[sources.mine]\nreader = "url_text"\n',
            (
                3,
                "sources.mine.annotations",
                "a list of paths or globs of annotation files",
                "nothing",
                'write annotations = ["…"]',
            ),
        ),
        (
            f'{OWN}url_colum = "x"\n',
            (6, "sources.mine.url_colum", "a known option", '"url_colum"', "did you mean url_column?"),
        ),
        (
            f'{OWN}text_column = ""\n',
            (6, "sources.mine.text_column", "a string that is not empty", '""', "change text_column"),
        ),
        (
            f'{OWN}text_licence = "do what you like"\n',
            (
                6,
                "sources.mine.text_licence",
                'an SPDX expression, as "CC-BY-4.0" or "LicenseRef-mine", or "NOASSERTION"',
                '"do what you like"',
                "change text_licence",
            ),
        ),
        (
            f"{OWN}redistribute = true\n",
            (6, "sources.mine.redistribute", '"text", "urls" or "ids"', "true", "change redistribute"),
        ),
    ],
)
def test_a_source_of_ones_own_is_checked(text: str, expected: tuple[Any, ...]) -> None:
    assert only(f"{LEAST}{text}") == expected


@pytest.mark.parametrize("name", sources.names())
def test_every_source_refuses_what_its_options_are_not(name: str) -> None:
    options = sources.load(name).options
    for option in options.model_fields:
        found = problems(f'{LEAST}[sources.{name}]\nannotations = ["x"]\n{option} = {{ x = 1 }}\n')
        assert {problem.key.split(".")[2] for problem in found} == {option}
        assert {problem.line for problem in found} == {5}


def test_a_contact_is_not_needed_where_every_host_is_one_of_ours() -> None:
    text = f'root = "out"\n{SBU}[fetch]\nresolve = {{ "*:443" = "127.0.0.1:8443" }}\n'
    assert config.parse(text).contact is None
    named = text.replace("*", "images.cocodataset.org")
    assert [problem.key for problem in problems(named)] == ["contact"]


def test_a_missing_contact_is_told_beside_a_mistake_in_fetch() -> None:
    found = problems(f'root = "out"\n{SBU}[fetch]\nstore = "big"\n')
    assert [problem.key for problem in found] == ["contact", "fetch.store"]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ('root = "out\n', 1, "Illegal character '\\n' (at line 1, column 12)"),
        ('root = "out"\nseed = \n', 2, "Invalid value (at line 2, column 8)"),
        ('root = "out"\nroot = "again"\n', 2, "Cannot overwrite a value (at line 2, column 15)"),
        (f"{SBU}{SBU}", 3, "Cannot declare ('sources', 'sbu_captions') twice (at line 3, column 22)"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int, found: str) -> None:
    (problem,) = problems(text)
    assert (problem.line, problem.key, problem.expected, problem.found) == (line, "syntax", "a TOML file", found)


def test_lines_are_those_of_an_editor() -> None:
    first = "# a line separator \u2028 and a next line \x85 are no new lines\r\n"
    text = f'{first}{LEAST}[sources."sbu_captions"] # quoted\r\nannotations = [\r\n  "a",\r\n]\r\nx = 1\r\n'
    (problem,) = problems(text)
    assert (problem.line, problem.key) == (8, "sources.sbu_captions.x")


def test_infinite_and_odd_values_are_judged_not_crashed_on() -> None:
    assert only(with_stage("fetch", "timeout_s = nan"))[1:4] == ("fetch.timeout_s", "a finite number", "nan")
    assert only(with_stage("fetch", "timeout_s = -inf"))[1:4] == ("fetch.timeout_s", "a finite number", "-inf")
    assert only(with_stage("fetch", "timeout_s = 2024-01-01"))[3] == '"2024-01-01"'


NUMBERS = [
    (name, option)
    for name, stage in (
        *tables.TABLES.items(),
        ("fetch.per_host", options.PerHost),
    )
    for option, field in stage.model_fields.items()
    if set(typing.get_args(field.annotation) or (field.annotation,)) & {int, float}
]


@pytest.mark.parametrize(("stage", "option"), NUMBERS)
@pytest.mark.parametrize("value", ["9223372036854775807", "-9223372036854775808", "1e308", "inf", "-inf", "nan"])
def test_every_number_has_its_bounds(stage: str, option: str, value: str) -> None:
    line, key, expected, found, remedy = only(with_stage(stage, f"{option} = {value}"))
    assert (line, key, remedy) == (8, f"{stage}.{option}", f"change {option}")
    assert re.search(r"^[0-9.e+]+ or (?:more|less)$|^more than 0$|^a finite number$|^a whole number$", expected)
    assert found.lower().replace("+", "") == value


@pytest.mark.parametrize("name", sources.names())
def test_every_number_of_a_source_has_its_bounds(name: str) -> None:
    for option, field in sources.load(name).options.model_fields.items():
        if field.annotation in {int, float}:
            found = only(f'{LEAST}[sources.{name}]\nannotations = ["x"]\n{option} = 1000000000\n')
            assert found[1:3] == (f"sources.{name}.{option}", "1000 or less")


@pytest.mark.parametrize(
    "value",
    [
        '"pmd\\r\\nX-Evil: 1"',
        '"pmd\\u0000"',
        '"pmd\\tx"',
        '"bücher"',
        '""',
        '" pmd"',
        '"pmd "',
        '"(x)"',
        f'"{"p" * 257}"',
    ],
)
def test_a_user_agent_is_a_header_of_one_line(value: str) -> None:
    line, key, expected, _, remedy = only(with_stage("fetch", f"user_agent = {value}"))
    assert (line, key, remedy) == (8, "fetch.user_agent", "change user_agent")
    assert expected == 'a product and its version, as in "pmd/0.1": 256 characters of printable ASCII in one line'
    for good in ("pmd/0.1", "my-bot", "Mozilla/5.0 (compatible; pmd/0.1)"):
        assert config.parse(with_stage("fetch", f'user_agent = "{good}"')).fetch.user_agent == good


@pytest.mark.parametrize(
    "target", ["127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999999999999999999", "a b:80", "a\\n:80"]
)
def test_ports_of_resolve_are_ports(target: str) -> None:
    assert only(with_stage("fetch", f'resolve = {{ "*:80" = "{target}" }}'))[1] == "fetch.resolve"


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 5000])
def test_what_the_reader_of_toml_chokes_on_is_a_mistake_of_the_file(text: str) -> None:
    (problem,) = problems(text)
    assert (problem.key, problem.expected, problem.remedy) == ("syntax", "a TOML file", "mend the line")


def test_a_contact_is_not_longer_than_a_header_line() -> None:
    assert only(LEAST.replace("mailto:", f"mailto:{'x' * 256}") + SBU)[1] == "contact"


def test_strings_stand_for_lists_of_one() -> None:
    found = config.parse(f'{LEAST}takedown = "t.txt"\n[sources.wit]\nannotations = "a*.gz"\nimages = "i.zip"\n')
    assert found.takedown == ("t.txt",)
    assert (found.sources["wit"].annotations, found.sources["wit"].images) == (("a*.gz",), ("i.zip",))


def test_a_configuration_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "pmd.toml"
    path.write_text(LEAST + SBU, encoding="utf-8")
    assert isinstance(config.load(str(path)), Config)


UNDER_SBU = f"{LEAST}{SBU}"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (f'{UNDER_SBU}takedown = ["t.txt"]\n', "write it at the top of the file, above the first [table]"),
        (f'{UNDER_SBU}[fetch]\nprofile = "hub"\n', "write it at the top of the file, above the first [table]"),
        (f"{LEAST}timeout_s = 3\n{SBU}", "write it under [fetch]"),
        (f"{LEAST}short_side_px = 3\n{SBU}", "write it under [fetch] or [shard]"),
        (f"{UNDER_SBU}short_side_px = 3\n", "write it under [fetch] or [shard]"),
        (f"{UNDER_SBU}[shard]\ntimeout_s = 3\n", "write it under [fetch]"),
        (f"{UNDER_SBU}[fetch]\nconnections = 3\n", "write it within per_host = { … } under [fetch]"),
        (f"{UNDER_SBU}[fetch]\nper_host = {{ timeout_s = 3 }}\n", "write it under [fetch]"),
        (f'{LEAST}annotations = ["x"]\n{SBU}', "write it under the [sources.NAME] that it is of"),
        (f"{UNDER_SBU}[curate]\nmin_words = 3\n", "write it under the [sources.NAME] that it is of"),
    ],
)
def test_a_key_in_the_wrong_table_is_told_its_own(text: str, remedy: str) -> None:
    assert only(text)[4] == remedy


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ('store = "resize"', 'did you mean "resized"?'),
        ('store = "Original"', 'did you mean "original"?'),
        ('store = "x"', "change store"),
        ('lanes = "2"', "write it without quotation marks: lanes = 2"),
        ('timeout_s = "2.5"', "write it without quotation marks: timeout_s = 2.5"),
        ('robots = "false"', "write it without quotation marks: robots = false"),
        ('robots = "off"', "write robots = false"),
        ('robots = "Yes"', "write robots = true"),
        ("robots = 0", "write robots = false"),
        ('robots = "maybe"', "change robots"),
        ('blocklists = "a.txt"', 'write blocklists = ["a.txt"]'),
        ("blocklists = 3", "change blocklists"),
        ('timeout_s = "soon"', "change timeout_s"),
    ],
)
def test_a_value_of_another_form_is_told_how_it_is_written(line: str, remedy: str) -> None:
    assert only(with_stage("fetch", line))[4] == remedy


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COCO", "coco"),
        ("redcaps", "red_caps"),
        ("cc3m", "conceptual_captions"),
        ("CC12M", "conceptual_12m"),
        ("sbu", "sbu_captions"),
        ("flickr30k", "localized_narratives__flickr30k"),
        ("wikipedia", "wit"),
    ],
)
def test_a_source_is_known_by_what_people_call_it(name: str, meant: str) -> None:
    assert only(f'{LEAST}[sources.{name}]\nannotations = ["x"]\n')[4] == f"did you mean {meant}?"
    with pytest.raises(ConfigError) as caught:
        config.chosen(name, sources.names())
    assert caught.value.remedy == f"did you mean {meant}?"


def test_a_word_of_several_titles_names_no_source() -> None:
    with pytest.raises(ConfigError) as caught:
        config.chosen("localized", sources.names())
    assert caught.value.remedy is None


def test_a_source_that_is_named_twice_is_taken_once() -> None:
    assert config.chosen("coco, wit,coco", sources.names()) == ["coco", "wit"]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("root = out/pmd\n", 'mend the line: text stands in quotation marks, as root = "out/pmd"'),
        ("[fetch]\nrobots = True\n", "mend the line: write true or false"),
        ("x = none\n", 'mend the line: text stands in quotation marks, as root = "out/pmd"'),
        ("[fetch]\nca_file = None\n", "remove the line: an option without a value has its default"),
        (f"{UNDER_SBU}{SBU}", "write each table and each key once: put what stands under the second under the first"),
        (
            "seed = 1\nseed = 2\n",
            "write each table and each key once: put what stands under the second under the first",
        ),
        ("[sources\n", "mend the line"),
    ],
)
def test_what_is_no_toml_is_told_what_to_mend(text: str, remedy: str) -> None:
    assert only(text)[4] == remedy


def test_a_folder_in_the_place_of_a_configuration_is_told_its_file(tmp_path: Path) -> None:
    def told(path: Path) -> str | None:
        with pytest.raises(ConfigError) as caught:
            config.load(str(path))
        return caught.value.remedy

    assert told(tmp_path) == "name the file in it, or write one with: pmd init > pmd.toml"
    with root.writer(str(tmp_path / "out"), "pmd build pmd.toml", "/there/pmd.toml"):
        root.create(str(tmp_path / "out"), 0)
    assert told(tmp_path / "out") == "this is a ROOT, built with /there/pmd.toml"
    (tmp_path / "pmd.toml").write_text(LEAST + SBU, encoding="utf-8")
    assert told(tmp_path) == f"name the file: {tmp_path}/pmd.toml"
    written = "write one with: pmd init > pmd.toml"
    assert told(tmp_path / "pmd.tml") == f"did you mean {tmp_path}/pmd.toml? Else {written}"
    assert told(tmp_path / "another") == written


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path / "absent.toml"))
    assert str(caught.value) == (
        f"{tmp_path}/absent.toml: no such configuration file\n  remedy: write one with: pmd init > pmd.toml"
    )


def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'root = "\xe9"')
    with pytest.raises(ConfigError) as caught:
        config.load(str(path))
    assert str(caught.value).startswith(f"{path}: cannot be read\n  expected: a TOML file in UTF-8\n  found: ")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_configuration(tmp_path: Path, end: str) -> None:
    path = tmp_path / "pmd.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (LEAST + SBU + "sede = 1\n").replace("\n", end).encode())
    with pytest.raises(InvalidConfig) as caught:
        config.load(str(path))
    assert [(item.line, item.key) for item in caught.value.problems] == [
        (len((LEAST + SBU).splitlines()) + 1, "sources.sbu_captions.sede")
    ]
    path.write_bytes(b"\xef\xbb\xbf" + (LEAST + SBU).replace("\n", end).encode())
    assert isinstance(config.load(str(path)), Config)


def test_a_configuration_in_utf_16_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pmd.toml"
    path.write_text(LEAST + SBU, encoding="utf-16")
    with pytest.raises(ConfigError) as caught:
        config.load(str(path))
    assert str(caught.value) == (
        f"{path}: the text is in UTF-16\n"
        "  expected: UTF-8, with a byte order mark or without\n"
        "  remedy: convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"
    )


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "pmd.toml"
    path.write_bytes('root = "a"\n# größe\n'.encode("latin-1"))
    with pytest.raises(ConfigError) as error:
        config.load(str(path))
    assert error.value.found == "the byte F6 in line 2"
    assert (error.value.remedy or "").startswith("save it as UTF-8")


def test_certificates_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"\xef\xbb\xbf" + Path(certifi.where()).read_bytes())
    path = tmp_path / "pmd.toml"
    path.write_text(LEAST + SBU + '[fetch]\nca_file = "ca.pem"\n')
    assert config.load(str(path)).fetch.ca_file == f"{tmp_path}/ca.pem"
    assert b"\xef\xbb\xbf" not in trust.merged(f"{tmp_path}/ca.pem")
    (tmp_path / "ca.pem").write_bytes(b"\xef\xbb\xbf# no certificate\n")
    with pytest.raises(InvalidConfig, match="a file of certificates"):
        config.load(str(path))


def test_scores_are_rules_and_each_mistake_has_its_line() -> None:
    rule = '[[scores]]\nfile = "a.parquet"\nkeep = "nsfw < 0.2"\nmissing = "keep"\n'
    found = config.parse(LEAST + SBU + rule + rule.replace('"keep"', '"reject"')).scores
    assert [(item.file, item.keep, item.missing) for item in found] == [
        ("a.parquet", "nsfw < 0.2", "keep"),
        ("a.parquet", "nsfw < 0.2", "reject"),
    ]
    text = LEAST + SBU + rule + rule.replace("nsfw < 0.2", "nsfw under 0.2").replace('missing = "keep"\n', "")
    with pytest.raises(InvalidConfig) as caught:
        config.parse(text)
    before = len((LEAST + SBU + rule).splitlines())
    told = [(item.line, item.key, item.expected, item.found) for item in caught.value.problems]
    condition = 'a column, one of < <= > >= == !=, and a number, as in "nsfw < 0.2"'
    assert told == [
        (before + 1, "scores.1.missing", "a value of missing", "nothing"),
        (before + 3, "scores.1.keep", condition, '"nsfw under 0.2"'),
    ]
    with pytest.raises(InvalidConfig, match="write \\[\\[scores\\]\\] above"):
        config.parse(f"{LEAST}scores = 3\n{SBU}")


@pytest.mark.parametrize("value", ["3", "-1", "2.5", "true", '"x"', '""', "[]", "[3]", '["x"]', "{}", "{ x = 1 }"])
def test_what_is_expected_is_told_in_words_of_a_configuration(value: str) -> None:
    """Whatever stands for whichever option: no word of the library that checks it."""
    known = [*tables.TABLES.items()]
    known += [(f"sources.{name}", sources.load(name).options) for name in sources.names()]
    for table, chosen in known:
        first = 'annotations = ["x"]\n' if table.startswith("sources.") else ""
        others = "" if table.startswith("sources.") else SBU
        for option in chosen.model_fields:
            try:
                config.parse(f"{LEAST}{others}[{table}]\n{first}{option} = {value}\n")
            except InvalidConfig as error:
                for problem in error.problems:
                    assert problem.expected, problem
                    assert not set(problem.expected.split()) & {"valid", "should", "Input", "object", "array", "kind"}


def test_too_few_of_a_list_is_told() -> None:
    text = f'{LEAST}[sources.wit]\nannotations = ["x"]\nlanguages = []\n'
    assert only(text) == (5, "sources.wit.languages", "a list of 1 or more", "[]", "change languages")
    assert only(f"{LEAST}scores = [3]\n{SBU}")[1:3] == ("scores.0", "a table [[scores]]")
