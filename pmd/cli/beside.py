"""The commands beside the stages: what is to come, what stands, what became of it, and what is damaged."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Annotated

import typer

from pmd import escape, flow
from pmd.cli.stages import report, say_above_progress, show_status, writer
from pmd.cli.words import ConfigPath, EngineName, Json, RootPath, Sample, WithBeam, load, on_this_machine
from pmd.errors import ConfigError
from pmd.schema.exits import DIFFERENT, TIME_IS_UP
from pmd.terminal import bar, output
from pmd.terminal.telling import telling

app = typer.Typer()


@app.command()
def join(
    config: ConfigPath,
    listed: Annotated[str, typer.Argument(metavar="LIST", help="A published list, or a folder of them.")],
    *,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where the refilled lists go.")],
    as_json: Json = False,
) -> None:
    """Refill published lists with what they withhold, from your own annotation files, curated; checked by digest."""
    from pmd.publish import join as joining
    from pmd.store import failures

    loaded = load(config)
    with failures.at(loaded.root):
        result = joining.join(loaded, listed, out)
    if as_json:
        output.json({name: dataclasses.asdict(joined) for name, joined in result.items()})
    else:
        heads = ("source", "rows", "refilled", "not in your copy", "other content in your copy", "withdrawn")
        output.table(None, heads, joining.lines(result))
    if any(joined.other for joined in result.values()):
        raise typer.Exit(5)


@app.command(help=flow.REFRESH.says)
def refresh(
    config: ConfigPath,
    *,
    images: Annotated[int, typer.Option(help="How many images are drawn, at most.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed draws others.")] = 0,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="TIME",
            help="End in time (6h, 90m, 1d12h); the same command goes on with the wave: exit code 9.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a wave; what the command shows is said in `pmd.flow`."""
    began = datetime.datetime.now(datetime.UTC)
    from pmd.fetch.lane import stopping
    from pmd.refresh import asking
    from pmd.refresh import telling as words

    until = None if for_ is None else stopping.asked_at(began, stopping.duration_s(for_))
    loaded = load(config)
    with writer(loaded.root, config), telling("images") as tell:
        asked = asking.refresh(loaded, images, seed, until=until, tell=tell)
    found = words.told(loaded.root, asked)
    output.answer(found, lambda: words.render(found, output.columns(120)), as_json=as_json)
    if asked.left:
        raise typer.Exit(TIME_IS_UP)


@app.command()
def plan(
    config: ConfigPath,
    *,
    sample: Sample = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar="NAME", help="dataflow: also what each stage costs there, by \\[engine.prices]."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate rows, bytes, hours and disk, and name the slowest host, before anything runs."""
    from pmd.inspection import plan as planning
    from pmd.inspection.plan import costs
    from pmd.store import failures

    if engine not in {None, "dataflow"}:
        raise ConfigError("no engine that is paid by time", where="--engine", expected="dataflow", found=engine)
    loaded = load(config, sample)
    with failures.at(loaded.root):
        planned = planning.plan(loaded)
    if engine is not None:
        planned["cost"] = costs.cost(loaded, planned, loaded.engine.prices)
    output.answer(planned, lambda: planning.render(planned, output.columns(80)), as_json=as_json)


@app.command()
def status(root: RootPath, *, as_json: Json = False) -> None:
    """Show what is committed, and the books of every stage."""
    from pmd.inspection import status as statuses

    show_status(statuses.books(root), as_json=as_json)


@app.command()
def verify(root: RootPath, *, as_json: Json = False) -> None:
    """Recount the books from the committed files, and check every file's bytes; of a copy of a release, its checksums."""
    from pmd.inspection import verify as verification

    with telling("bytes") as tell:
        result = verification.verify(root, tell)
    output.answer(result, lambda: verification.render(result), as_json=as_json)
    if result["problems"]:
        raise typer.Exit(5)


@app.command(cls=WithBeam)
def repair(
    context: typer.Context,
    root: RootPath,
    *,
    config: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="What ROOT was built with; default: that of the last run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what is damaged, and make or fetch just that anew. Beam's own flags follow --."""
    from pipelines import repair as repairing

    repairing.require(root)
    with telling("bytes") as tell:
        chosen = config or repairing.last_configuration(root)
        with writer(root, chosen):
            done = repairing.repair(
                root,
                chosen,
                progress=tell,
                say=say_above_progress,
                flags=context.args,
            )
    output.answer(done.describe(), lambda: repairing.render(done), as_json=as_json)
    if done.left:
        raise typer.Exit(5)


@app.command()
def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A ROOT, or a published list (a Parquet file, or a folder of them).")
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="Another; or, after a ROOT and experimental, an annotation file of facebook/pmd (yfcc100m_subset.jsonl).",
        ),
    ],
    *,
    limit: Annotated[int, typer.Option(help="Examples of each kind of difference.")] = 3,
    as_json: Json = False,
) -> None:
    """Tell what differs between two ROOTs, two lists, or (experimental) a ROOT and facebook/pmd's annotations.

    The form of facebook/pmd's annotation files is known from code that reads them; no such file was seen.
    """
    from pmd.inspection import diff as differing

    with telling("rows") as tell:
        result = differing.diff(a, b, limit, tell)
    output.answer(result, lambda: differing.render(result, output.columns(120)), as_json=as_json)
    if not result["equal"]:
        raise typer.Exit(DIFFERENT)


