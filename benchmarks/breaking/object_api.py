"""Cloud Storage's JSON API answered within the process: what gcsfs asks of a bucket, from a dictionary in order of names.

fake-gcs-server looks through all objects at each request: with 100,000 of them one takes 50 ms. Here requests are counted and not
timed, so they need no server at all. It knows the calls that pmd's stores make, and no others.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from gcsfs.retry import validate_response

_PAGE: Final = 1000
_JSON: Final = {"Content-Type": "application/json"}
_LINE: Final = b"\n\n"


class Objects:
    """The objects of all buckets together: `BUCKET/NAME` → content and generation."""

    def __init__(self) -> None:
        self._contents: dict[str, tuple[bytes, int]] = {}
        self._names: list[str] = []
        #: What is said of an object, as JSON: a ROOT of 32,768 fetch shards is listed some times, 130,000 objects each.
        self._said: dict[str, str] = {}
        self._generation = 0

    def put(self, name: str, content: bytes) -> int:
        """Store an object; return its generation."""
        if name not in self._contents:
            bisect.insort(self._names, name)
        self._generation += 1
        self._contents[name] = content, self._generation
        self._said.pop(name, None)
        return self._generation

    def remove(self, name: str) -> None:
        """Remove an object."""
        del self._contents[name]
        self._said.pop(name, None)
        del self._names[bisect.bisect_left(self._names, name)]

    async def request(self, fs: Any, method: str, path: str, *names: Any, **asked: Any) -> tuple[int, Any, None, bytes]:
        """Answer as `GCSFileSystem._request` does, errors included."""
        url = urlsplit(fs._format_path(path, names))
        asked = {**{name: values[0] for name, values in parse_qs(url.query).items()}, **asked}
        status, headers, content = self._answer(method, url.path, {k: v for k, v in asked.items() if v is not None})
        validate_response(status, content, path, names)
        return status, headers, None, content

    def _answer(self, method: str, path: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        parts = path.partition("/b/")[2].split("/", 2)
        bucket = unquote(parts[0])
        if len(parts) == 1:
            return _json({"kind": "storage#bucket", "name": bucket})
        if len(parts) == 2:
            return self._upload(bucket, asked) if method == "POST" else self._list(bucket, asked)
        name = f"{bucket}/{unquote(parts[2])}"
        if name not in self._contents:
            return 404, {}, b'{"error": {"code": 404, "message": "Not Found"}}'
        content, generation = self._contents[name]
        for condition in ("generation", "ifGenerationMatch"):
            if str(asked.get(condition, generation)) != str(generation):
                return 412, {}, b'{"error": {"code": 412, "message": "conditionNotMet"}}'
        if method == "DELETE":
            self.remove(name)
            return 204, {}, b""
        if asked.get("alt") != "media":
            return _json(self._described(name))
        span = (asked.get("headers") or {}).get("Range", "")
        if span:
            first, _, last = span.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1 if last else None]
        return 200, {"x-goog-generation": str(generation)}, content

    def _described(self, name: str) -> dict[str, Any]:
        content, generation = self._contents[name]
        bucket, _, key = name.partition("/")
        return {
            "kind": "storage#object", "bucket": bucket, "name": key, "size": str(len(content)), "generation": str(generation),
            "md5Hash": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
            "updated": "2026-01-01T00:00:00.000Z", "timeCreated": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip

    def _upload(self, bucket: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if asked["uploadType"] == "resumable":  # each part that follows comes as an upload of its own
            condition = f"&ifGenerationMatch={asked['ifGenerationMatch']}" if "ifGenerationMatch" in asked else ""
            part = f"http://in.process/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(asked['name'], safe='')}"
            return 200, {"Location": part + condition}, b""
        content, name = _bytes(asked["data"]), asked.get("name")
        span = (asked.get("headers") or {}).get("Content-Range", "")
        if span and not span.startswith("bytes 0-"):
            content = self._contents[f"{bucket}/{name}"][0] + content
            asked = {key: value for key, value in asked.items() if key != "ifGenerationMatch"}
        if asked["uploadType"] == "multipart":
            _, about, body = content.split(_LINE, 2)
            described, _, _ = about.partition(b"\n--")
            name = json.loads(described)["name"]
            content = body.rpartition(b"\n--")[0]
        full = f"{bucket}/{name}"
        there = self._contents.get(full, (b"", 0))[1]
        if str(asked.get("ifGenerationMatch", there)) != str(there):
            return 412, {}, b'{"error": {"code": 412, "message": "conditionNotMet"}}'
        self.put(full, content)
        return _json(self._described(full))

    def _list(self, bucket: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        start, delimiter = f"{bucket}/{asked.get('prefix', '')}", asked.get("delimiter")
        most = int(asked.get("maxResults") or _PAGE)
        place = bisect.bisect_left(self._names, asked.get("pageToken") or start)
        items: list[str] = []
        prefixes: list[str] = []
        while place < len(self._names) and self._names[place].startswith(start) and len(items) + len(prefixes) < most:
            name = self._names[place]
            folder, sign, _ = name[len(start) :].partition(delimiter) if delimiter else ("", "", "")
            if sign:
                prefixes.append(f"{start}{folder}{sign}".partition("/")[2])
                place = bisect.bisect_left(self._names, f"{start}{folder}{sign}\U0010ffff")
            else:
                items.append(self._said.get(name) or self._say(name))
                place += 1
        found: dict[str, Any] = {"kind": "storage#objects", "prefixes": prefixes}
        if place < len(self._names) and self._names[place].startswith(start):
            found["nextPageToken"] = self._names[place]
        listed = f'{json.dumps(found)[:-1]}, "items": [{", ".join(items)}]}}'
        return 200, _JSON, listed.encode()

    def _say(self, name: str) -> str:
        self._said[name] = json.dumps(self._described(name))
        return self._said[name]


def _json(content: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, _JSON, json.dumps(content).encode()


def _bytes(content: Any) -> bytes:
    return content.read() if hasattr(content, "read") else bytes(content)
