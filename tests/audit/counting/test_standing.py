"""Pairs of a photograph that two sources number are pairs of one image, in the audit as in the build."""

from __future__ import annotations

import base64
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd.audit import transforms
from pmd.audit.counting import measure
from pmd.audit.counting.standing import OWN_ID, with_standing
from pmd.audit.figures import attributes
from pmd.audit.transforms import Counting
from pmd.images import rules
from pmd.images.aliases import ALIASES, Aliases
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import commits, root
from tests.audit.batches import WHOLE, batch, pair
from tests.pipelines import building
from tests.takedown import world

SAMPLE = 4


pytestmark = pytest.mark.usefixtures("english")


def is_in(identity: str) -> bool:
    return bool(rules.in_sample(pa.array([keys.image_id(identity)], KEY), SAMPLE)[0])


def aliases(numbers: range) -> Aliases:
    """Return that COCO's image of each number is Flickr's of the same."""
    others, kept = ([keys.image_id(f"{name}:{number}") for number in numbers] for name in ("flickr", "coco"))
    identities = [f"coco:{number}" for number in numbers]
    halves = [pa.record_batch([column[start::2] for column in (others, kept, identities)], ALIASES) for start in (0, 1)]
    return Aliases.of(halves)


def flickr(numbers: range) -> pa.RecordBatch:
    return batch(pair("sbu_captions", str(number), "a house", image=f"flickr:{number}") for number in numbers)


def test_the_image_that_stands_for_it_takes_its_place() -> None:
    known = aliases(range(1, 50))
    pairs = flickr(range(40, 60))
    found = with_standing(pairs, known)
    expected = [keys.image_id(f"{'coco' if number < 50 else 'flickr'}:{number}") for number in range(40, 60)]
    assert found["image_id"].to_pylist() == expected
    assert found[OWN_ID].equals(pairs["image_id"])
    assert found.drop_columns([OWN_ID, "image_id"]).equals(pairs.drop_columns(["image_id"]))
    others = flickr(range(50, 60))
    assert with_standing(others, known) is others


def test_the_sample_goes_by_it() -> None:
    numbers = range(1, 200)
    pairs = flickr(numbers)
    inside = [is_in(f"coco:{number}") for number in numbers]
    assert sum(inside) != sum(is_in(f"flickr:{number}") for number in numbers)
    last = pa.array(["shard" if one else "curate" for one in inside])
    bits = dict.fromkeys(("fate", "image", "unit", "text"), 0)
    counting = Counting(WHOLE, ("sbu_captions",), bits, "", SAMPLE)
    *_, outputs = counting.count([(pairs, last)], None, aliases(numbers))
    assert isinstance(outputs, pa.RecordBatch)
    fact = outputs["fact"][0].as_py().removeprefix(transforms.COUNTED)
    found = measure.from_bytes(base64.b64decode(fact)).sources["sbu_captions"]
    assert found.pairs.tolist() == [0, 0, 0, 0, 0, sum(inside)]
    assert found.outside == len(numbers) - sum(inside)


def test_of_several_images_the_one_with_the_smallest_key_stands_for_another() -> None:
    other, *kept = (keys.image_id(one) for one in ("flickr:1", "coco:1", "coco:2"))
    for order in (kept, kept[::-1]):
        known = Aliases.of([pa.record_batch([[other], [one], [""]], ALIASES) for one in order])
        assert known.table["kept_id"].to_pylist() == [min(kept)]
    pairs = flickr(range(1, 3))
    assert with_standing(pairs, Aliases.of([])) is pairs


def test_an_attribute_may_stand_under_either_key(tmp_path: Path) -> None:
    known = aliases(range(1, 9))
    pairs = with_standing(flickr(range(1, 11)), known)
    named = ["coco:1", "coco:2", "flickr:2", "flickr:3", "flickr:9"]
    table = pa.table({"image_id": [keys.image_id(one) for one in named], "kind": ["a", "a", "b", "b", "b"]})
    pq.write_table(table, tmp_path / "kinds.parquet")
    (attribute,) = attributes.read([str(tmp_path / "kinds.parquet")])
    found = [attribute.values[code] if code >= 0 else None for code in attributes._codes(attribute, pairs)]
    assert found == ["a", "a", "b", None, None, None, None, None, "b", None]


def test_the_audit_of_a_build_counts_the_images_that_it_has(tmp_path: Path) -> None:
    config = world.write(tmp_path)
    with world.small():
        building.run(config)
    folder = root.images_folder(config.root)
    images = sum(file.rows for file in commits.require(folder, "").files)
    all_of_them = orjson.loads(Path(config.root, "audit/audit.json").read_bytes())["all"]
    assert all_of_them["curate"]["images"]["distinct"]["value"] == images
    assert all_of_them["images"]["images"]["distinct"]["value"] == images
