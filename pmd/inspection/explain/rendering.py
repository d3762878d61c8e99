"""What became of pairs and images, as people read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pmd import escape
from pmd.fetch.ledger import stored
from pmd.terminal import bar


@dataclasses.dataclass
class _Page:
    """Lines of text, indented."""

    lines: list[str] = dataclasses.field(default_factory=list)

    def say(self, depth: int, line: str) -> None:
        self.lines.append("  " * depth + line)


def render(answer: Mapping[str, Any]) -> str:
    """Return what was found as people read it."""
    answer = escape.shown(answer)
    page = _Page([f"{answer['asked']}: {answer['as']}"])
    for pair in answer["pairs"]:
        _pair_lines(page, pair)
    if answer["more_pairs"]:
        page.say(0, f"… and {bar.amount(answer['more_pairs'], 'more pairs')}")
    for image in answer["images"]:
        _image_lines(page, image)
    return "\n".join(page.lines)


def _pair_lines(page: _Page, pair: Mapping[str, Any]) -> None:
    page.say(0, f"\npair {pair['pair_id']}: {pair['source']}/{pair['source_id']}")
    row = pair["row"]
    if row is not None:
        page.say(1, f"text: {row['text']}")
        page.say(1, f"image_url: {row['image_url']}")
        page.say(1, f"image: {pair['image_id']} ({row['identity']}{', also ' + row['also'] if row['also'] else ''})")
        if row["region"] is not None:
            page.say(1, f"region: {row['region']} of {row['width_px']} × {row['height_px']} px")
        evidence = f" ({row['licence_evidence']})" if row["licence_evidence"] else ""
        split = "no split" if row["split"] is None else f"split {row['split']}"
        page.say(1, f"licences: text {row['text_licence']}, image {row['image_licence']}{evidence}; {split}")
    if pair["shown_image_id"] not in {None, pair["image_id"]}:
        page.say(1, f"shown as image {pair['shown_image_id']}")
    for row in pair["rejected"]:
        said = (("detail", row["detail"]), ("where", row["place"]))
        more = "".join(f"; {name}: {value}" for name, value in said if value)
        page.say(1, f"rejected by {row['stage']}: {row['reason']}{more}")
        if row["upstream"] is not None:
            page.say(2, f"the row there: {row['upstream']}")
        elif row["unread"] is not None:
            page.say(2, f"the row there: not read: {row['unread']}")
    for sample in pair["samples"]:
        page.say(1, f"in {sample['file']} as {sample['key']}")
    page.say(1, f"published: {', '.join(pair['published']) or 'no'}")
    near = pair["near_text"]
    if near is not None:
        on = f"its form stands on {bar.amount(near['images'], 'images')}"
        leads = near["text_id"] == near["group_id"]
        led = f"leads group {near['group_id']}" if leads else f"{near['jaccard']:.3f} of “{near['leader']}”"
        page.say(1, f"near-duplicate texts: {led}; {on}")


def _image_lines(page: _Page, image: Mapping[str, Any]) -> None:
    page.say(0, f"\nimage {image['image_id']}")
    for alias in image["aliases"]:
        page.say(1, f"also asked for as {alias}, which gives way to it")
    row = image["row"]
    if row is None:
        page.say(1, "is none of the images to be fetched")
    else:
        page.say(1, f"identity: {row['identity']}; of {', '.join(row['sources'])}; fetch shard {row['fetch_shard']}")
        for place in row["locations"]:
            page.say(1, f"{place['kind']}: {place['url']}")
    for attempt in image["attempts"]:
        page.say(1, _attempt_line(attempt))
    for entry in image["ledger"]:
        is_standing = image["stands"] is not None and entry["generation"] == image["stands"]["generation"]
        stands = " (stands)" if is_standing and len(image["ledger"]) > 1 else ""
        lost = " (its picture was lost to damage)" if entry.get("lost") else ""
        page.say(1, f"ledger, generation {entry['generation']}{stands}{lost}: {entry['status']}")
        if entry["store_file"] is not None:
            page.say(
                2,
                f"{entry['format']}, {entry['width_px']} × {entry['height_px']} px, {entry['bytes']:,} bytes, "
                f"sha256 {entry['sha256']}",
            )
            page.say(
                2,
                f"stored ({_stored_as(entry)}) in {entry['store_file']} at {entry['offset']:,}, "
                f"{entry['length']:,} bytes",
            )
        if entry.get("listed") is not None:
            page.say(2, f"the picture of a published list: {entry['listed']}")
    _hash_line(page, image)
    for group in image["groups"]:
        line = f"group: {group['image_id']} → {group['kept_id']} ({group['relation']}, distance {group['distance']})"
        page.say(1, line if group["matched"] is None else f"{line}: {group['matched']}")


def _stored_as(entry: Mapping[str, Any]) -> str:
    """Return in which form a picture is stored: of one encoded anew also the format and the size that it has there."""
    form = str(entry["stored_form"])
    if form != stored.RESIZED or entry.get("stored_width_px") is None:
        return form
    return f"{form}: {entry['stored_format']}, {entry['stored_width_px']} × {entry['stored_height_px']} px"


def _hash_line(page: _Page, image: Mapping[str, Any]) -> None:
    """Say the perceptual hash that is known, and where it was computed later, of what."""
    standing = image["stands"]
    if standing is None or standing["perceptual_hash"] is None:
        return
    known = standing["perceptual_hash"]
    later = [entry["generation"] for entry in image["hashes"] if entry["perceptual_hash"] == known]
    since = f", computed in generation {later[-1]}" if later else ""
    page.say(1, f"perceptual hash {known}, of the {standing['hashed_form']} picture{since}")


def _attempt_line(attempt: Mapping[str, Any]) -> str:
    line = f"attempt {attempt['when']}, generation {attempt['generation']}: {attempt['location']}: {attempt['status']}"
    for name in ("http_status", "final_url", "error", "policy", "policy_evidence", "headers", "seconds"):
        if attempt[name] is not None:
            line += f"; {name} {attempt[name]}"
    return line
