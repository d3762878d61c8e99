"""A plan as people read it, in 80 columns: a ~ marks what is estimated, and between what it is expected stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pmd import escape
from pmd.inspection.plan import costs
from pmd.inspection.plan.expected import UNKNOWN
from pmd.manifests.selecting import human_bytes
from pmd.terminal import bar, tables

if TYPE_CHECKING:
    from pmd.terminal.tables import Table

#: From so many of a unit on a time has no tenths.
_WHOLE: Final = 10
#: What a source whose files cannot be read is told by → what is said of its figures.
_OF_UNREAD: Final = {
    UNKNOWN: "nothing is known of it and no figure has anything of it",
    "committed": "its figures are those of what is committed",
}
#: Hosts that the text names.
_MOST_HOSTS: Final = 12


def render(planned: Mapping[str, Any], width: int = 80) -> str:
    """Return a plan as people read it."""
    lines = ({**item, "unreadable": (item["unreadable"] or "").splitlines()} for item in planned["sources"])
    planned = escape.shown({**planned, "sources": [*lines]})  # which breaks no line
    page = tables.Page(width)
    sample = f", 1/{planned['sample']} of the images" if planned["sample"] > 1 else ""
    page.write(f"{planned['root']}: profile {planned['profile']}{sample}\n")
    page.write(_sources(planned))
    page.write()
    page.write(_figures(planned))
    for line in _fetch(planned["fetch"], planned["images_basis"]):
        page.write(line)
    page.write(_hashes(planned["hashes"], "~" if planned["fetch"]["ranges"] else ""))
    if "cost" in planned:
        for part in _cost(planned["cost"]):
            page.write(part)
    for item in planned["sources"]:
        _unread(page, item)
    if planned["assumptions"]:
        page.write("\n~ is estimated. Assumed:")
    for line in planned["assumptions"]:
        page.write(f"- {line}")
    return page.text()


def _unread(page: tables.Page, item: Mapping[str, Any]) -> None:
    """Write which files of a source are not there, or cannot be read, and what its figures are then."""
    for line in item["missing"]:
        page.write(line, wrap=False)
    figures = _OF_UNREAD.get(item["basis"], "its figures are those that were published, by size")
    if item["missing"] and item["basis"] == UNKNOWN:
        page.write(f"{item['name']} is not there, so that {figures}.")
    if item["unreadable"]:
        page.write(f"{item['name']} cannot be read, so that {figures}:")
    for line in item["unreadable"]:
        page.write(line, wrap=False)


def _cost(cost: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what people read of the costs."""
    yield "\nOn machines that are paid by time:"
    heads = ["stage", "processor hours", cost["currency"], "between", "told by"]
    yield _table(heads, [*map(list, costs.rows(cost, _short))], words={"stage", "told by"}, whole=(0, 1, 2))
    yield from costs.lines(cost, _short)
    yield ""


def _short(number: float) -> str:
    """Return a number to two digits."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= _WHOLE else f"{rounded:.2g}"


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
        rows.append(["in several sources", "", "", "", f"-{less}" if planned["shared_images"] else less, ""])
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
    rows.append(_figure("store there by now", disk["there"], None, "", human_bytes))
    return _table(["the build", "comes to", "between", "told by"], rows, words={"the build", "told by"}, whole=(0, 1))


def _together(planned: Mapping[str, Any], name: str) -> str:
    """Return what a sum of the sources' is told by: by what its weakest part is."""
    standing = ("committed", "counted", "sampled", "published", "Table 2", UNKNOWN)
    told = [item["basis"] for item in planned["sources"]]
    weakest = max(told, key=standing.index, default="")
    return "published" if name == "rows" and weakest == "Table 2" else weakest  # the table has pairs alone


def _figure(
    name: str, value: int, between: Sequence[int] | None, told: str, shown: Callable[[int], str] | None = None
) -> list[str]:
    say = shown or (lambda number: f"{number:,}")
    mark = "~" if between else ""
    value = _three(value) if mark and shown is None else value  # a sum may have digits of what is known
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
            ["host", "images", "a second", "limited by", "takes"],
            [
                [
                    host["host"],
                    mark + _count_shown(host["images"], mark),
                    f"{host['images_per_s']:,.2f}",
                    host["limit"],
                    mark + _time(host["hours"]),
                ]
                for host in fetch["hosts"][:_MOST_HOSTS]
            ],
            words={"host", "limited by"},
            whole=range(1, 5),
        )
        if len(fetch["hosts"]) > _MOST_HOSTS:
            yield f"… and {bar.amount(len(fetch['hosts']) - _MOST_HOSTS, 'more host groups')}"
        yield _decides(fetch, mark)
    if fetch["unasked"]:
        has = "has" if fetch["unasked"] == 1 else "have"
        yield f"{bar.amount(fetch['unasked'], 'images')} {has} no location that can be asked."


def _decides(fetch: Mapping[str, Any], mark: str) -> str:
    slowest = fetch["slowest"]
    images = bar.amount(_shown(slowest["images"], mark), "images")
    who = slowest["host"] or "no host: the lanes themselves"
    between = " to ".join(map(_time, fetch["ranges"].get("hours", ())))
    return (
        f"Fetching takes {mark}{_time(fetch['hours'])}{f' ({between})' if between else ''} or more. What decides is {who}: "
        f"{mark}{images}, {slowest['images_per_s']:,.2f} a second ({slowest['limit']}), "
        f"{mark}{_time(slowest['hours'])}."
    )


def _count_shown(count: int, mark: str) -> str:
    """Return a count of images as `_shown`, in words."""
    return f"{_shown(count, mark):,}"


def _shown(count: int, mark: str) -> int:
    """Return a count of images, to three digits where it is estimated."""
    return _three(count) if mark else count


def _three(count: int) -> int:
    """Return a count to three digits."""
    return int(float(f"{count:.3g}"))


def _time(hours: float) -> str:
    """Return a time to two digits, in the largest unit of which there is one."""
    for unit, size in (("h", hours), ("min", hours * 60)):
        if size >= 1:
            rounded = float(f"{size:.2g}")
            return f"{rounded:,.0f} {unit}" if rounded >= _WHOLE else f"{rounded:.1f} {unit}".replace(".0 ", " ")
    return f"{hours * 3600:.2g} s"


def _hashes(hashes: Mapping[str, Any], mark: str) -> str:
    if hashes["asked_by"] is None:
        return "Perceptual hashes: nothing asks for them, and none is computed."
    said = [f"{mark}{_count_shown(hashes['fetched'], mark)} with the fetch"] if hashes["fetched"] else []
    said += [f"{hashes['stored']:,} of pictures that are stored, without the web"] if hashes["stored"] else []
    return f"Perceptual hashes ({hashes['asked_by']} asks for them): {', '.join(said) or 'all are known'}."


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: set[str], whole: Sequence[int] | range = ()
) -> Table:
    right = [place for place, name in enumerate(headings) if name not in words]
    return tables.table(headings, rows, right=right, whole=whole)
