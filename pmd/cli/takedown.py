"""The commands of `pmd takedown`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from pmd import escape
from pmd.cli.stages import say_above_progress
from pmd.cli.words import ConfigPath, Json, WithBeam, load
from pmd.terminal import output
from pmd.terminal.telling import telling

if TYPE_CHECKING:
    from pmd.takedown.requests import Word

app = typer.Typer(
    help="Takedown: what somebody asks for is purged, proved to be gone, and kept out of what is built later.",
    no_args_is_help=True,
)

What = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT",
        help="As pmd explain takes it: a URL or page, an identity, SOURCE/ID, an id, a digest, a picture file; or "
        "user:SOURCE/ID, a person's page on Flickr or Reddit, host:example.com. A - stands for lines of standard input.",
    ),
]


def _words(what: Iterable[str], sources: Collection[str]) -> list[Word]:
    """Return what is named on the command line and, where that says so, on standard input."""
    from pmd.takedown import requests

    found: list[Word] = []
    for said in what:
        if said == "-":
            found += requests.read_lines(sys.stdin.buffer.read(), "standard input", sources)
        else:
            found.append(requests.read_word(said, sources))
    return found


@app.command("add")
def add(
    config: ConfigPath,
    what: What,
    *,
    keep_looks: Annotated[
        bool,
        typer.Option(
            "--keep-looks",
            help="The person agrees that a perceptual hash is kept, so that copies are kept out that other addresses have.",
        ),
    ] = False,
) -> None:
    """Note what somebody asks for; it is carried out by pmd takedown apply."""
    from pmd.store import root
    from pmd.takedown import receipts, requests

    loaded = load(config)
    root.require(loaded.root)
    words = _words(what, loaded.sources)
    done = [number for receipt in receipts.read(loaded.root) for number in receipt.requests]
    request = requests.add(loaded.root, words, done, keeps_looks=keep_looks)
    for word in words:
        output.say(f"{escape.terminal(word.said)}: {escape.terminal(word.says)}")
    output.say(f"request {request.number}; to carry it out: pmd takedown apply CONFIG")


@app.command("cancel")
def cancel(
    config: ConfigPath, number: Annotated[int, typer.Argument(metavar="NUMBER", help="Of a request that waits.")]
) -> None:
    """Take back a request that was not carried out: it named the wrong thing, or too much."""
    from pmd.config import places
    from pmd.store import root
    from pmd.takedown import receipts, requests

    loaded = load(config)
    root.require(loaded.root)
    with root.writer(loaded.root, "pmd takedown cancel", places.absolute(config)):
        begun = receipts.begun(loaded.root)
        requests.cancel(loaded.root, number, begun.requests if begun is not None else ())
    output.say(f"request {number}: taken back; nothing was removed for it")


@app.command("find", cls=WithBeam)
def find(
    context: typer.Context,
    config: ConfigPath,
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A picture file.")],
    *,
    hash_stored: Annotated[
        bool,
        typer.Option(
            "--hash", help="First hash what is stored without a perceptual hash: else it is known by its bytes alone."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the images that have a picture's bytes or look like it, mirrored and turned too, for a person to decide."""
    from pmd import codec
    from pmd.config import places
    from pmd.errors import InputError
    from pmd.store import failures, root, storage
    from pmd.takedown import search

    loaded = load(config)
    with failures.of_inputs():
        if not storage.exists(photo):
            raise InputError("no such file", where=photo, expected="a picture")
        content = b"" if storage.is_folder(photo) else storage.read_bytes(photo)
    if codec.sniff(content) is None:
        raise InputError("no picture", where=photo, expected="a file of a picture format that is read")
    root.require(loaded.root)
    if hash_stored:
        from pipelines import takedown as pipeline

        with root.writer(loaded.root, "pmd takedown find", places.absolute(config)):
            pipeline.hash_stored(loaded, context.args, say_above_progress)
    found = search.find(loaded.root, content)
    if as_json:
        output.json(found.describe())
        return
    output.table(
        None,
        ("image_id", "identity", "bytes", "bits of 256 that differ", "had from"),
        [
            [
                near.image_id.hex(),
                near.identity or "",
                "the same" if near.is_same else "others",
                f"{near.bits}, mirrored or turned" if near.is_turned else near.bits,
                near.location,
            ]
            for near in found.near
        ],
    )
    output.say(found.says(), err=True)


@app.command("apply", cls=WithBeam)
def apply(
    context: typer.Context,
    config: ConfigPath,
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Count what would be removed, and change nothing: what is purged does not come back."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Purge what was asked for from all that stands under ROOT, and keep it out. Beam's own flags follow --."""
    from pipelines import takedown as pipeline
    from pmd.config import places
    from pmd.store import root

    loaded = load(config)
    root.require(loaded.root)
    with root.writer(loaded.root, "pmd takedown apply", places.absolute(config)):
        done = (
            pipeline.foretell(loaded, say_above_progress)
            if dry_run
            else pipeline.apply(loaded, context.args, say_above_progress)
        )
    render = pipeline.render_foretold if dry_run else pipeline.render
    output.answer(done.describe(), lambda: render(done), as_json=as_json)


@app.command("prove")
def prove(
    config: ConfigPath,
    what: Annotated[
        list[str] | None, typer.Argument(metavar="WHAT", help="What was taken down, as pmd takedown add takes it.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Look through every file of ROOT, unpacked, for what was taken down; exit code 5 where something is left."""
    from pmd.store import root
    from pmd.suppression import lists
    from pmd.takedown import prove as proving
    from pmd.takedown import requests

    loaded = load(config)
    root.require(loaded.root)
    words = _words(what or (), loaded.sources)
    requests.refuse_unclear(words)
    with telling("files") as tell:
        proof = proving.prove(loaded.root, lists.standing(loaded.root, loaded.suppression), words, tell)
    output.answer(proof.describe(), lambda: proving.render(proof), as_json=as_json)
    if proof.left:
        raise typer.Exit(5)


@app.command("receipt")
def receipt(
    config: ConfigPath,
    number: Annotated[
        int | None, typer.Argument(metavar="NUMBER", help="Of one request alone: what is handed to whoever asked.")
    ] = None,
) -> None:
    """Print what was done for those who asked: by number of the request and counts, without what they named."""
    from pmd.store import root
    from pmd.takedown import receipts, requests

    loaded = load(config)
    root.require(loaded.root)
    waiting = requests.waiting(loaded.root)
    told = receipts.read(loaded.root)
    contact = loaded.card.contact or loaded.contact  # whom people have written to
    if number is None:
        output.say(receipts.render(told, waiting, contact))
    else:
        output.say(receipts.render_one(told, waiting, contact, number))
