"""A plan as people read it, in 80 columns: a ~ marks what is estimated, and between what it is expected stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pmd import escape
from pmd.manifests.select import human_bytes
from pmd.terminal import tables

if TYPE_CHECKING:
    from rich.table import Table

#: Hosts that the text names.
_MOST_HOSTS: Final = 12
#: From so many hours on no minutes are told.
_HOURS: Final = 10


def render(planned: Mapping[str, Any], width: int = 80) -> str:
    """Return a plan as people read it."""
    planned = escape.shown(planned)
    page = tables.Page(width)
    sample = f", 1/{planned['sample']} of the images" if planned["sample"] > 1 else ""
    page.write(f"{planned['root']}: profile {planned['profile']}{sample}\n")
    page.write(_sources(planned))
    page.write()
    page.write(_figures(planned))
    for line in _fetch(planned["fetch"], planned["images_basis"]):
        page.write(line)
    page.write(_hashes(planned["hashes"]))
    for item in planned["sources"]:
        for line in item["missing"]:
            page.write(line, wrap=False)
        if item["unreadable"]:
            page.write(f"{item['name']} cannot be read, so that its figures are those that were published, by size:")
            page.write(item["unreadable"], wrap=False)
    if planned["assumptions"]:
        page.write("\n~ is estimated. Assumed:")
    for line in planned["assumptions"]:
        page.write(f"- {line}")
    return page.text()


def _sources(planned: Mapping[str, Any]) -> Table:
    """Return the sources' rows; below them what they share, and the sums."""
    rows = [
        [
            item["name"],
            human_bytes(item["input_bytes"]) if item["input_bytes"] else "–",
            *(_count(item[name], item["ranges"].get(name)) for name in _COLUMNS),
            item["basis"],
        ]
        for item in planned["sources"]
    ]
    ranges = planned["ranges"]
    if planned["shared_images"] or "shared_images" in ranges:
        less = _count(planned["shared_images"], ranges.get("shared_images"))
        rows.append(["in several sources", "", "", "", f"-{less}" if less != "0" else less, ""])
    rows.append(
        [
            "all",
            human_bytes(planned["input_bytes"]),
            *(_count(planned[name], ranges.get(name)) for name in _COLUMNS),
            "",
        ]
    )
    return _table(["source", "files", *_COLUMNS, "told by"], rows, words={"source", "told by"}, whole=range(1, 6))


_COLUMNS: Final = ("rows", "pairs", "images")


def _figures(planned: Mapping[str, Any]) -> Table:
    """Return what the build comes to: each figure, between what it is expected, and what tells it."""
    ranges, basis, disk = planned["ranges"], planned["basis"], planned["disk"]
    rows = [
        _figure(name, planned[key], ranges.get(key), told)
        for name, key, told in (
            ("rows", "rows", _together(planned, "rows")),
            ("pairs", "pairs", _together(planned, "pairs")),
            *(
                [("pairs taken on", "taken", _together(planned, "taken"))]
                if planned["taken"] != planned["pairs"]
                else []
            ),
            ("images", "images", planned["images_basis"]),
            ("images to fetch", "to_fetch", basis["to_fetch"]),
            ("images then there", "fetched", basis["fetched"]),
        )
    ]
    chosen = disk["chosen"]
    rows += [
        _figure(
            f"store, {form}", size, disk["ranges"].get(form), basis["store"] if form == chosen else "guess", human_bytes
        )
        for form, size in disk["store"].items()
        if form == chosen or basis["store"] != "committed"
    ]
    rows.append(_figure("samples", planned["samples"], ranges.get("samples"), basis["samples"]))
    for form, size in disk["shards"].items():
        rows.append(
            _figure(f"{form} shards", planned["shards"][form], planned["shards_ranges"].get(form), basis["samples"])
        )
        rows.append(_figure(f"{form} bytes", size, disk["ranges"]["shards"].get(form), basis["shards"], human_bytes))
    rows.append(_figure("store and shards", disk["total"], disk["ranges"].get("total"), "", human_bytes))
    rows.append(_figure("… of it there", disk["there"], None, "", human_bytes))
    return _table(["the build", "comes to", "between", "told by"], rows, words={"the build", "told by"}, whole=(0, 1))


