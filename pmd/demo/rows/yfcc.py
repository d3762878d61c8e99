"""YFCC100M: rows of its table, with pictures on the mirror or on Flickr."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from typing import Final
from urllib.parse import quote_plus

from pmd.demo.files import YFCC_FILE
from pmd.demo.pictures import SCENES, Picture
from pmd.demo.rows.shared import Photo, Shared, article, copy_of
from pmd.demo.web import route_of
from pmd.demo.world import Builder, kept, rejected, token

_LICENCES: Final = (
    ("Attribution-NonCommercial-NoDerivs License", "http://creativecommons.org/licenses/by-nc-nd/2.0/"),
    ("Attribution-ShareAlike License", "http://creativecommons.org/licenses/by-sa/2.0/"),
    ("Attribution License", "http://creativecommons.org/licenses/by/2.0/"),
    ("Attribution-NonCommercial License", "http://creativecommons.org/licenses/by-nc/2.0/"),
    ("Attribution-NonCommercial-ShareAlike License", "http://creativecommons.org/licenses/by-nc-sa/2.0/"),
    ("Attribution-NoDerivs License", "http://creativecommons.org/licenses/by-nd/2.0/"),
)
#: Longitude, latitude, accuracy: United States, Canada, Germany, France, Japan, Kenya, Brazil, Australia, India, South
#: Africa, Nigeria, United Kingdom; and photographs without a place.
_PLACES: Final = (
    ("-81.804885", "24.550558", "12"),
    ("-79.365637", "43.649708", "16"),
    ("13.404954", "52.520008", "15"),
    ("", "", ""),
    ("2.352222", "48.856613", "14"),
    ("139.691711", "35.689487", "16"),
    ("36.817223", "-1.286389", "11"),
    ("", "", ""),
    ("-46.633308", "-23.550520", "12"),
    ("151.209296", "-33.868820", "16"),
    ("72.877656", "19.075984", "13"),
    ("", "", ""),
    ("18.424055", "-33.924870", "16"),
    ("3.379206", "6.524379", "10"),
    ("-0.127758", "51.507351", "16"),
)
_USERS: Final = (
    ("10000001@N00", "harbour lights"),
    ("10000002@N00", "an\xefs"),
    ("10000003@N02", "tin.whistle"),
    ("10000001@N00", "harbour lights"),
    ("10000004@N08", "b_ok"),
)
_GERMAN: Final = (
    "Ein wunderschöner Tag am Meer mit der ganzen Familie und viel Sonnenschein",
    "Wir haben den Nachmittag mit unseren Freunden im Garten verbracht und viel gelacht",
)
_FRENCH: Final = "Une belle promenade dans les rues de la vieille ville avec mes amis pendant les vacances"
_SPANISH: Final = "Una tarde tranquila en el parque con mis hijos y nuestro perro después de la escuela"


def _published_hash(download_url: str) -> str:
    """Return YFCC's hash column: MD5 of the download URL, each byte printed without its leading zero."""
    return "".join(f"{byte:x}" for byte in hashlib.md5(download_url.encode(), usedforsecurity=False).digest())


def _mirror(name: str) -> str:
    return f"https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/{name[:3]}/{name[3:6]}/{name}.jpg"


