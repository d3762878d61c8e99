"""RedCaps: posts of Reddit, in a zip of JSON."""

from __future__ import annotations

import itertools
from typing import Any, Final

from pmd.demo.files import RED_CAPS_FILE
from pmd.demo.pictures import SCENES, notice
from pmd.demo.rows.shared import Shared, article, copy_of
from pmd.demo.web import Answer, redirect, route_of
from pmd.demo.world import Builder, kept, rejected, token

_REMOVED_URL: Final = "https://i.imgur.com/removed.png"


def fill(builder: Builder, shared: Shared) -> None:
    """Fill the world with them."""
    source = "red_caps"
    authors = itertools.cycle(["quiet_heron", "MapleAndMoss", "None", "tin_lantern_7"])
    numbers = itertools.count()

    def post(
        subreddit: str, year: int, url: str, raw: str, caption: str | None, **more: Any
    ) -> tuple[str, dict[str, Any]]:
        number = next(numbers)
        image_id = _base36(40_000_000 + number * 77_777)
        slug = "_".join(word for word in raw.lower().split()[:5] if word.isalnum()) or "untitled"
        record: dict[str, Any] = {
            "image_id": image_id,
            "author": next(authors),
            "url": url,
            "raw_caption": raw,
            "caption": caption,
            "subreddit": subreddit,
            "score": 2 + number * 13 % 400,
            "created_utc": 1_302_998_814 + (year - 2011) * 31_536_000 + number * 86_413,
            "permalink": f"/r/{subreddit}/comments/{image_id}/{slug}/",
            **more,
        }
        if caption is None:
            del record["caption"]
        if number % 5 == 2:
            del record["score"]
        return f"{RED_CAPS_FILE}!/annotations/{subreddit}_{year}.json", record

    def add(subreddit: str, year: int, image: str, url: str, raw: str, caption: str, **more: Any) -> None:
        builder.add(source, *post(subreddit, year, url, raw, caption, **more), kept(image, caption))

    subreddits = ("itookapicture", "cityporn", "crafts", "birdpics", "sailing")
    for number in range(20):
        form = {4: "webp", 9: "gif", 12: "png"}.get(number, "jpeg")
        picture = builder.picture(form=form)  # type: ignore[arg-type]
        reddit = number % 2 == 0
        name = token(f"red caps {number}", 13 if reddit else 7)
        # The names of what reddit serves end in .jpg or .png, whatever it is.
        url = f"https://i.redd.it/{name}.jpg" if reddit else f"https://i.imgur.com/{name}.{picture.extension}"
        image = builder.image(picture, "dead" if number == 18 else "ok")
        builder.locate(image, url, None if number == 18 else picture)
        scene = SCENES[picture.scene]
        raw = (
            f"My {picture.subject} {scene.place} [OC] ({picture.width_px}x{picture.height_px})",
            f"{article(picture.subject).capitalize()} {picture.time}, made by @someone for his brother",
            f"Spent the weekend on this {picture.subject}, my wife says she likes it",
        )[number % 3]
        caption = (
            f"my {picture.subject} {scene.place}",
            f"{article(picture.subject)} {picture.time}, made by <usr> for his brother",
            f"spent the weekend on this {picture.subject}, my wife says she likes it",
        )[number % 3]
        more = {"crosspost_parents": ["t3_k2ab9z"]} if number in (6, 13) else {}
        add(subreddits[number % 5], 2017 + number // 7, image, url, raw, caption, **more)

    image, photo = shared.red_caps_sbu
    url = photo.on_farm("_b").replace("http:", "https:")
    builder.locate(image, url, copy_of(builder.picture_of(image), 900, 675))
    add("itookapicture", 2017, image, url, "Taken years ago, still my favourite", "taken years ago, still my favourite")

    builder.serve(
        _REMOVED_URL,
        Answer(
            notice("The image you are requesting\ndoes not exist\nor is no longer available.", 161, 81),
            content_type="image/png",
        ),
    )
    builder.may_repeat.add(route_of(_REMOVED_URL))
    for number in range(2):
        removed = builder.image(status="placeholder")
        url = f"https://i.imgur.com/{token(f'removed {number}', 7)}.jpg"
        builder.locate(removed, url, redirect(_REMOVED_URL))
        add("crafts", 2018, removed, url, "A scarf that I knitted", f"a scarf that i knitted, number {number + 1}")

    url = f"https://i.redd.it/{token('odd', 13)}.jpg"
    builder.add(source, *post("cityporn", 2017, url, "[OC] (4032x3024)", ""), rejected("empty_text"))
    album = "https://i.imgur.com/aB3dE5f,gH7iJ9k.jpg"
    builder.add(
        source, *post("crafts", 2017, album, "Before and after", "before and after"), rejected("several_images")
    )
    builder.add(source, *post("crafts", 2018, url, "No other caption", None), rejected("malformed_row"))
    builder.add(
        source, *post("sailing", 2018, "//i.redd.it/nowhere.jpg", "Sailing away", "sailing away"), rejected("bad_url")
    )
    picture = builder.picture()
    image = builder.image(picture)
    url = builder.locate(image, f"https://i.redd.it/{token('twice', 13)}.jpg", picture)
    member, record = post("birdpics", 2019, url, "Posted once, filed twice", "posted once, filed twice")
    builder.add(source, member, record, kept(image, record["caption"]))
    builder.add(source, member, record, rejected("duplicate_row"))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
