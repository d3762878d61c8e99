"""Where the bucket of YFCC100M's photographs may hold one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pmd.sources import multimedia_commons
from tests.text.pieced import column

#: A download URL, as rows have it.
DOWNLOAD_URL = "http://farm8.staticflickr.com/7205/6985418911_df7747990d.jpg"


def test_mirrors() -> None:
    base = "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images"
    published = "4e2f7a26a1dfbf165a7e30bdabf7e72a"
    # No byte of this digest is under 0x10, so that all spellings are one.
    assert multimedia_commons.mirrors(DOWNLOAD_URL, published) == [f"{base}/4e2/f7a/{published}.jpg"]
    assert multimedia_commons.mirrors(DOWNLOAD_URL, None) == multimedia_commons.mirrors(DOWNLOAD_URL, "not a hash")
    # md5("http://a.example/4") = 79ff3bcb59888c410b5793f7a2fe7eaf has the byte 0b.
    ordinary, unpadded = multimedia_commons.mirrors("http://a.example/4", "79ff3bcb59888c410b5793f7a2fe7eaf")
    assert ordinary == f"{base}/79f/f3b/79ff3bcb59888c410b5793f7a2fe7eaf.jpg"
    assert unpadded == f"{base}/79f/f3b/79ff3bcb59888c41b5793f7a2fe7eaf.jpg"
    assert multimedia_commons.mirrors("http://a.example/4", None) == [unpadded, ordinary]


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.sampled_from(["own", "ordinary", "upper", "other", "", "not a hash"])),
        max_size=20,
    )
)
def test_mirrors_of_many_are_those_of_each(rows: list[tuple[str, str]]) -> None:
    download_urls = [f"http://a.example/{number}/{name}" for number, (name, _) in enumerate(rows)]
    published = []
    for url, (_, kind) in zip(download_urls, rows, strict=True):
        digest = hashlib.md5(url.encode()).digest()
        own = "".join(f"{byte:x}" for byte in digest)
        published.append(
            {"own": own, "ordinary": digest.hex(), "upper": own.upper(), "other": "abc123" * 5}.get(kind, kind)
        )
    of_each = [multimedia_commons.mirrors(url, given) for url, given in zip(download_urls, published, strict=True)]
    assert multimedia_commons.mirror_lists(column(*download_urls), column(*published)).to_pylist() == of_each
    without = [multimedia_commons.mirrors(url, None) for url in download_urls]
    assert multimedia_commons.mirror_lists(column(*download_urls), None).to_pylist() == without


def test_genuine_rows_have_the_hash_of_their_download_url(samples: Path) -> None:
    with (samples / "yfcc100m" / "yfcc100m_dataset_25col.tsv").open(encoding="utf-8", newline="\n") as file:
        rows = [line.split("\t") for line in file]
    for row in rows:
        assert multimedia_commons.mirrors(row[16], None)[0] == multimedia_commons.mirrors(row[16], row[2])[0]