class _Yfcc:
    """The rows of YFCC100M in the making."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._lines = itertools.count()
        self._numbers = itertools.count(200)

    def photo(self) -> Photo:
        """Return a photograph that no row has had."""
        return Photo.number(next(self._numbers))

    def columns(self, photo: Photo, title: str, description: str, *, marker: str = "0") -> tuple[str, ...]:
        """Return the 25 columns of a photograph (marker "0") or a video ("1")."""
        number = next(self._lines)
        user, nickname = _USERS[number % len(_USERS)]
        longitude, latitude, accuracy = _PLACES[number % len(_PLACES)]
        licence, licence_url = _LICENCES[number % len(_LICENCES)]
        url = photo.on_farm()
        return (
            str(number),
            str(photo.photo_id),
            _published_hash(url),
            user,
            quote_plus(nickname),
            f"{2006 + number % 8}-{1 + number % 12:02d}-{1 + number % 28:02d} {number % 24:02d}:11:{number % 60:02d}.0",
            str(1_150_000_000 + number * 4_321_987),
            ("Canon+PowerShot+ELPH+310+HS", "NIKON+D90", "")[number % 3],
            quote_plus(title),
            quote_plus(description),
            ("drawing,demo,colour", "square+format,holiday", "")[number % 3],
            "",
            longitude,
            latitude,
            accuracy,
            f"http://www.flickr.com/photos/{user}/{photo.photo_id}/",
            url,
            licence,
            licence_url,
            str(photo.server),
            str(photo.farm),
            photo.secret,
            token(f"original {photo.photo_id}"),
            "jpg",
            marker,
        )

    def place(self, image: str, photo: Photo, picture: Picture, *, held_by: str) -> None:
        """Put the photograph on the mirror, on Flickr, or on neither."""
        url = photo.on_farm()
        self.builder.locate(image, url, picture if held_by == "flickr" else None)
        published = _published_hash(url)
        padded = hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
        if held_by == "padded" and padded == published:
            raise ValueError(f"photo {photo.photo_id} has one name only")
        for name in dict.fromkeys((published, padded)):
            mine = name == (padded if held_by == "padded" else published)
            copy = dataclasses.replace(picture, quality=80) if mine and held_by in ("mirror", "padded") else None
            self.builder.locate(image, _mirror(name), copy)

    def _photo_of(self, picture: Picture, held_by: str = "mirror") -> tuple[str, Photo]:
        photo = self.photo()
        while held_by == "padded" and len(_published_hash(photo.on_farm())) == 32:
            photo = self.photo()
        image = self.builder.image(picture, "dead" if held_by == "nowhere" else "ok")
        self.place(image, photo, picture, held_by=held_by)
        return image, photo

    def add(
        self, title: str, description: str, text: str, picture: Picture, held_by: str = "mirror"
    ) -> tuple[str, ...]:
        """Add a photograph of its own, whose text must come out as `text`; return its columns."""
        image, photo = self._photo_of(picture, held_by)
        record = self.columns(photo, title, description)
        self.builder.add("yfcc100m", YFCC_FILE, record, kept(image, text))
        return record

    def reject(self, reason: str, title: str, description: str, *, marker: str = "0") -> None:
        """Add a row of which nothing comes, so that its image must not be asked for."""
        record = self.columns(self.photo(), title, description, marker=marker)
        self.builder.add("yfcc100m", YFCC_FILE, record, rejected(reason))
        for name in (record[16], _mirror(record[2])):
            self.builder.never_requested.add(route_of(name))


def fill(builder: Builder, shared: Shared) -> None:
    """Fill the world with them."""
    rows = _Yfcc(builder)
    for number in range(14):
        picture = builder.picture(form="exif6" if number == 3 else "jpeg")
        held_by = {3: "flickr", 5: "padded", 7: "flickr", 9: "nowhere"}.get(number, "mirror")
        scene = SCENES[picture.scene]
        text = (
            f"We walked for an hour and then we saw {article(picture.subject)} {scene.place}.",
            f"My husband took this picture of {article(picture.subject)} when he was on holiday with the children.",
            f"{scene.detail}, which is why I stopped to look at it.",
        )[number % 3]
        last = rows.add(f"IMG_{520 + number:04d}", text, text, picture, held_by)
    builder.add("yfcc100m", YFCC_FILE, last, rejected("duplicate_row"))

    # Texts that need care.
    rows.add(
        "recipe",
        'The recipe is <a href="http://kitchen.example/cake?id=7&amp;x=1" rel="nofollow">on this page</a>, '
        "and the cake is for <b>my mother</b> &amp; me.",
        "The recipe is on this page, and the cake is for my mother & me.",
        builder.picture(),
    )
    rows.add(
        "DSC_0031",
        "The first line of the description,\nand  the second line with\ttwo spaces.",
        "The first line of the description, and the second line with two spaces.",
        builder.picture(),
    )
    cafe = "We had breakfast in the old cafe\u0301 by the river, and she loved it \U0001f60d"
    rows.add("morning", cafe, cafe, builder.picture())
    # The description does not pass, so the title speaks.
    for title, description in (
        ("A quiet evening by the sea with friends", _GERMAN[0]),
        ("The old bridge over the river in the rain", _FRENCH),
        ("My sister and her new bicycle in the garden", ""),
        ("The view from our window this morning", "Love it"),
        ("Three birds are sitting on a branch", '<a href="http://www.flickr.com/photos/10000001@N00/"></a>'),
    ):
        rows.add(title, description, title, builder.picture())
    # The same photograph elsewhere, under another URL.
    for (image, photo), text in (
        (shared.everywhere, "This is the photograph that you will find in every data set."),
        (shared.vg_yfcc, "The boy and his dog were waiting for us behind the house."),
        (shared.sbu_yfcc, "I like the colours in this picture more than in the other ones."),
        (shared.cc12m_yfcc, "A large version of this picture is used by many web sites."),
    ):
        rows.place(image, photo, copy_of(builder.picture_of(image), 500, 375), held_by="flickr")
        builder.add("yfcc100m", YFCC_FILE, rows.columns(photo, f"P{photo.server}", text), kept(image, text))
    _yfcc_rejected(rows)


def _yfcc_rejected(rows: _Yfcc) -> None:
    rows.reject("video", "A short film of the harbour", "We filmed the boats in the harbour this morning.", marker="1")
    rows.reject("video", "MVI_0042", "The children are singing a song for their grandmother.", marker="1")
    rows.reject("too_few_words", "Blue sky", "Love it")
    rows.reject("too_few_words", "IMG_0999", "")
    rows.reject("not_english", _GERMAN[1], _SPANISH)
    rows.reject("not_english", "DSC_0012", _FRENCH)
    short = rows.columns(rows.photo(), "A row that was cut", "This row has lost its last column.")[:-1]
    rows.builder.add("yfcc100m", YFCC_FILE, short, rejected("malformed_row"))
    broken = rows.columns(rows.photo(), "A row in another encoding", "This row is not in UTF-8 at all.")
    latin = "\t".join((*broken[:4], "ren\xe9", *broken[5:])).encode("latin-1")
    rows.builder.add("yfcc100m", YFCC_FILE, latin, rejected("bad_encoding"))
