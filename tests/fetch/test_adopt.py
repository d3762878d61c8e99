"""Images of img2dataset's shards: written by hand as it writes them, and by img2dataset itself."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from pmd import codec, commits, keys, urls
from pmd.errors import InputError
from pmd.fetch import adopt, state, store, stored
from pmd.fetch.engine import Lane
from pmd.options import FetchOptions
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

ORIGINAL = photo(640, 480, seed=3)


def shrunk(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(ORIGINAL)).resize((width, height)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def entry(url: str, content: bytes | None, **changes: Any) -> tuple[bytes | None, dict[str, Any]]:
    """Return a sample of img2dataset: a picture, and what its JSON says."""
    said = {
        "url": url,
        "status": "success",
        "error_message": None,
        "original_width": 640,
        "original_height": 480,
        "sha256": hashlib.sha256(ORIGINAL).hexdigest(),
    }
    return content, said | changes


def written(folder: Path, *entries: tuple[bytes | None, dict[str, Any]]) -> str:
    path = folder / "00000.tar"
    with tarfile.open(path, "w") as tar:
        for number, (content, said) in enumerate(entries):
            key = f"{number:09d}"
            for extension, data in (("jpg", content), ("json", json.dumps(said | {"key": key}).encode())):
                if data is not None:
                    info = tarfile.TarInfo(f"{key}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return str(path)


def row(name: str, **changes: Any) -> dict[str, object]:
    url = f"http://a.test/{name}"
    return image_row(urls.identity_one(url) or "", url, **changes)


def run(folder: Path, rows: pa.Table, chosen: FetchOptions, *patterns: str) -> dict[str, dict[str, Any]]:
    """Fetch a shard with what shards hold; return its ledger by the last part of the image's URL."""
    index = folder / "index.parquet"
    adopt.write(str(index), adopt.index(patterns))
    with Lane(chosen, contact="", patience=HASTE) as lane:
        store.run_shard(
            str(folder / "root"), 0, rows, options=chosen, contact="", lane=lane, adopted=adopt.read(str(index), rows)
        )
    names = {image["image_id"]: image["locations"][0]["url"].rpartition("/")[2] for image in rows.to_pylist()}
    return {names[found["image_id"]]: found for found in state.read_ledger(str(folder / "root"), 0).to_pylist()}


