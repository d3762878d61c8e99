"""Writes the demo's folder: its data, its certificate authority, and the configuration that `pmd build` takes.

The last step of the demo's making; what stands here is what a user would write by hand, comments included.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pmd import escape
from pmd.demo import files
from pmd.demo.annotations import write_annotations
from pmd.demo.rows import build_world
from pmd.demo.web import DemoWeb
from pmd.sources.contract import Profile

#: An image with a side under this is a tracking pixel or a bullet.
MIN_SIDE_PX = 16
#: Less than the demo's endless body, and far more than any of its pictures.
MAX_BYTES = 8 * 1024 * 1024
SAMPLES_PER_SHARD = 64

#: Marks a folder as a demo's, and holds what the demo writes into it: only that is removed when it is made anew.
MARK = ".pmd-demo"
#: Whose lock a demo holds as long as it runs.
LOCK = ".pmd-demo.lock"
TOPS = ("ca.pem", "data", "pmd", "pmd.toml")

#: What the demo holds: sources that `pmd.demo.rows` has rows of. Another source need not be in it.
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    # source: (annotation files, archives of images, whether Karpathy's split is asked)
    "coco": ((files.COCO_FILE,), (files.COCO_ARCHIVE,), True),
    "visual_genome": ((files.VG_IMAGES_FILE, files.VG_REGIONS_FILE), (), True),
    "localized_narratives__openimages": ((files.LN_OPENIMAGES_FILE,), (), False),
    "localized_narratives__coco": ((files.LN_COCO_FILE, files.LN_COCO_FULL_FILE), (files.COCO_ARCHIVE,), True),
    "localized_narratives__flickr30k": ((files.LN_FLICKR30K_FILE,), (files.FLICKR30K_ARCHIVE,), False),
    "localized_narratives__ADE20k": ((files.LN_ADE20K_FILE,), (files.ADE20K_ARCHIVE,), False),
    "red_caps": ((files.RED_CAPS_FILE,), (), False),
    "yfcc100m": ((files.YFCC_FILE,), (), False),
    "sbu_captions": ((files.SBU_FILE,), (), False),
    "conceptual_captions": ((files.CC3M_FILE,), (), False),
    "conceptual_12m": ((files.CC12M_FILE,), (), False),
    "wit": ((files.WIT_FILE,), (), False),
}


def open_web() -> DemoWeb:
    """Return the demo's web, to be opened with `with`."""
    world = build_world()
    return DemoWeb(world.routes, untrusted_hosts=world.untrusted_hosts)


def write_demo(folder: Path, web: DemoWeb, *, profile: Profile = "recommended") -> Path:
    """Write the demo's data and its configuration.

    Args:
        folder: Where; made if need be. The configuration's paths are relative to it.
        web: The open web that the configuration leads to.
        profile: The profile that it asks for.

    Returns:
        The configuration file, `folder/pmd.toml`. Its ROOT is `folder/pmd`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_annotations(build_world(), folder)
    (folder / "ca.pem").write_bytes(web.ca_pem)
    path = folder / "pmd.toml"
    path.write_text(config_text(web.address, web.tls_address, profile=profile), encoding="utf-8")
    return path


def config_text(address: str, tls_address: str, *, profile: Profile = "recommended") -> str:
    """Return the configuration's text; the addresses are "127.0.0.1:PORT"."""
    return "\n".join(
        [
            "# The configuration of `pmd demo`: PMD's sources over a small web of its own, on this machine.",
            "# A real one differs in its paths and its contact, and needs no resolve, allow_addresses or ca_file.",
            f"root = {_string('pmd')}",
            f'profile = "{profile}"',
            "seed = 0",
            'contact = "mailto:demo@example.org"',
            "",
            *(line for name in SOURCES for line in _source(name)),
            "[fetch]",
            'store = "resized"',
            "short_side_px = 256",
            "per_host = { requests_per_s = 200.0, connections = 8 }",
            "timeout_s = 10.0",
            "retries = 1",
            f"max_bytes = {MAX_BYTES}",
            f"min_side_px = {MIN_SIDE_PX}",
            f'resolve = {{ "*:80" = "{address}", "*:443" = "{tls_address}" }}  # every host is the demo\'s own server',
            'allow_addresses = ["127.0.0.1/32"]  # private addresses are refused unless named',
            f"ca_file = {_string('ca.pem')}",
            "",
            "[dedupe]",
            'near = "keep"  # scenes are drawn again in other colours, which a perceptual hash does not see',
            "",
            "[shard]",
            'formats = ["webdataset", "parquet"]',
            'unit = "image"',
            f"samples_per_shard = {SAMPLES_PER_SHARD}",
            "",
        ]
    )


def _source(name: str) -> list[str]:
    annotations, images, karpathy = SOURCES[name]
    lines = [f"[sources.{name}]", f"annotations = {_list(annotations)}"]
    if images:
        lines.append(f"images = {_list(images)}")
    if karpathy:
        lines.append(f"karpathy = {_string(files.KARPATHY_FILE)}")
    return [*lines, ""]


def _string(path: str) -> str:
    """Return a path as a TOML string."""
    return escape.toml(path)


def _list(paths: Iterable[str]) -> str:
    return "[" + ", ".join(map(_string, paths)) + "]"
