"""Draws the demo's pictures: the first step of `pmd demo`; all else there names, serves or captions one.

A picture is a *scene* (what is drawn) in a colour, at a time of day, in a size and a file format. The same picture
gives the same bytes with one version of Pillow: nothing is drawn at random, and the machine's fonts are not used.
What was drawn where is kept beside the pixels, so that region captions can tell the truth.

Shapes are drawn in stage units: the stage is the largest centred square of the image, x to the right and y downwards
from -1 to 1. Backgrounds fill the whole image.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Final, Literal

from PIL import Image, ImageColor, ImageDraw, ImageFont

Format = Literal["jpeg", "cmyk", "exif6", "png", "webp", "avif", "gif"]
Box = tuple[float, float, float, float]
_Point = tuple[float, float]

#: Drawn this much larger and averaged down, so that edges are smooth.
_OVERSAMPLING: Final = 2
_JPEG_QUALITY: Final = 85
_EXIF_ORIENTATION: Final = 0x0112
_GIF_FRAMES: Final = 4

COLOURS: Final[dict[str, str]] = {
    "red": "#d0342c",
    "blue": "#2b6cb8",
    "yellow": "#f2c12e",
    "green": "#3f8f4f",
    "orange": "#e9812b",
    "purple": "#7b4fa0",
    "pink": "#e583a8",
    "white": "#f4f1ea",
}

#: time of day → (upper sky, lower sky, sun or moon, how dark the ground is, 0…1)
_TIMES: Final[dict[str, tuple[str, str, str, float]]] = {
    "in the morning": ("#8fc1ea", "#fbe3c4", "#fff3c0", 0.0),
    "at noon": ("#3f8fd6", "#cfe8f7", "#fff7a8", 0.0),
    "at sunset": ("#5b4a8c", "#f79b57", "#ffd36b", 0.2),
    "at night": ("#0e1638", "#37487c", "#eef0ff", 0.5),
}
TIMES: Final = tuple(_TIMES)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that can be drawn.

    Attributes:
        scene: A name in `SCENES`.
        colour: A name in `COLOURS`.
        time: One of `TIMES`.
        width_px: Upright width.
        height_px: Upright height.
        form: File format; "cmyk" is a JPEG with four inks, "exif6" a JPEG stored on its side.
        mirrored: Whether left and right are exchanged.
        quality: Of lossy formats; two qualities of one picture are two files of one photograph.
    """

    scene: str
    colour: str
    time: str
    width_px: int = 640
    height_px: int = 480
    form: Format = "jpeg"
    mirrored: bool = False
    quality: int = _JPEG_QUALITY

    @property
    def subject(self) -> str:
        """What is seen, as a noun phrase without an article: "red sailing boat"."""
        return f"{self.colour} {SCENES[self.scene].noun}"

    @property
    def extension(self) -> str:
        """The usual file extension, without a dot."""
        return {"jpeg": "jpg", "cmyk": "jpg", "exif6": "jpg"}.get(self.form, self.form)


@dataclasses.dataclass(frozen=True)
class Part:
    """Something seen in a picture, and where.

    Attributes:
        phrase: "the red hull of the boat".
        box: `(x, y, width, height)` in whole pixels of the upright picture, inside it.
    """

    phrase: str
    box: tuple[int, int, int, int]


