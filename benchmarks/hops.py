"""The way of one caption, one URL, one rejected row and one option: through which modules they go, one after the other.

    python benchmarks/hops.py [--checkout FOLDER]

Four rows of Conceptual Captions are curated and made into images, by `pmd curate` and `pmd images` of a checkout: this one,
unless another is named. At each call of a function of ours that is handed the marked caption, URL or row, in a table or alone,
or the option, in its model or alone, its module is noted. `hops` are the changes of module, `modules` how many different ones
there are, `rooms` how many folders, or files that stand right under `pmd`. What a function finds out without being handed it is
not seen. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Final

#: What is followed: in the caption, in the URL, in the row that has one column.
MARKS: Final = {"caption": "zanzibar", "URL": "quetzal", "rejected row": "xylophone"}
ROWS: Final = (
    "a boat on zanzibar lake\thttp://a.test/1.jpg",
    "a tree beside a road\thttp://quetzal.test/2.jpg",
    "a house in the hills\thttp://a.test/3.jpg",
    "xylophone and no URL",
)
#: The option is told by the models and configurations that have it, and by its value, which nothing else has.
OPTION: Final = "duplicate_rows"
#: Tables of more rows are not looked into.
_MOST_ROWS: Final = 64


class Followed:
    """Notes modules while it is the profile function of all threads."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = str(checkout) + "/"
        self.ways: dict[str, list[str]] = {name: [] for name in (*MARKS, "option")}
        self._looking = threading.local()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(self._checkout) or getattr(self._looking, "now", False):
            return
        module = path.removeprefix(self._checkout).removesuffix(".py")
        if not module.startswith(("pmd/", "pipelines/")):
            return
        self._looking.now = True
        try:
            code = frame.f_code
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            values = [frame.f_locals[name] for name in names if name in frame.f_locals]
            for name in _handed(values):
                way = self.ways[name]
                if not way or way[-1] != module:
                    way.append(module)
        finally:
            self._looking.now = False


def _handed(values: list[Any]) -> set[str]:
    texts = [text for value in values if (text := _text(value))]
    found = {name for name, mark in MARKS.items() if any(mark in text for text in texts)}
    return found | ({"option"} if any(map(_has_option, values)) else set())


def _text(value: Any) -> str:
    """Return what an argument says, where it is a text, a table or a few of them."""
    import pyarrow as pa

    if isinstance(value, str | bytes):
        return value if isinstance(value, str) else value.decode(errors="replace")
    if isinstance(value, pa.Table | pa.RecordBatch | pa.Array | pa.ChunkedArray):
        return str(value.to_pylist()) if len(value) <= _MOST_ROWS else ""
    if isinstance(value, dict):
        return "\n".join(map(_text, value.values()))
    return "\n".join(map(_text, value)) if isinstance(value, list | tuple) and len(value) <= _MOST_ROWS else ""


def _has_option(value: Any) -> bool:
    inner = getattr(value, "curate", None)
    return OPTION in getattr(type(value), "model_fields", {}) or OPTION in getattr(type(inner), "model_fields", {})


def _room(module: str) -> str:
    return "/".join(module.split("/")[:2])


def main() -> None:
    """Follow, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parent.parent)
    checkout = parser.parse_args().checkout.resolve()
    sys.path.insert(0, str(checkout))
    folder = Path(tempfile.mkdtemp(prefix="hops-"))
    (folder / "cc3m.tsv").write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    (folder / "pmd.toml").write_text(
        f'root = "{folder}/root"\ncontact = "mailto:benchmarks@example.org"\n'
        f'[sources.conceptual_captions]\nannotations = ["{folder}/cc3m.tsv"]\n',
        encoding="utf-8",
    )
    from pmd import cli

    followed = Followed(checkout)
    for stage in ("curate", "images"):
        sys.argv = ["pmd", stage, str(folder / "pmd.toml")]
        threading.setprofile(followed)
        sys.setprofile(followed)
        try:
            cli.main()
        except SystemExit as ended:
            if ended.code:
                raise
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    told = {}
    for name, way in followed.ways.items():
        rooms = [room for room, _ in itertools.groupby(map(_room, way))]
        told[name] = {
            "hops": len(way) - 1,
            "modules": len({*way}),
            "rooms": len({*rooms}),
            "between rooms": len(rooms) - 1,
        }
        print(f"{name}: {told[name]}\n  {' → '.join(way)}")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