def _together(planned: Mapping[str, Any], name: str) -> str:
    """Return what a sum of the sources' is told by: by what its weakest part is."""
    standing = ("committed", "counted", "sampled", "published", "Table 2")
    told = [item["basis"] for item in planned["sources"]]
    return max(told, key=standing.index, default="")


def _figure(name: str, value: int, between: Sequence[int] | None, told: str, shown: Any = None) -> list[str]:
    say = shown or (lambda number: f"{number:,}")
    mark = "~" if between else ""
    return [name, mark + say(value), f"{say(between[0])} to {say(between[1])}" if between else "", told]


def _count(value: int, between: Sequence[int] | None) -> str:
    return f"{'~' if between else ''}{value:,}"


def _fetch(fetch: Mapping[str, Any], basis: str) -> Iterator[Any]:
    """Yield what people read of a forecast."""
    if not fetch["hosts"]:
        yield f"\nImages to fetch ({basis}): none; the ledger has all of them"
    else:
        mark = "~" if fetch["ranges"] else ""
        yield f"\nImages to fetch ({basis}), by host group, in {fetch['lanes']} lane{'s' * (fetch['lanes'] > 1)}:"
        yield _table(
            ["host", "images", "a second", "limited by", "hours"],
            [
                [
                    host["host"],
                    f"{mark}{_three(host['images']) if mark else host['images']:,}",
                    f"{host['images_per_s']:,.2f}",
                    host["limit"],
                    mark + _hours(host["hours"]),
                ]
                for host in fetch["hosts"][:_MOST_HOSTS]
            ],
            words={"host", "limited by"},
        )
        if len(fetch["hosts"]) > _MOST_HOSTS:
            yield f"… and {len(fetch['hosts']) - _MOST_HOSTS:,} more host groups"
        slowest = fetch["slowest"]
        who = slowest["host"] or "no host: the lanes themselves"
        between = (
            ""
            if not fetch["ranges"]
            else f" ({_hours(fetch['ranges']['hours'][0])} to {_hours(fetch['ranges']['hours'][1])})"
        )
        images = _three(slowest["images"]) if mark else slowest["images"]
        yield (
            f"Fetching takes {mark}{_hours(fetch['hours'])} hours{between} or more. What decides is {who}: "
            f"{mark}{images:,} images, {slowest['images_per_s']:,.2f} a second ({slowest['limit']}), {mark}{_hours(slowest['hours'])} hours."
        )
    if fetch["unasked"]:
        yield f"{fetch['unasked']:,} images have no location that can be asked."


def _three(count: int) -> int:
    """Return a count to three digits."""
    return int(float(f"{count:.3g}"))


def _hours(hours: float) -> str:
    """Return hours to two digits, and those that are less than one to three places: a second is .0003."""
    if hours >= _HOURS:
        return f"{int(float(f'{hours:.2g}')):,}"
    return f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"


def _hashes(hashes: Mapping[str, Any]) -> str:
    if hashes["asked_by"] is None:
        return "Perceptual hashes: nothing asks for them, and none is computed."
    said = [f"{hashes['fetched']:,} with the fetch"] if hashes["fetched"] else []
    said += [f"{hashes['stored']:,} of pictures that are stored, without the web"] if hashes["stored"] else []
    return f"Perceptual hashes ({hashes['asked_by']} asks for them): {', '.join(said) or 'all are known'}."


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: set[str], whole: Sequence[int] | range = ()
) -> Table:
    right = [place for place, name in enumerate(headings) if name not in words]
    return tables.table(headings, rows, right=right, whole=whole)