def test_what_will_do_is_taken_over_and_the_rest_is_fetched(web: Web, tmp_path: Path) -> None:
    names = ("same", "copy", "low", "cropped", "region", "broken", "lost", "absent", "undigested")
    web.routes |= {f"a.test/{name}": reply(ORIGINAL) for name in names}
    tar = written(
        tmp_path,
        entry("http://a.test/same?utm_source=x", ORIGINAL),
        entry("http://a.test/copy", shrunk(400, 300)),
        entry("http://a.test/low", shrunk(320, 240)),
        entry("http://a.test/cropped", shrunk(256, 256)),
        entry("http://a.test/region", shrunk(400, 300)),
        entry("http://a.test/broken", ORIGINAL[: len(ORIGINAL) // 2]),
        entry("http://a.test/lost", None, status="failed_to_download", error_message="HTTP Error 404", sha256=None),
        entry("http://a.test/undigested", shrunk(400, 300), sha256=None),
        entry("http://a.test/of-no-image", ORIGINAL),
    )
    rows = table(*(row(name, has_region=name == "region") for name in names))
    got = run(tmp_path, rows, options(web), tar)
    assert {found["status"] for found in got.values()} == {"ok"}
    assert {found["sha256"] for found in got.values()} == {hashlib.sha256(ORIGINAL).digest()}
    adopted = {name for name, found in got.items() if found["location"].startswith(tar)}
    assert adopted == {"same", "copy"}
    assert sorted(request.path for request in web.asked()) == sorted(f"/{name}" for name in set(names) - adopted)
    assert (got["same"]["bytes"], got["same"]["format"], got["same"]["stored_form"]) == (
        len(ORIGINAL),
        "jpeg",
        "resized",
    )
    assert (got["copy"]["bytes"], got["copy"]["stored_form"]) == (None, "resized")
    assert (got["copy"]["width_px"], got["copy"]["height_px"]) == (640, 480)
    with Image.open(io.BytesIO(stored.read(str(tmp_path / "root"), got["copy"]))) as picture:
        assert min(picture.size) == 256
    before = len(web.log)
    assert run(tmp_path, rows, options(web), tar) == got
    assert len(web.log) == before


def test_originals_are_taken_only_byte_for_byte(web: Web, tmp_path: Path) -> None:
    web.routes |= {f"a.test/{name}": reply(ORIGINAL) for name in ("same", "copy")}
    tar = written(tmp_path, entry("http://a.test/same", ORIGINAL), entry("http://a.test/copy", shrunk(400, 300)))
    got = run(tmp_path, table(row("same"), row("copy")), options(web, store="original"), tar)
    assert got["same"]["stored_form"] == "original"
    assert [request.path for request in web.asked()] == ["/copy"]
    assert stored.read(str(tmp_path / "root"), got["same"]) == ORIGINAL


def test_blocklists_hold_for_what_is_taken_over(web: Web, tmp_path: Path) -> None:
    blocklist = tmp_path / "private.txt"
    blocklist.write_text(f"sha256:{hashlib.sha256(ORIGINAL).hexdigest()} case-7\n", encoding="utf-8")
    tar = written(tmp_path, entry("http://a.test/copy", shrunk(400, 300)))
    got = run(tmp_path, table(row("copy")), options(web, blocklists=(str(blocklist),)), tar)
    assert (got["copy"]["status"], got["copy"]["sha256"]) == ("blocked_content", None)
    assert not web.asked()


@pytest.mark.parametrize("cut", [0, 1000])
def test_a_shard_that_is_none_is_named(tmp_path: Path, cut: int) -> None:
    path = Path(written(tmp_path, entry("http://a.test/same", ORIGINAL)))
    path.write_bytes(path.read_bytes()[:cut] if cut else b"not a tar" * 100)
    with pytest.raises(InputError, match="not a whole WebDataset shard") as raised:
        adopt.index([str(path)])
    assert raised.value.where == str(path)
    with pytest.raises(InputError, match="no such file"):
        adopt.index([f"{tmp_path}/*.none"])


IMG2DATASET = """
import sys
from img2dataset import download
if __name__ == "__main__":
    download(url_list=sys.argv[1], input_format="txt", output_folder=sys.argv[2], output_format="webdataset",
             processes_count=1, thread_count=4, image_size=300, resize_mode="keep_ratio", resize_only_if_bigger=True,
             encode_quality=95, enable_wandb=False)
"""


#: The real one too, where it is installed.
PEERS = ["stand-in", *(["img2dataset"] if importlib.util.find_spec("img2dataset") else [])]


@pytest.mark.parametrize("peer", PEERS)
def test_what_img2dataset_itself_has_written(web: Web, tmp_path: Path, peer: str) -> None:
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    if peer == "stand-in":
        environment["PYTHONPATH"] = str(Path(__file__).parent / "fake")
    base = f"127.0.0.1:{web.port}"
    contents = {f"{number}.jpg": photo(640, 480, seed=number) for number in range(4)} | {"4.jpg": photo(200, 150)}
    web.routes |= {f"{base}/{name}": reply(content) for name, content in contents.items()}
    (tmp_path / "urls.txt").write_text("".join(f"http://{base}/{name}\n" for name in (*contents, "gone.jpg")))
    script = tmp_path / "script.py"
    script.write_text(IMG2DATASET, encoding="utf-8")
    command = [sys.executable, script, tmp_path / "urls.txt", tmp_path / "out"]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    web.log.clear()
    addresses = [f"http://{base}/{name}" for name in (*contents, "gone.jpg")]
    rows = table(*(image_row(urls.identity_one(url) or "", url) for url in addresses))
    got = run(tmp_path, rows, options(web), f"{tmp_path}/out/*.tar")
    assert [request.path for request in web.asked()] == ["/gone.jpg"]
    assert got.pop("gone.jpg")["status"] == "dead"
    for name, found in got.items():
        assert (found["status"], found["sha256"]) == ("ok", hashlib.sha256(contents[name]).digest())
        reference = codec.prepare(contents[name], codec.Limits(), codec.Form()).perceptual_hash or b""
        distance = (int.from_bytes(reference, "big") ^ int.from_bytes(found["perceptual_hash"], "big")).bit_count()
        assert distance <= 31
    assert keys.image_id(urls.identity_one(addresses[0]) or "") in {found["image_id"] for found in got.values()}
    assert commits.read(str(tmp_path / "root/fetch/ledger/shard=00000/generation=0000")) is not None
