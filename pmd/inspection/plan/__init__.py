"""Plan: what a build will read, fetch, store and write, and how long its hosts make it wait, before anything runs.

What is committed is counted. What is not is estimated: a source's rows by a bounded sample of its own files, what is fetched by
what was fetched already, and only what nothing tells by what was published or is assumed; each figure says which, and between
what it is expected to be. Nothing is asked of the web. Hours are `pmd.fetch.politeness.forecast`'s.

Modules, each importing only those above it::

    estimates      numbers with the range in which they are expected
    sampling       a bounded sample of a source's files
    composition    what shards make of images, and which host groups have these
    published      records and pairs of a source by what was published
    expected       rows, pairs and images of each source
    fetching       what a fetch has settled, and has still to ask for
    fresh          whether what is committed counts
    images         the images of all sources, and how many will be there
    picture_sizes  bytes of a picture in each size and format
    sizes          bytes of the store, samples and shards
    assumptions    what figures rest on, in words
    costs          processor hours and prices
    rendering      the plan as people read it
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pmd import flow
from pmd.config import Config
from pmd.fetch import needs
from pmd.fetch.ledger import asking
from pmd.fetch.politeness import forecast
from pmd.fetch.politeness.forecast import Forecast
from pmd.inspection.plan import assumptions, estimates, expected, fetching, sizes
from pmd.inspection.plan.estimates import Estimate, known
from pmd.inspection.plan.expected import SourceFigures
from pmd.inspection.plan.fresh import is_fresh
from pmd.inspection.plan.images import Images, committed, estimated, share_alive
from pmd.inspection.plan.rendering import render as render
from pmd.store import root
from pmd.store.standing import Standing
from pmd.suppression import lists


def plan(config: Config) -> dict[str, Any]:
    """Return what a build will read, fetch, write and wait for.

    Files that are not there yet are told, and planned for as if they were upstream's.

    Returns:
        ``sources``: per source input bytes, rows, pairs, images, what these are told by (``basis``), what is missing or
        unreadable. ``rows``, ``pairs``, ``images``: of all, the sums of the sources' but for ``shared_images``, which several
        sources have. ``to_fetch``; ``fetched``: images that are there in the end; ``fetch``: `Forecast`, with what decides as
        ``slowest``; ``hashes``: who asks for perceptual hashes (None: nobody), how many are computed with the fetch, and how
        many of what is stored; ``disk``: bytes of store and shards, by store form; ``samples``; ``shards``; ``assumptions``.
        ``ranges``, beside figures: name → between what each of them is expected; a figure without one is known. ``basis``:
        where figures come from. JSON-able.

    Raises:
        ConfigError: There are more lanes than a host's limits have shares.
        InputError: A list that `[fetch]` names is missing, or none.
        RootError: No build could stand where ROOT is to be.
    """
    root.refuse_others_folders(config.root)
    config = lists.held(config)
    needs.check_lists(config)
    fresh = is_fresh(config, flow.IMAGES)
    if fresh:
        found: Sequence[SourceFigures] = expected.booked(config)
        images = committed(fetching.counted(config), found)
    else:
        looked = expected.figures(config)
        found, images = looked.sources, estimated(config, looked)
    fetch = forecast.forecast(images.shards, config.fetch)
    alive, alive_basis = share_alive(config, images, found)
    fetched = (images.ok + images.to_fetch * alive).rounded()
    stored = sizes.stored_by_now(config.root)
    pictures, pictures_basis = sizes.store(config, images, fetched, stored)
    written = sizes.shards(config, images, fetched, stored)
    sources = [_described(item, images.of_source[item.name]) for item in found]
    totals = _totals(images, found, fetched, written.samples)
    store = {form: size.rounded() for form, size in pictures.items()}
    shard_bytes = {form: size.rounded() for form, size in written.bytes.items()}
    disk = _ends_rounded(store[config.fetch.store] + estimates.total(shard_bytes.values()))
    return {
        "root": config.root,
        "profile": config.profile,
        "sample": config.sample,
        "sources": sources,
        "input_bytes": sum(item.input_bytes for item in found),
        "read_rows": sum(item.read_rows for item in found),
        **{name: _number(estimate) for name, estimate in totals.items()},
        "ranges": _ranges(totals),
        "images_basis": images.basis,
        "basis": {
            "to_fetch": images.basis,
            "fetched": alive_basis,
            "store": pictures_basis,
            "samples": written.basis,
            "shards": written.bytes_basis,
        },
        "fetch": _fetch(fetch, images),
        "hashes": _hashes(config, fetch, counted=images.basis == "committed"),
        "disk": {
            "store": {form: _number(size) for form, size in store.items()},
            "chosen": config.fetch.store,
            "shards": {form: _number(size) for form, size in shard_bytes.items()},
            "total": _number(disk),
            "there": stored.bytes,
            "ranges": _ranges({**store, "total": disk}) | {"shards": _ranges(shard_bytes)},
        },
        "shards": {form: _number(count) for form, count in written.shards.items()},
        "shards_ranges": _ranges(written.shards),
        "assumptions": [
            *(assumptions.ASSUMPTIONS if fetch.hosts else ()),
            *([assumptions.OF_ADOPTED] if fetch.hosts and config.fetch.adopt else ()),
            *([assumptions.OF_STORE] if any(host.host == forecast.STORE for host in fetch.hosts) else ()),
            *assumptions.guesses(
                found,
                fetched,
                images.to_fetch if alive_basis == "guess" else known(0),
                pictures_basis,
                written,
                has_ledger=images.settled > 0,
                has_lists=bool(config.suppression),
            ),
        ],
    }


def _totals(
    images: Images, found: Sequence[SourceFigures], fetched: Estimate, samples: Estimate
) -> dict[str, Estimate]:
    """Return the figures of all sources together."""
    shared_images = images.shared.rounded()
    totals = {
        "rows": estimates.total(item.rows.rounded() for item in found),
        "pairs": estimates.total(item.pairs.rounded() for item in found),
        "taken": estimates.total(item.taken.rounded() for item in found),
        "images": estimates.total(images.of_source[item.name].rounded() for item in found).less(shared_images)
        if images.basis != "committed"
        else images.images,
        "shared_images": shared_images,
        "to_fetch": images.to_fetch.rounded(),
        "fetched": fetched,
        "samples": samples,
    }
    totals = {name: _ends_rounded(estimate) for name, estimate in totals.items()}
    if images.basis != "committed":  # the value is what the columns add up to
        value = sum(images.of_source[item.name].rounded().value for item in found) - shared_images.value
        totals["images"] = dataclasses.replace(totals["images"], value=value)
    return totals


def _ends_rounded(estimate: Estimate) -> Estimate:
    """Return a sum as it is, between round numbers."""
    return dataclasses.replace(estimate.rounded(), value=estimate.value)


def _number(estimate: Estimate) -> int:
    return int(estimate.value)


def _ranges(found: Mapping[str, Estimate]) -> dict[str, list[int]]:
    return {name: [int(estimate.low), int(estimate.high)] for name, estimate in found.items() if not estimate.known}


def _described(item: SourceFigures, images: Estimate) -> dict[str, Any]:
    found = {"rows": item.rows, "pairs": item.pairs, "taken": item.taken, "images": images}
    rounded = {name: estimate.rounded() for name, estimate in found.items()}
    return {
        "name": item.name,
        "input_bytes": item.input_bytes,
        "missing": list(item.missing),
        "unreadable": item.unreadable,
        "basis": item.basis,
        "read_rows": item.read_rows,
        **{name: _number(estimate) for name, estimate in rounded.items()},
        "ranges": _ranges(rounded),
        "local": item.local,
    }


def _fetch(fetch: Forecast, images: Images) -> dict[str, Any]:
    """Return a forecast, with what decides, and between what its hours are by how many images there may be."""
    ranges = {}
    if not images.to_fetch.known and images.to_fetch.value:
        factors = (images.to_fetch.low / images.to_fetch.value, images.to_fetch.high / images.to_fetch.value)
        ranges = {"hours": [fetch.hours * factor for factor in factors]}
    return {
        **dataclasses.asdict(fetch),
        "hosts": [dataclasses.asdict(host) for host in fetch.hosts],
        "slowest": _slowest(fetch),
        "ranges": ranges,
    }


def _slowest(estimate: Forecast) -> dict[str, Any] | None:
    """Return what decides how long fetching takes: a host, or ("host": null) the lanes themselves."""
    if estimate.slowest is not None:
        return dataclasses.asdict(estimate.slowest)
    asked = sum(host.images for host in estimate.hosts)
    if not asked:
        return None
    pace = asked / estimate.lane_hours / 3600
    return {
        "host": None,
        "images": asked,
        "images_per_s": pace,
        "hours": estimate.lane_hours,
        "limit": estimate.lane_limit,
    }


def _hashes(config: Config, fetch: Forecast, *, counted: bool) -> dict[str, Any]:
    """Return who asks for perceptual hashes, and how many pictures must be decoded for them."""
    asks = asking.who(config)
    if asks is None:
        return {"asked_by": None, "fetched": 0, "stored": 0}
    later = asking.by_dedupe(config.dedupe) or asking.to_judge(config)
    stored = sum(asking.missing(Standing(config.root)).values()) if counted and later is not None else 0
    return {"asked_by": asks, "fetched": sum(host.images for host in fetch.hosts), "stored": stored}