@app.command()
def explain(
    root: RootPath,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|URL|FILE",
            help="An image or a pair, as you have it: its URL, its page on Flickr, Wikimedia, Reddit or Imgur, flickr:4242, "
            "coco:9, SOURCE/ID, a pair_id or image_id, sha256:HEX, pdq:HEX, or a picture file.",
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Tell what became of a pair or an image, stage by stage."""
    from pmd.inspection import explain as explaining

    answer = explaining.explain(root, what)
    output.answer(answer, lambda: explaining.render(answer), as_json=as_json)


@app.command()
def hashes(
    path: Annotated[str, typer.Argument(metavar="FOLDER|ARCHIVE", help="Images: a folder, a tar or a zip.")],
) -> None:
    r"""Write a list of images' hashes, for `\[dedupe] evaluation`; the images themselves need not be shared."""
    from pmd.dedupe import evaluation
    from pmd.errors import InputError
    from pmd.formats import archives
    from pmd.store import failures, storage

    count = 0
    undecoded: list[str] = []
    with failures.of_inputs(), telling("images") as tell:
        if not storage.exists(path) or not (storage.is_folder(path) or archives.is_archive(path)):
            raise InputError(
                "neither a folder nor an archive", where=path, expected="a folder, a tar or a zip of images"
            )
        for name, sha256, pdq in evaluation.hashed(path):
            output.clear_progress()
            output.say(evaluation.line(name, sha256, pdq))
            count += 1
            undecoded += [name] if pdq is None else []
            tell(count, 0)
    if not count:
        raise InputError("no image is in it", where=path, expected="pictures, in one of the formats that are read")
    if undecoded:
        output.say(f"! {evaluation.note_of_undecoded(path, undecoded)}", err=True)
    output.say(bar.amount(count, "images"), err=True)


@app.command()
def peek(
    root: RootPath,
    *,
    out: Annotated[Path | None, typer.Option(help="The page; default: peek.html.", callback=on_this_machine)] = None,
    pairs: Annotated[int, typer.Option(help="Pairs to show.")] = 48,
    rejected: Annotated[int, typer.Option(help="Rejected rows to show.")] = 48,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only rows rejected for this reason.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed shows other rows.")] = 0,
) -> None:
    """Write one page of sampled pairs with their pictures, and of rejected rows with their reasons."""
    from pmd.inspection import peek as peeking
    from pmd.store import storage

    page = peeking.page(root, pairs=pairs, rejected=rejected, source=source, reason=reason, seed=seed)
    target = out or Path("peek.html")
    if target.is_symlink() or (target.exists() and not target.is_file()):  # /dev/stdout, say
        target.write_text(page, encoding="utf-8")
    else:
        storage.put(str(target), page.encode())
    output.say(escape.terminal(target))


@app.command()
def label(
    root: RootPath,
    *,
    number: Annotated[int | None, typer.Option(help="Write sheets of about so many texts: 30 a stratum.")] = None,
    as_json: Json = False,
) -> None:
    """Write sheets of texts for two people who label by hand what gendered terms mean; without --number, read the filled ones."""
    from pmd.audit import labelling
    from pmd.audit.texts import lexicon

    if number is not None:
        for path in labelling.write(root, lexicon.load(), number):
            output.say(escape.terminal(path))
        return
    found = labelling.read(root)
    output.answer(found, lambda: labelling.told(found), as_json=as_json)


@app.command(cls=WithBeam)
def demo(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Where everything goes; made anew.", callback=on_this_machine)] = Path(
        "out/demo"
    ),
    profile: Annotated[str, typer.Option(help="paper, hub or recommended.")] = "recommended",
    engine: EngineName = None,
) -> None:
    """Run the whole thing on a small built-in web, in under two minutes."""
    from pipelines import demo as demonstration

    output.say(demonstration.run(out, profile=profile, engine=engine, flags=context.args, report=report))
