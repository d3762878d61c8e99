"""What must hold of a command of a history, by what was foretold of it, what stood before and what stands after it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pmd.demo.web import route_of

#: What stood before a build, and what stands after it (`claims.standing`).
Around = tuple[dict[str, Any], dict[str, Any]]


class WrongError(Exception):
    """What must hold does not."""


def expect(holds: bool, what: str, why: str) -> None:
    """Raise where something does not hold.

    Raises:
        WrongError: So it is.
    """
    if not holds:
        raise WrongError(f"{what}: {why}")


def as_foretold(whys: Sequence[Mapping[str, Any]], ran: Sequence[tuple[str, str]]) -> None:
    """Expect that just those units ran of which `pmd build --why` said so.

    What follows another may have nothing to do after all. What it says of the first stage is what runs.
    """
    first = next((one["stage"] for one in whys if one["why"] and not one["why"].startswith("the configuration")), None)
    for one in whys:
        unit = (one["stage"], one["unit"])
        if one["why"] is None:
            expect(unit not in ran, "--why", f"does not say that {unit} runs")
        elif one["stage"] == first and not one["why"].startswith(("follows", "the configuration")):
            expect(unit in ran, "--why", f"says that {unit} runs: {one['why']}")
    unknown = {*ran} - {(one["stage"], one["unit"]) for one in whys}
    expect(not unknown, "--why", f"does not know {unknown}")


def as_planned(plan: Mapping[str, Any], status: Mapping[str, Any], around: Around, takedown: Sequence[str]) -> None:
    """Expect that `pmd plan` foretold what a build fetched, and what was there then.

    Args:
        plan: As it says.
        status: What the build told.
        around: What stood, and stands.
        takedown: Lines of the takedown list. Of a digest that no picture has yet only the fetch tells what leaves by it.
    """
    before, after = around
    fetched = (status["fetch_run"] or {"images": 0})["images"]
    expect(plan["to_fetch"] == fetched, "plan", f"{fetched} images were fetched, planned {plan['to_fetch']}")
    known = {row["sha256"] for row in before["rows"].values()}
    if any(line.startswith("sha256:") and line[7:] not in known for line in takedown):
        return
    there = sum(after["rows"].get(key, {}).get("status") == "ok" for key in after["images"])
    # What of the rest is there, nobody knows before.
    built = {"images": len(after["images"])} | ({} if fetched else {"fetched": there})
    for name, value in built.items():
        low, high = plan["ranges"].get(name, [plan[name], plan[name]])
        expect(low <= value <= high, "plan", f"{name} was {value}, planned {plan[name]}, {low} to {high}")
    for form, told in () if fetched else status["shards"].items():
        low, high = plan["shards_ranges"].get(form, [plan["shards"][form]] * 2)
        expect(low <= told["shards"] <= high, "plan", f"{form}: {told['shards']} shards, planned {low} to {high}")


def nothing_twice(around: Around, requests: set[tuple[str, str]], identities: Mapping[str, str]) -> None:
    """Expect that no image was asked for that was settled, be it under an identity that has given way.

    Args:
        around: What stood, and stands.
        requests: What the build asked the web for.
        identities: image → identity, of all that there ever were.
    """
    before, after = around
    rows = before["rows"]
    led = {url: key for key, row in rows.items() if row["status"] == "ok" for url in row["tried"] or ()}
    asked = (
        (key, image["identity"], url)
        for key, image in after["images"].items()
        for url in image["places"]
        if is_url(url) and route_of(url) in requests
    )
    for key, identity, url in asked:
        again = key in rows and url in (rows[key]["tried"] or ())
        expect(not again, "asked twice", f"{url} of {identity}: {rows.get(key)}")
        other = led.get(url)
        renamed = other is not None and key not in rows and not identity.startswith("flickr:")
        was_flickr = other is not None and identities.get(other, "").startswith("flickr:")
        expect(not (renamed and was_flickr), "asked twice", f"{url} of {identity}, renamed")


def is_url(place: str | None) -> bool:
    """Return whether a place of an image is on the web."""
    return place is not None and place.startswith(("http://", "https://"))


def is_asked_alike(row: Mapping[str, Any], places: Sequence[str]) -> bool:
    """Return whether an image would be settled so from nothing: of places that are asked first, or are known still.

    What was had from the web is not read again from an archive that came later, and what was had from an archive stays when
    that is named no more. A picture that damage took, and that has other bytes now, is `changed` alone where it was had before.
    """
    if row["status"] == "ok":
        return all(map(is_url, places)) if is_url(row["location"]) else row["location"] in places
    return row["status"] != "changed" and {*(row["tried"] or ())} <= {*places}


def parsed(text: str) -> Any:
    """Return the JSON that a command has printed after its notes."""
    start = re.search(r"^[\[{]", text, re.MULTILINE)
    assert start is not None, text
    return json.JSONDecoder().raw_decode(text[start.start() :])[0]
