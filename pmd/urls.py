"""URLs: canonical form and image identity (skeleton)."""

from __future__ import annotations

import pyarrow as pa


def canonical(urls: pa.Array) -> pa.Array:
    raise NotImplementedError


def canonical_one(url: str) -> str | None:
    raise NotImplementedError


def identity(urls: pa.Array) -> pa.Array:
    raise NotImplementedError


def identity_one(url: str) -> str | None:
    raise NotImplementedError


def host(urls: pa.Array) -> pa.Array:
    raise NotImplementedError


def registrable_domain(host: str) -> str:
    raise NotImplementedError


def flickr_url(
    server: int | str, photo_id: int | str, secret: str, size: str | None, farm: int | str | None = None
) -> str:
    raise NotImplementedError


def yfcc_mirrors(download_url: str, published_hash: str | None) -> list[str]:
    raise NotImplementedError
