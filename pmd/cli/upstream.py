"""The commands on what there is upstream: `pmd sources`, `pmd init`, `pmd manifests`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pmd.cli.words import Json, Sources, chosen, on_this_machine
from pmd.schema.exits import GATED
from pmd.terminal import output

app = typer.Typer()
manifests_app = typer.Typer(help="Upstream annotation files: fetch them, verify them.", no_args_is_help=True)


@app.command()
def sources(
    *,
    rules: Annotated[bool, typer.Option("--rules", help="Every rule of every profile, and the closed lists.")] = False,
    as_json: Json = False,
) -> None:
    """List the sources: licence, published counts, needs; or every rule, with its origin."""
    from pmd.inspection import catalogue

    if rules:
        listing = catalogue.rules()
        if as_json:
            output.json(listing)
            return
        _show_rules(listing)
        return
    listed = catalogue.sources()
    if as_json:
        output.json(listed)
        return
    output.table(
        None,
        ("source", "pairs upstream", "FLAVA Table 2", "text licence", "image licence", "annotations", "needs"),
        [
            [
                s["name"],
                "unknown" if s["upstream_rows"] is None else s["upstream_rows"],
                s["table2"],
                s["text_licence"],
                s["image_licence"],
                s["download"],
                s["needs"],
            ]
            for s in listed
        ],
    )
    output.say('Pairs of your own: [sources.NAME] with reader = "url_text"; pmd sources --rules has its options.')


def _show_rules(listing: Mapping[str, Any]) -> None:
    from pmd.inspection import catalogue

    output.table(
        "Rules: options, and their value in each profile",
        ("where", "option", "paper", "hub", "recommended", "what it does", "origin"),
        [
            [
                r["where"],
                r["option"],
                *(catalogue.spell(r[profile]) for profile in ("paper", "hub", "recommended")),
                r["says"],
                r["origin"],
            ]
            for r in listing["rules"]
        ],
    )
    output.table(
        "\nReasons",
        ("stage", "reason", "meaning"),
        [[r["stage"], r["reason"], r["says"]] for r in listing["reasons"]],
    )
    output.table("\nStatuses of the ledger", ("status",), [[status] for status in listing["statuses"]])
    output.table("\nExit codes", ("code", "meaning"), [[str(c["code"]), c["says"]] for c in listing["exit_codes"]])


@app.command()
def init(sources: Sources = None) -> None:
    """Print a commented configuration: what to download, how large, what is gated. To keep it: pmd init > pmd.toml."""
    from pmd import manifests

    known = list(manifests.load_all())
    output.say(manifests.starter_config(chosen(sources, known) or known))


Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Sources; default: all.")]
Images = Annotated[bool, typer.Option("--images", help="Image archives too.")]
Optional = Annotated[bool, typer.Option("--optional", help="Variants too.")]
Files = Annotated[list[str] | None, typer.Option(help="Only the file of this name; may be repeated.")]


@manifests_app.command("fetch")
def manifests_fetch(
    names: Names = None,
    *,
    folder: Annotated[
        Path, typer.Option(help="Where files go: FOLDER/data/SOURCE/NAME.", callback=on_this_machine)
    ] = Path(),
    images: Images = False,
    optional: Optional = False,
    file: Files = None,
    as_json: Json = False,
) -> None:
    """Download upstream annotation files: resumable, checksummed, mirrors in order."""
    from pmd.inspection import catalogue

    chosen_files = {"images": images, "optional": optional, "files": file or []}
    _tell_files(catalogue.fetch_files, names or [], folder, chosen_files, as_json=as_json)


@manifests_app.command("verify")
def manifests_verify(
    names: Names = None,
    *,
    folder: Annotated[
        Path, typer.Option(help="Where files are: FOLDER/data/SOURCE/NAME.", callback=on_this_machine)
    ] = Path(),
    images: Images = False,
    optional: Optional = False,
    file: Files = None,
    as_json: Json = False,
) -> None:
    """Check files against the manifests: there, of the right size, of the right checksum."""
    from pmd.inspection import catalogue

    chosen_files = {"images": images, "optional": optional, "files": file or []}
    _tell_files(catalogue.verify_files, names or [], folder, chosen_files, as_json=as_json)


def _tell_files(
    see_to: Callable[..., list[dict[str, Any]]],
    names: Sequence[str],
    folder: Path,
    chosen_files: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Fetch or verify files, and tell what became of each; the exit code is that of the worst."""
    from pmd.manifests.progress import progress_bar

    with progress_bar() as progress:
        outcomes = see_to(names, folder, progress=progress, **chosen_files)
    if as_json:
        output.json(outcomes)
    else:
        output.table(
            None,
            ("source", "file", "state", "what to do"),
            [[o["source"], o["name"], o["state"], o["says"]] for o in outcomes],
        )
    states = {o["state"] for o in outcomes if o["bad"]}
    if states:
        raise typer.Exit(6 if "failed" in states else GATED if states == {"gated"} else 3)
