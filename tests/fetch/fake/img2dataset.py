"""Stands in img2dataset's place: asks for a list's URLs by urllib, as it does, and writes its files (1.47.0), unresized.

Its `download` has img2dataset's parameters, so that one which that does not know is an error here too. Set in the environment,
FAKE_IMG2DATASET says "fail" (end without a shard), "hang PATH" (write the process's id to PATH, and never end), or "otherwise"
(ask by an opener of its own).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def download(
    url_list: str,
    image_size: int = 256,
    output_folder: str = "images",
    processes_count: int = 1,
    resize_mode: str = "border",
    resize_only_if_bigger: bool = False,
    upscale_interpolation: str = "lanczos",
    downscale_interpolation: str = "area",
    encode_quality: int = 95,
    encode_format: str = "jpg",
    skip_reencode: bool = False,
    output_format: str = "files",
    input_format: str = "txt",
    url_col: str = "url",
    caption_col: str | None = None,
    bbox_col: str | None = None,
    thread_count: int = 256,
    number_sample_per_shard: int = 10000,
    extract_exif: bool = True,
    save_additional_columns: list[str] | None = None,
    timeout: float = 10,
    enable_wandb: bool = False,
    wandb_project: str = "img2dataset",
    oom_shard_count: int = 5,
    compute_hash: str | None = "sha256",
    verify_hash: list[str] | None = None,
    distributor: str = "multiprocessing",
    subjob_size: int = 1000,
    retries: int = 0,
    disable_all_reencoding: bool = False,
    min_image_size: int = 0,
    max_image_area: float = float("inf"),
    max_aspect_ratio: float = float("inf"),
    incremental_mode: str = "incremental",
    max_shard_retry: int = 1,
    user_agent_token: str | None = None,
    disallowed_header_directives: list[str] | None = None,
) -> None:
    mode, _, path = os.environ.get("FAKE_IMG2DATASET", "").partition(" ")
    if mode == "fail":
        print("shard 0 failed with error: no space left")
        sys.exit(0)
    if mode == "hang":
        Path(path).write_text(str(os.getpid()))
        time.sleep(600)
    assert (output_format, compute_hash, verify_hash) == ("webdataset", "sha256", None)
    listed = (
        pq.read_table(url_list)[url_col].to_pylist()
        if input_format == "parquet"
        else Path(url_list).read_text().split()
    )
    folder, rows = Path(output_folder), []
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number, url in enumerate(listed):
            said: dict[str, Any] = {"url": url, "key": f"{number:09d}", "status": "success", "error_message": None}
            said |= dict.fromkeys(("width", "height", "original_width", "original_height", "sha256"))
            try:
                content = _asked(url, retries, timeout, user_agent_token, disallowed_header_directives)
            except Exception as error:  # noqa: BLE001  as img2dataset does
                said |= {"status": "failed_to_download", "error_message": str(error)}
            else:
                said["sha256"] = hashlib.sha256(content).hexdigest()
                for extension, data in ((encode_format, content), ("json", json.dumps(said, indent=4).encode())):
                    info = tarfile.TarInfo(f"{said['key']}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
            rows.append(said)
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    (folder / "00000_stats.json").write_text(json.dumps({"count": len(rows)}))


def _asked(url: str, retries: int, timeout: float, token: str | None, directives: list[str] | None) -> bytes:
    for _ in range(retries):
        with contextlib.suppress(Exception):
            return _asked_once(url, timeout, token, directives)
    return _asked_once(url, timeout, token, directives)


def _asked_once(url: str, timeout: float, token: str | None, directives: list[str] | None) -> bytes:
    agent = f"Mozilla/5.0 (compatible; {token}; +https://github.com/rom1504/img2dataset)"
    otherwise = os.environ.get("FAKE_IMG2DATASET") == "otherwise"
    ask = urllib.request.build_opener().open if otherwise else urllib.request.urlopen
    with ask(urllib.request.Request(url, headers={"User-Agent": agent}), timeout=timeout) as answer:
        tags = answer.headers.get_all("X-Robots-Tag", [])
        if any(part.strip().lower() in (directives or ()) for tag in tags for part in tag.split(",")):
            raise ValueError("Use of image disallowed by X-Robots-Tag directive")
        return bytes(answer.read())
