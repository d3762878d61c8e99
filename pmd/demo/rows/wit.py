"""WIT: pictures of Wikipedia, in a packed table."""

from __future__ import annotations

import hashlib
import itertools
from urllib.parse import quote

from pmd.demo.files import WIT_COLUMNS, WIT_FILE
from pmd.demo.pictures import SCENES, Picture
from pmd.demo.rows.shared import article
from pmd.demo.web import Answer, route_of
from pmd.demo.world import Builder, kept, rejected


def fill(builder: Builder) -> None:
    """Fill the world with them."""
    source = "wit"
    numbers = itertools.count()

    def row(
        url: str, picture: Picture | None, language: str = "en", section: str = "", **captions: str
    ) -> tuple[str, ...]:
        number = next(numbers)
        title = f"Drawing {number}" if picture is None else f"{picture.subject.capitalize()} (drawing)"
        mime = "image/svg+xml" if url.endswith(".svg") else "image/png" if url.endswith(".png") else "image/jpeg"
        values = {
            "language": language,
            "page_url": f"https://{language}.wikipedia.org/wiki/{quote(title.replace(' ', '_'))}",
            "image_url": url,
            "page_title": title,
            "section_title": section,
            "hierarchical_section_title": f"{title} / {section}" if section else title,
            "caption_reference_description": captions.get("reference", ""),
            "caption_attribution_description": captions.get("attribution", ""),
            "caption_alt_text_description": captions.get("alt", ""),
            "mime_type": mime,
            "original_height": str(picture.height_px if picture else 400),
            "original_width": str(picture.width_px if picture else 400),
            "is_main_image": "false" if section else "true",
            "attribution_passes_lang_id": "true" if language == "en" else "false",
            "page_changed_recently": "true" if number % 2 else "false",
            "context_page_description": f'{title} is a drawing.\nIt has "quoted" words, a tab\there, and two lines.',
            "context_section_description": f"{title} is a drawing." if section else "",
        }
        return tuple(values[column] for column in WIT_COLUMNS)

    def upload(picture: Picture, name: str | None = None) -> str:
        name = name or f"{picture.subject.capitalize().replace(' ', '_')}.{picture.extension}"
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        return f"https://upload.wikimedia.org/wikipedia/commons/{digest[0]}/{digest[:2]}/{quote(name)}"

    def add(picture: Picture, text: str, name: str | None = None, **captions: str) -> tuple[str, str, tuple[str, ...]]:
        image = builder.image(picture)
        url = builder.locate(image, upload(picture, name), picture)
        record = row(url, picture, **captions)
        builder.add(source, WIT_FILE, record, kept(image, text))
        return image, url, record

    for number in range(9):
        picture = builder.picture(form="png" if number == 6 else "jpeg")
        scene = SCENES[picture.scene]
        text = (
            f"{article(picture.subject).capitalize()} {scene.place}, drawn in 2009",
            f"Drawing of {article(picture.subject)}, with\na second line, by the artist and her students",
            f"{scene.detail}; “the finest of its kind”",
        )[number % 3]
        image, url, record = add(
            picture, text, reference=text, attribution=f"English: {picture.subject.capitalize()} in a drawing"
        )
    builder.add(source, WIT_FILE, record, rejected("duplicate_row"))
    again = "The same image in another section of the same page"
    builder.add(source, WIT_FILE, row(url, picture, section="Gallery", reference=again), kept(image, again))

    # No reference description: the attribution, or the alternative text, speaks.
    add(
        builder.picture(), "A drawing of the harbour at night", attribution="English: A drawing of the harbour at night"
    )
    add(
        builder.picture(),
        "View over the old town",
        attribution="English: View over the old town Deutsch: Blick über die Altstadt",
    )
    add(builder.picture(), "a drawing of several houses", alt="a drawing of several houses")
    add(
        builder.picture(),
        "A street in the old town of Strasbourg",
        name="Straße_in_Straßburg.jpg",
        reference="A street in the old town of Strasbourg",
    )

    vector = builder.image(status="not_an_image")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400"><circle cx="200" cy="200" r="150"/></svg>'
    url = "https://upload.wikimedia.org/wikipedia/commons/4/4f/A_black_circle.svg"
    builder.locate(vector, url, Answer(svg, content_type="image/svg+xml"))
    text = "A black circle as a vector drawing"
    builder.add(source, WIT_FILE, row(url, None, reference=text), kept(vector, text))

    elsewhere = upload(builder.picture(), "Not_asked_for.jpg")
    builder.never_requested.add(route_of(elsewhere))
    for language, reference in (
        ("de", "Ein Segelboot auf dem Meer bei Sonnenuntergang"),
        ("fr", "Un voilier sur la mer au coucher du soleil"),
        ("ru", "Парусная лодка на море на закате"),
        ("es", "Un velero en el mar al atardecer"),
    ):
        builder.add(source, WIT_FILE, row(elsewhere, None, language, reference=reference), rejected("language"))
    builder.add(source, WIT_FILE, row(elsewhere, None), rejected("no_caption"))
    builder.add(
        source,
        WIT_FILE,
        row(elsewhere, None, reference="A row that lacks its last column")[:-1],
        rejected("malformed_row"),
    )