class Canvas:
    """What a scene is drawn on; see the module's docstring for the units."""

    def __init__(self, picture: Picture) -> None:
        self.colour = COLOURS[picture.colour]
        self.name = picture.colour
        self.parts: list[Part] = []
        self._picture = picture
        self._width = picture.width_px * _OVERSAMPLING
        self._height = picture.height_px * _OVERSAMPLING
        self._half = min(self._width, self._height) / 2
        upper, lower, self._disc, self._dark = _TIMES[picture.time]
        self.image = _gradient(self._width, self._height, upper, lower)
        self._pen = ImageDraw.Draw(self.image)

    def ground(self, upper: str, lower: str, horizon: float = 0.35) -> None:
        """Fill everything under the horizon, and hang sun or moon above it."""
        y = int(self._height / 2 + self._half * horizon)
        self.disc(-0.6, -0.65, 0.16, self._disc)
        self.image.paste(_gradient(self._width, self._height - y, self.shade(upper), self.shade(lower)), (0, y))
        self._part_px("the sky", (0, 0, self._width, y))

    def room(self, wall: str, table: str) -> None:
        """Fill the image with a wall and the table that stands before it."""
        y = int(self._height / 2 + self._half * 0.45)
        self.image.paste(_gradient(self._width, y, wall, self.shade(wall, 0.12)), (0, 0))
        self.image.paste(_gradient(self._width, self._height - y, table, self.shade(table, 0.3)), (0, y))
        self._part_px("the wall in the background", (0, 0, self._width, y))
        self._part_px("the wooden table", (0, y, self._width, self._height))

    def shade(self, colour: str, dark: float | None = None) -> str:
        """Return a colour, darker by 0…1; None takes the darkness of the time of day."""
        keep = 1 - (self._dark if dark is None else dark)
        red, green, blue = (int(channel * keep) for channel in ImageColor.getrgb(colour)[:3])
        return f"#{red:02x}{green:02x}{blue:02x}"

    def disc(self, x: float, y: float, radius: float, fill: str) -> None:
        """Draw a filled circle."""
        self.oval(x - radius, y - radius, x + radius, y + radius, fill)

    def ring(self, x: float, y: float, radius: float, stroke: str, width: float = 0.03) -> None:
        """Draw a circle's outline."""
        box = self._box(x - radius, y - radius, x + radius, y + radius)
        self._pen.ellipse(box, outline=stroke, width=max(2, int(width * self._half)))

    def oval(self, left: float, top: float, right: float, bottom: float, fill: str) -> None:
        """Draw a filled ellipse."""
        self._pen.ellipse(self._box(left, top, right, bottom), fill=fill)

    def bar(self, left: float, top: float, right: float, bottom: float, fill: str, corner: float = 0.0) -> None:
        """Draw a filled rectangle; `corner` is the radius of its corners."""
        self._pen.rounded_rectangle(self._box(left, top, right, bottom), corner * self._half, fill=fill)

    def shape(self, points: Sequence[_Point], fill: str) -> None:
        """Draw a filled polygon."""
        self._pen.polygon([self._point(x, y) for x, y in points], fill=fill)

    def stroke(self, points: Sequence[_Point], fill: str, width: float = 0.03) -> None:
        """Draw a line through points."""
        self._pen.line(
            [self._point(x, y) for x, y in points], fill=fill, width=max(2, int(width * self._half)), joint="curve"
        )

    def part(self, phrase: str, left: float, top: float, right: float, bottom: float) -> None:
        """Note that something is seen in a box; `{}` in the phrase is the picture's colour."""
        self._part_px(phrase.format(self.name), self._box(left, top, right, bottom))

    def finish(self, label: str) -> Image.Image:
        """Return the picture in its own size, with its label written on it."""
        small = self.image.reduce(_OVERSAMPLING)
        size = max(13, small.height // 24)
        band = size + size // 2
        pen = ImageDraw.Draw(small, "RGBA")
        pen.rectangle((0, small.height - band, small.width, small.height), fill=(0, 0, 0, 110))
        pen.text((size // 2, small.height - band + size // 8), label, font=_font(size), fill=(255, 255, 255, 255))
        return small

    def _point(self, x: float, y: float) -> _Point:
        sign = -1 if self._picture.mirrored else 1
        return self._width / 2 + sign * x * self._half, self._height / 2 + y * self._half

    def _box(self, left: float, top: float, right: float, bottom: float) -> Box:
        (x0, y0), (x1, y1) = self._point(left, top), self._point(right, bottom)
        return min(x0, x1), y0, max(x0, x1), y1

    def _part_px(self, phrase: str, box: Box) -> None:
        left, top, right, bottom = (int(edge / _OVERSAMPLING) for edge in box)
        left, top = max(0, left), max(0, top)
        right, bottom = min(self._picture.width_px, right), min(self._picture.height_px, bottom)
        self.parts.append(Part(phrase, (left, top, right - left, bottom - top)))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font: the machine's fonts would give other bytes elsewhere."""
    return ImageFont.load_default(size)


@functools.cache
def _ramp() -> Image.Image:
    return Image.linear_gradient("L")


def _gradient(width: int, height: int, upper: str, lower: str) -> Image.Image:
    """Return a vertical gradient: a column of one pixel, blended and stretched."""
    column = _ramp().resize((1, height), Image.Resampling.BILINEAR)
    blend = Image.composite(Image.new("RGB", column.size, lower), Image.new("RGB", column.size, upper), column)
    return blend.resize((width, height), Image.Resampling.NEAREST)


# ---------------------------------------------------------------------------------------------------------- scenes


def _boat(canvas: Canvas) -> None:
    canvas.ground("#3d7ea6", "#16415c", 0.2)
    canvas.shape([(-0.02, -0.75), (-0.02, 0.22), (-0.6, 0.22)], "#f7f4ec")
    canvas.shape([(0.05, -0.6), (0.05, 0.22), (0.48, 0.22)], canvas.shade("#e9e2d0", 0.1))
    canvas.bar(-0.02, -0.8, 0.03, 0.35, "#5a3b22")
    canvas.shape([(-0.7, 0.3), (0.7, 0.3), (0.5, 0.58), (-0.5, 0.58)], canvas.colour)
    canvas.stroke([(-0.95, 0.68), (-0.4, 0.64), (0.2, 0.68), (0.9, 0.64)], "#cfe3ee", 0.02)
    canvas.part("the white sail", -0.6, -0.75, 0.48, 0.22)
    canvas.part("the {} hull of the boat", -0.7, 0.3, 0.7, 0.58)
    canvas.part("small waves on the water", -0.95, 0.58, 0.9, 0.8)


def _house(canvas: Canvas) -> None:
    canvas.ground("#7cab54", "#3f6b2c", 0.35)
    canvas.bar(0.3, -0.62, 0.42, -0.3, "#7b3b2c")
    canvas.bar(-0.55, -0.15, 0.55, 0.6, "#f0e4cc")
    canvas.shape([(-0.7, -0.15), (0, -0.7), (0.7, -0.15)], canvas.colour)
    canvas.bar(-0.1, 0.2, 0.14, 0.6, "#6b4327")
    for x in (-0.43, 0.26):
        canvas.bar(x, 0.02, x + 0.2, 0.24, "#9fd0ea")
        canvas.stroke([(x + 0.1, 0.02), (x + 0.1, 0.24)], "#ffffff", 0.02)
    canvas.part("the {} roof of the house", -0.7, -0.7, 0.7, -0.15)
    canvas.part("a brown wooden door", -0.1, 0.2, 0.14, 0.6)
    canvas.part("a window with a white frame", -0.43, 0.02, -0.23, 0.24)


def _mountain(canvas: Canvas) -> None:
    canvas.ground("#5e8a5a", "#2f5238", 0.45)
    canvas.shape([(-1.0, 0.45), (-0.45, -0.4), (0.1, 0.45)], canvas.shade("#6d7f93", 0.2))
    canvas.shape([(-0.5, 0.45), (0.2, -0.7), (0.95, 0.45)], "#7d8da0")
    canvas.shape([(0.2, -0.7), (0.0, -0.36), (0.12, -0.42), (0.2, -0.3), (0.3, -0.42), (0.41, -0.36)], "#ffffff")
    canvas.shape([(-0.25, 0.75), (-0.05, 0.5), (0.15, 0.75)], canvas.colour)
    canvas.shape([(-0.1, 0.75), (-0.05, 0.6), (0.02, 0.75)], canvas.shade(canvas.colour, 0.5))
    canvas.part("snow on the top of the mountain", 0.0, -0.7, 0.41, -0.3)
    canvas.part("a {} tent in the grass", -0.25, 0.5, 0.15, 0.75)
    canvas.part("a tall grey mountain", -0.5, -0.7, 0.95, 0.45)


def _tree(canvas: Canvas) -> None:
    canvas.ground("#8fbf5a", "#4c7d33", 0.4)
    canvas.bar(-0.09, -0.05, 0.09, 0.6, "#6b4a2b")
    for x, y, radius in ((-0.3, -0.2, 0.3), (0.3, -0.2, 0.3), (0, -0.45, 0.36), (0, -0.12, 0.3)):
        canvas.disc(x, y, radius, canvas.shade("#3d7a3a", 0.1))
    for x, y in ((-0.35, -0.15), (-0.1, -0.5), (0.2, -0.35), (0.35, -0.1), (0.02, -0.1), (-0.25, -0.35)):
        canvas.disc(x, y, 0.07, canvas.colour)
    canvas.part("{} fruit hanging in the tree", -0.42, -0.57, 0.42, -0.03)
    canvas.part("the brown trunk of the tree", -0.12, 0.16, 0.12, 0.6)
    canvas.part("green grass under the tree", -0.9, 0.45, 0.9, 0.8)


def _cat(canvas: Canvas) -> None:
    canvas.room("#d9c9b0", "#a9764a")
    canvas.oval(-0.42, -0.1, 0.42, 0.7, "#4a4a52")
    canvas.stroke([(0.36, 0.5), (0.7, 0.35), (0.66, -0.05)], "#4a4a52", 0.1)
    canvas.disc(0, -0.3, 0.32, "#55555e")
    for sign in (-1, 1):
        canvas.shape([(sign * 0.3, -0.36), (sign * 0.28, -0.78), (sign * 0.06, -0.56)], "#55555e")
        canvas.oval(sign * 0.13 - 0.07, -0.4, sign * 0.13 + 0.07, -0.27, "#e8d44f")
        canvas.oval(sign * 0.13 - 0.02, -0.39, sign * 0.13 + 0.02, -0.28, "#101014")
        canvas.stroke([(sign * 0.08, -0.18), (sign * 0.45, -0.22)], "#e9e9ee", 0.012)
    canvas.shape([(-0.04, -0.23), (0.04, -0.23), (0, -0.17)], "#e58a9a")
    canvas.bar(-0.24, -0.04, 0.24, 0.05, canvas.colour, 0.04)
    canvas.part("the face of the cat", -0.32, -0.62, 0.32, 0.0)
    canvas.part("a {} collar around its neck", -0.26, -0.1, 0.26, 0.1)
    canvas.part("the grey tail of the cat", 0.34, -0.08, 0.74, 0.55)


def _dog(canvas: Canvas) -> None:
    canvas.ground("#9cc267", "#557f38", 0.4)
    for x in (-0.45, -0.28, 0.22, 0.38):
        canvas.bar(x, 0.2, x + 0.11, 0.65, "#9a6b3f")
    canvas.oval(-0.55, -0.15, 0.55, 0.36, "#b07d4b")
    canvas.stroke([(-0.5, 0.0), (-0.8, -0.3)], "#b07d4b", 0.08)
    canvas.disc(0.55, -0.28, 0.24, "#b07d4b")
    canvas.oval(0.62, -0.3, 0.92, -0.1, "#c69866")
    canvas.disc(0.88, -0.22, 0.05, "#1c1512")
    canvas.disc(0.6, -0.34, 0.04, "#1c1512")
    canvas.oval(0.34, -0.5, 0.52, -0.08, "#7d5430")
    canvas.disc(-0.55, 0.62, 0.13, canvas.colour)
    canvas.part("the head of the brown dog", 0.31, -0.52, 0.93, -0.04)
    canvas.part("a {} ball on the grass", -0.68, 0.49, -0.42, 0.75)
    canvas.part("four legs of the dog", -0.45, 0.2, 0.49, 0.65)


def _car(canvas: Canvas) -> None:
    canvas.ground("#6f7278", "#3f4246", 0.3)
    canvas.shape([(-0.4, -0.05), (-0.22, -0.38), (0.25, -0.38), (0.45, -0.05)], canvas.colour)
    canvas.shape([(-0.32, -0.06), (-0.19, -0.31), (0.0, -0.31), (0.0, -0.06)], "#bfe0ee")
    canvas.shape([(0.05, -0.06), (0.05, -0.31), (0.22, -0.31), (0.37, -0.06)], "#bfe0ee")
    canvas.bar(-0.8, -0.06, 0.8, 0.34, canvas.colour, 0.08)
    canvas.bar(0.68, 0.05, 0.8, 0.15, "#fff4c2", 0.02)
    for x in (-0.45, 0.45):
        canvas.disc(x, 0.34, 0.19, "#1c1c1f")
        canvas.disc(x, 0.34, 0.09, "#c8ccd0")
    canvas.part("the {} door of the car", -0.2, -0.06, 0.3, 0.3)
    canvas.part("the front wheel of the car", 0.26, 0.15, 0.64, 0.53)
    canvas.part("the windows of the car", -0.32, -0.32, 0.38, -0.05)


def _bus(canvas: Canvas) -> None:
    canvas.ground("#777a80", "#44474c", 0.4)
    canvas.bar(-0.85, -0.5, 0.85, 0.45, canvas.colour, 0.08)
    for number in range(5):
        canvas.bar(-0.75 + number * 0.28, -0.38, -0.53 + number * 0.28, -0.06, "#cfe8f2", 0.03)
    canvas.bar(0.63, -0.38, 0.78, 0.4, "#aacbd8", 0.02)
    canvas.bar(-0.85, 0.08, 0.6, 0.14, "#ffffff")
    for x in (-0.5, 0.4):
        canvas.disc(x, 0.47, 0.17, "#19191c")
        canvas.disc(x, 0.47, 0.07, "#d6d9dc")
    canvas.part("a row of windows on the bus", -0.75, -0.38, 0.59, -0.06)
    canvas.part("the {} side of the bus", -0.85, -0.05, 0.6, 0.45)
    canvas.part("the rear wheel of the bus", -0.67, 0.3, -0.33, 0.64)


def _balloon(canvas: Canvas) -> None:
    canvas.ground("#84aa62", "#476a35", 0.7)
    canvas.disc(0, -0.3, 0.52, canvas.colour)
    canvas.oval(-0.3, -0.82, 0.3, 0.22, canvas.shade(canvas.colour, 0.2))
    canvas.oval(-0.12, -0.82, 0.12, 0.22, canvas.shade(canvas.colour, 0.05))
    canvas.shape([(-0.3, 0.12), (0.3, 0.12), (0.12, 0.35), (-0.12, 0.35)], canvas.shade(canvas.colour, 0.3))
    for x in (-0.12, 0.12):
        canvas.stroke([(x, 0.34), (x * 0.8, 0.5)], "#4a3624", 0.015)
    canvas.bar(-0.12, 0.48, 0.12, 0.66, "#a5733f", 0.03)
    canvas.part("a {} balloon in the air", -0.52, -0.82, 0.52, 0.35)
    canvas.part("the basket under the balloon", -0.14, 0.46, 0.14, 0.68)
    canvas.part("hills far below", -0.95, 0.68, 0.95, 0.9)


def _lighthouse(canvas: Canvas) -> None:
    canvas.ground("#2f6f94", "#123a52", 0.4)
    canvas.shape([(-0.8, 0.75), (-0.35, 0.35), (0.4, 0.38), (0.8, 0.75)], "#6e6257")
    canvas.shape([(-0.18, -0.4), (0.18, -0.4), (0.28, 0.42), (-0.28, 0.42)], "#f6f2ea")
    for y in (-0.25, 0.05, 0.32):
        canvas.bar(-0.2 - y * 0.08, y, 0.2 + y * 0.08, y + 0.12, canvas.colour)
    canvas.bar(-0.14, -0.58, 0.14, -0.4, "#ffe27a")
    canvas.shape([(-0.2, -0.58), (0, -0.8), (0.2, -0.58)], canvas.colour)
    canvas.part("the light at the top of the lighthouse", -0.2, -0.8, 0.2, -0.38)
    canvas.part("{} stripes on the white tower", -0.26, -0.26, 0.26, 0.44)
    canvas.part("rocks by the sea", -0.8, 0.4, 0.8, 0.75)


def _flowers(canvas: Canvas) -> None:
    canvas.room("#efe3d2", "#8b6341")
    for x, y in ((-0.4, -0.4), (0, -0.62), (0.4, -0.4), (-0.18, -0.22), (0.2, -0.2)):
        canvas.stroke([(x, y), (0, 0.3)], "#3f7d3a", 0.03)
        for dx, dy in ((-0.12, 0), (0.12, 0), (0, -0.12), (0, 0.12)):
            canvas.disc(x + dx, y + dy, 0.1, canvas.colour)
        canvas.disc(x, y, 0.08, "#6b4a1f")
    canvas.shape([(-0.22, 0.12), (0.22, 0.12), (0.3, 0.7), (-0.3, 0.7)], "#6fa0b8")
    canvas.part("the {} petals of a flower", -0.22, -0.84, 0.22, -0.4)
    canvas.part("a blue glass vase", -0.3, 0.12, 0.3, 0.7)
    canvas.part("green stems of the flowers", -0.3, -0.1, 0.3, 0.2)


def _cake(canvas: Canvas) -> None:
    canvas.room("#f2dcd6", "#c9a27a")
    canvas.oval(-0.75, 0.42, 0.75, 0.74, "#e8ecef")
    canvas.bar(-0.55, 0.0, 0.55, 0.55, "#8a5a36", 0.05)
    canvas.bar(-0.55, 0.0, 0.55, 0.2, canvas.colour, 0.08)
    for x in (-0.4, -0.13, 0.14, 0.4):
        canvas.oval(x - 0.09, 0.1, x + 0.09, 0.32, canvas.colour)
    for x in (-0.3, 0.0, 0.3):
        canvas.bar(x - 0.025, -0.34, x + 0.025, 0.0, "#ffffff")
        canvas.oval(x - 0.04, -0.5, x + 0.04, -0.33, "#ffb52e")
    canvas.part("burning candles on the cake", -0.36, -0.52, 0.36, 0.02)
    canvas.part("{} icing on the cake", -0.55, 0.0, 0.55, 0.32)
    canvas.part("a white plate under the cake", -0.75, 0.42, 0.75, 0.74)


def _bicycle(canvas: Canvas) -> None:
    canvas.ground("#a8a295", "#6d685e", 0.4)
    for x in (-0.5, 0.5):
        canvas.ring(x, 0.25, 0.36, "#202024", 0.045)
        canvas.stroke([(x - 0.34, 0.25), (x + 0.34, 0.25)], "#9aa0a6", 0.01)
        canvas.stroke([(x, -0.09), (x, 0.59)], "#9aa0a6", 0.01)
    for path in ([(-0.5, 0.25), (-0.2, -0.3), (0.35, -0.3), (0.0, 0.25), (-0.5, 0.25)], [(-0.2, -0.3), (0.0, 0.25)]):
        canvas.stroke(path, canvas.colour, 0.055)
    canvas.stroke([(0.5, 0.25), (0.33, -0.5), (0.5, -0.58)], canvas.colour, 0.05)
    canvas.bar(-0.34, -0.42, -0.08, -0.34, "#2a1e16", 0.03)
    canvas.part("the front wheel of the bicycle", 0.14, -0.11, 0.86, 0.61)
    canvas.part("the {} frame of the bicycle", -0.5, -0.32, 0.4, 0.28)
    canvas.part("a black saddle", -0.36, -0.46, -0.06, -0.3)


def _fish(canvas: Canvas) -> None:
    canvas.image.paste(_gradient(*canvas.image.size, "#2a86b5", "#0c2f55"), (0, 0))
    for x in (-0.8, -0.6, 0.7, 0.86):
        canvas.stroke([(x, 0.95), (x + 0.08, 0.6), (x - 0.04, 0.3)], "#2f7d4f", 0.05)
    canvas.shape([(-0.45, 0.0), (-0.85, -0.35), (-0.75, 0.0), (-0.85, 0.35)], canvas.shade(canvas.colour, 0.2))
    canvas.oval(-0.6, -0.36, 0.6, 0.36, canvas.colour)
    canvas.shape([(-0.15, -0.32), (0.1, -0.62), (0.28, -0.26)], canvas.shade(canvas.colour, 0.25))
    for x in (-0.2, 0.05):
        canvas.oval(x, -0.3, x + 0.1, 0.3, "#ffffff")
    canvas.disc(0.38, -0.08, 0.08, "#ffffff")
    canvas.disc(0.4, -0.08, 0.04, "#101014")
    for x, y in ((0.68, -0.3), (0.78, -0.5), (0.7, -0.7)):
        canvas.ring(x, y, 0.05, "#d8f0fa", 0.012)
    canvas.part("the tail of the fish", -0.86, -0.36, -0.45, 0.36)
    canvas.part("white stripes on the {} fish", -0.22, -0.32, 0.18, 0.32)
    canvas.part("bubbles in the water", 0.6, -0.78, 0.86, -0.22)


def _bird(canvas: Canvas) -> None:
    canvas.ground("#7fae6a", "#3f6b3f", 0.75)
    canvas.stroke([(-1.0, 0.45), (-0.2, 0.38), (1.0, 0.5)], "#5b4028", 0.08)
    canvas.shape([(-0.35, 0.1), (-0.85, 0.3), (-0.4, 0.3)], canvas.shade(canvas.colour, 0.35))
    canvas.oval(-0.5, -0.2, 0.35, 0.38, canvas.colour)
    canvas.disc(0.3, -0.22, 0.24, canvas.colour)
    canvas.shape([(0.5, -0.27), (0.74, -0.2), (0.5, -0.13)], "#e8a33a")
    canvas.disc(0.36, -0.27, 0.045, "#101014")
    canvas.oval(-0.4, -0.06, 0.1, 0.22, canvas.shade(canvas.colour, 0.25))
    for x in (-0.1, 0.05):
        canvas.stroke([(x, 0.34), (x, 0.44)], "#c78a2e", 0.025)
    canvas.part("the head of the {} bird", 0.06, -0.46, 0.75, 0.02)
    canvas.part("a brown branch", -0.95, 0.34, 0.95, 0.56)
    canvas.part("the folded wing of the bird", -0.42, -0.08, 0.12, 0.24)


def _skyline(canvas: Canvas) -> None:
    canvas.ground("#2e5d7a", "#153145", 0.5)
    heights = (0.3, 0.7, 0.5, 0.95, 0.62, 0.4, 0.8, 0.55)
    for number, height in enumerate(heights):
        left = -0.96 + number * 0.24
        canvas.bar(
            left,
            0.5 - height,
            left + 0.21,
            0.5,
            canvas.colour if number == 3 else canvas.shade("#59657a", 0.15 + (number % 3) * 0.15),
        )
        for row in range(int(height / 0.14)):
            for column in (0.04, 0.12):
                lit = "#ffe9a0" if (row + number) % 3 else "#2b3342"
                canvas.bar(
                    left + column,
                    0.5 - height + 0.05 + row * 0.14,
                    left + column + 0.05,
                    0.5 - height + 0.12 + row * 0.14,
                    lit,
                )
    canvas.part("the tall {} tower", -0.24, -0.45, -0.03, 0.5)
    canvas.part("lit windows of a building", -0.72, -0.2, -0.51, 0.5)
    canvas.part("the river in front of the city", -0.96, 0.5, 0.96, 0.85)


def _bridge(canvas: Canvas) -> None:
    canvas.ground("#3b7699", "#17425a", 0.35)
    canvas.bar(-1.0, 0.2, 1.0, 0.3, canvas.shade(canvas.colour, 0.15))
    for x in (-0.5, 0.5):
        canvas.bar(x - 0.06, -0.6, x + 0.06, 0.62, canvas.colour)
    for start, end in ((-1.0, -0.5), (-0.5, 0.5), (0.5, 1.0)):
        span = end - start
        ends = {-1.0: (0.15, -0.55), -0.5: (-0.55, -0.55), 0.5: (-0.55, 0.15)}[start]
        points = [
            (
                start + span * t / 12,
                ends[0] + (ends[1] - ends[0]) * t / 12 + 2.4 * (t / 12) * (1 - t / 12) * (0.55 if span == 1 else 0.1),
            )
            for t in range(13)
        ]
        canvas.stroke(points, canvas.colour, 0.025)
        for x, y in points[1:-1]:
            canvas.stroke([(x, y), (x, 0.22)], canvas.shade(canvas.colour, 0.2), 0.01)
    canvas.part("a {} tower of the bridge", 0.42, -0.6, 0.58, 0.62)
    canvas.part("cables that hold the bridge", -0.45, -0.55, 0.45, 0.2)
    canvas.part("water under the bridge", -0.95, 0.4, 0.95, 0.85)


def _person(canvas: Canvas, skirt: bool) -> None:
    canvas.ground("#8d9098", "#5b5e66", 0.45)
    for number in range(14):
        x, y = -0.95 + number * 0.14, -0.9 + (number * 37 % 50) / 40
        canvas.stroke([(x, y), (x - 0.04, y + 0.12)], "#dfeaf5", 0.01)
    canvas.shape([(-0.75, -0.25), (-0.4, -0.7), (0.0, -0.82), (0.4, -0.7), (0.75, -0.25)], canvas.colour)
    canvas.stroke([(0.0, -0.8), (0.0, 0.2)], "#3a2c20", 0.025)
    canvas.disc(-0.2, -0.12, 0.14, "#e5b48e")
    canvas.shape([(-0.35, -0.14), (-0.2, -0.32), (-0.05, -0.14)], "#3f2a1d")
    if skirt:
        canvas.bar(-0.32, 0.02, -0.26, 0.0 + 0.02, "#3f2a1d")
        canvas.shape([(-0.3, 0.04), (-0.1, 0.04), (0.04, 0.52), (-0.44, 0.52)], "#35506e")
        canvas.disc(-0.32, -0.06, 0.06, "#3f2a1d")
    else:
        canvas.bar(-0.34, 0.03, -0.06, 0.5, "#35506e", 0.05)
    canvas.stroke([(-0.1, 0.14), (0.0, 0.12)], "#e5b48e", 0.06)
    for x in (-0.27, -0.15):
        canvas.bar(x, 0.5, x + 0.08, 0.84, "#26262c")
    canvas.part("a {} umbrella", -0.75, -0.82, 0.75, -0.25)
    canvas.part("the face of the woman" if skirt else "the face of the man", -0.36, -0.32, -0.04, 0.02)
    canvas.part("a blue dress" if skirt else "a blue jacket", -0.42, 0.02, 0.02, 0.52)


def _woman(canvas: Canvas) -> None:
    _person(canvas, True)


def _man(canvas: Canvas) -> None:
    _person(canvas, False)


def _coffee(canvas: Canvas) -> None:
    canvas.room("#cfd8cf", "#7a5233")
    canvas.oval(-0.75, 0.4, 0.75, 0.72, canvas.shade(canvas.colour, 0.1))
    canvas.ring(0.52, 0.1, 0.2, canvas.colour, 0.08)
    canvas.shape([(-0.5, -0.18), (0.5, -0.18), (0.38, 0.55), (-0.38, 0.55)], canvas.colour)
    canvas.oval(-0.5, -0.3, 0.5, -0.06, canvas.shade(canvas.colour, 0.15))
    canvas.oval(-0.43, -0.27, 0.43, -0.09, "#4a2c17")
    for x in (-0.2, 0.02, 0.24):
        canvas.stroke([(x, -0.36), (x + 0.06, -0.5), (x - 0.04, -0.64), (x + 0.04, -0.8)], "#ffffff", 0.025)
    canvas.part("hot coffee in the cup", -0.5, -0.3, 0.5, -0.06)
    canvas.part("the {} saucer", -0.75, 0.4, 0.75, 0.72)
    canvas.part("steam rising from the cup", -0.28, -0.82, 0.34, -0.34)


def _clock(canvas: Canvas) -> None:
    canvas.image.paste(_gradient(*canvas.image.size, "#c2b59b", "#8c7f68"), (0, 0))
    canvas.disc(0, -0.05, 0.78, canvas.colour)
    canvas.disc(0, -0.05, 0.66, "#fbf8ef")
    for number, (x, y) in enumerate(((0, -1), (0.5, -0.87), (0.87, -0.5), (1, 0), (0.87, 0.5), (0.5, 0.87))):
        for sign in (-1, 1):
            width = 0.035 if number % 3 == 0 else 0.018
            canvas.stroke(
                [(sign * x * 0.54, sign * y * 0.54 - 0.05), (sign * x * 0.62, sign * y * 0.62 - 0.05)], "#26262c", width
            )
    canvas.stroke([(0, -0.05), (0.25, -0.32)], "#26262c", 0.05)
    canvas.stroke([(0, -0.05), (-0.15, 0.42)], "#26262c", 0.035)
    canvas.disc(0, -0.05, 0.05, canvas.colour)
    canvas.part("the white face of the clock", -0.66, -0.71, 0.66, 0.61)
    canvas.part("the black hands of the clock", -0.2, -0.36, 0.3, 0.46)
    canvas.part("the {} rim of the clock", -0.78, -0.83, 0.78, 0.73)


def _snowman(canvas: Canvas) -> None:
    canvas.ground("#f4f8fc", "#cddbe8", 0.4)
    canvas.disc(0, 0.42, 0.38, "#fdfdff")
    canvas.disc(0, -0.08, 0.27, "#f7f9fd")
    canvas.disc(0, -0.45, 0.2, "#fdfdff")
    canvas.bar(-0.16, -0.88, 0.16, -0.6, "#222228")
    canvas.bar(-0.26, -0.64, 0.26, -0.58, "#222228")
    canvas.bar(-0.2, -0.3, 0.2, -0.21, canvas.colour, 0.04)
    canvas.bar(0.06, -0.25, 0.15, 0.02, canvas.colour, 0.03)
    canvas.shape([(0.0, -0.47), (0.26, -0.42), (0.0, -0.4)], "#e8822a")
    for x, y in ((-0.07, -0.52), (0.07, -0.52), (0, -0.08), (0, 0.3), (0, 0.48)):
        canvas.disc(x, y, 0.03, "#222228")
    canvas.stroke([(-0.24, -0.1), (-0.62, -0.32)], "#5b4028", 0.03)
    canvas.stroke([(0.24, -0.1), (0.62, -0.32)], "#5b4028", 0.03)
    canvas.part("a black hat on the snowman", -0.26, -0.88, 0.26, -0.58)
    canvas.part("a {} scarf", -0.22, -0.32, 0.22, 0.04)
    canvas.part("snow on the ground", -0.95, 0.6, 0.95, 0.85)


def _cactus(canvas: Canvas) -> None:
    canvas.ground("#e3c07e", "#b98a4a", 0.45)
    canvas.bar(-0.14, -0.55, 0.14, 0.6, "#3f8048", 0.13)
    canvas.bar(-0.5, -0.1, -0.14, 0.06, "#3f8048", 0.07)
    canvas.bar(-0.5, -0.36, -0.34, 0.06, "#3f8048", 0.08)
    canvas.bar(0.14, 0.1, 0.48, 0.26, "#3f8048", 0.07)
    canvas.bar(0.32, -0.2, 0.48, 0.26, "#3f8048", 0.08)
    for x, y in ((0, -0.6), (-0.42, -0.4), (0.4, -0.25)):
        canvas.disc(x, y, 0.08, canvas.colour)
    canvas.part("a {} flower on the cactus", -0.1, -0.7, 0.1, -0.5)
    canvas.part("the arm of a cactus", -0.52, -0.4, -0.14, 0.08)
    canvas.part("yellow sand of the desert", -0.95, 0.48, 0.95, 0.85)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What can be drawn, and how people speak of it.

    Attributes:
        noun: "sailing boat"; a colour goes before it.
        place: Where it is seen: "on the sea".
        detail: A further true sentence about it, without a full stop.
        person: "woman" or "man" where one is seen.
        draw: Draws it.
    """

    noun: str
    place: str
    detail: str
    draw: Callable[[Canvas], None]
    person: str | None = None


SCENES: Final[dict[str, Scene]] = {
    "boat": Scene("sailing boat", "on the sea", "The boat has two white sails", _boat),
    "house": Scene("house", "in a green field", "Smoke could come from the chimney of the house", _house),
    "mountain": Scene("tent", "below a snowy mountain", "The mountain behind the tent is covered with snow", _mountain),
    "tree": Scene("fruit", "on a big tree", "The tree stands alone in the meadow", _tree),
    "cat": Scene("collar on a grey cat", "in the living room", "The cat is looking at the camera", _cat),
    "dog": Scene("ball in front of a dog", "on the grass", "The brown dog wants to play with the ball", _dog),
    "car": Scene("car", "on the road", "The car has two doors and shiny wheels", _car),
    "bus": Scene("bus", "in the street", "There are five windows on the side of the bus", _bus),
    "balloon": Scene("hot air balloon", "over the hills", "A basket hangs under the balloon", _balloon),
    "lighthouse": Scene("lighthouse", "on the rocks by the sea", "The light at the top is yellow", _lighthouse),
    "flowers": Scene("bunch of flowers", "in a vase on the table", "The vase is made of blue glass", _flowers),
    "cake": Scene("birthday cake", "with three candles", "The cake stands on a white plate", _cake),
    "bicycle": Scene("bicycle", "at the side of the road", "The bicycle has a black saddle", _bicycle),
    "fish": Scene("fish", "under the water", "There are some bubbles and plants in the water", _fish),
    "bird": Scene("bird", "on a branch", "The bird is sitting quietly on the branch", _bird),
    "skyline": Scene("tower", "in the skyline of a city", "Many windows of the buildings are lit", _skyline),
    "bridge": Scene("bridge", "over a wide river", "The bridge hangs on long cables", _bridge),
    "woman": Scene("umbrella of a woman", "in the rain", "The woman is wearing a blue dress", _woman, "woman"),
    "man": Scene("umbrella of a man", "in the rain", "The man is wearing a blue jacket", _man, "man"),
    "coffee": Scene("cup of coffee", "on the kitchen table", "Steam is rising from the hot coffee", _coffee),
    "clock": Scene("clock", "on the wall", "The clock has black hands", _clock),
    "snowman": Scene("scarf on a snowman", "in the snow", "The snowman is wearing a black hat", _snowman),
    "cactus": Scene("flower on a cactus", "in the desert", "The sand of the desert is yellow", _cactus),
}

# ---------------------------------------------------------------------------------------------------------- files


@functools.cache
def _drawn(picture: Picture) -> tuple[Image.Image, tuple[Part, ...]]:
    canvas = Canvas(picture)
    SCENES[picture.scene].draw(canvas)
    article = "an" if picture.colour[0] in "aeiou" else "a"
    return canvas.finish(f"{article} {picture.subject} {picture.time}"), tuple(canvas.parts)


def parts(picture: Picture) -> tuple[Part, ...]:
    """Return what is seen in a picture, and where."""
    return _drawn(picture)[1]


@functools.cache
def encoded(picture: Picture) -> bytes:
    """Return a picture's file."""
    upright, _ = _drawn(picture)
    target = io.BytesIO()
    if picture.form == "cmyk":
        upright.convert("CMYK").save(target, "JPEG", quality=picture.quality)
    elif picture.form == "exif6":
        # Orientation 6: to be turned a quarter clockwise for viewing, so it is stored turned the other way.
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = 6
        upright.transpose(Image.Transpose.ROTATE_90).save(target, "JPEG", quality=picture.quality, exif=exif)
    elif picture.form == "png":
        # 64 colours: a real PNG of the web, and a tenth of the bytes.
        upright.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(target, "PNG")
    elif picture.form == "gif":
        frames = [_shifted(upright, step) for step in range(_GIF_FRAMES)]
        frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)
    elif picture.form == "webp":
        upright.save(target, "WEBP", quality=picture.quality, method=0)
    elif picture.form == "avif":
        # One thread: the number of threads decides how libavif cuts the picture into tiles.
        upright.save(target, "AVIF", quality=70, speed=10, max_threads=1)
    else:
        upright.save(target, "JPEG", quality=picture.quality)
    return target.getvalue()


def _shifted(image: Image.Image, step: int) -> Image.Image:
    """Return a frame of an animation: the picture with a bar that grows."""
    frame = image.copy()
    ImageDraw.Draw(frame).rectangle((0, 0, frame.width * (step + 1) // _GIF_FRAMES, 8), fill="#f2c12e")
    return frame.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


@functools.cache
def notice(text: str, width_px: int = 320, height_px: int = 240) -> bytes:
    """Return a PNG that says something instead of showing it: what hosts serve in place of a picture they removed."""
    image = Image.new("RGB", (width_px, height_px), "#e4e4e4")
    pen = ImageDraw.Draw(image)
    pen.rectangle((4, 4, width_px - 5, height_px - 5), outline="#9a9a9a", width=2)
    pen.text((width_px / 2, height_px / 2), text, font=_font(18), fill="#6a6a6a", anchor="mm", align="center")
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def bomb_png() -> bytes:
    """Return a PNG of a few bytes whose header claims 65,535 × 65,535 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")


def tracking_pixel() -> bytes:
    """Return a GIF of one pixel."""
    target = io.BytesIO()
    Image.new("P", (1, 1)).save(target, "GIF")
    return target.getvalue()
