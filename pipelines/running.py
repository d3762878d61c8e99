"""Running a wired pipeline: the runner is named, options are explicit, and a user's mistake comes back as itself."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import itertools
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pmd import config, flow
from pmd.config import Config, places, remedies
from pmd.engines import choosing, cores, counters, driving, ends, jobs, mistakes, progress, transforms, versions
from pmd.engines.choosing import says
from pmd.engines.options import Options
from pmd.engines.processes import Processes
from pmd.errors import ConfigError, PmdError
from pmd.store import commits, failures, proposals, root, storage
from pmd.store.commits import File
from pmd.store.lock import Lock
from pmd.suppression import lists
from pmd.terminal import endings

Wire = Callable[[beam.Pipeline], Any]

#: Bytes of input from which a second thread pays: it costs some tenths of a second, and curating this much takes three.
THREAD_BYTES: Final = 64 * 2**20
#: Threads that are started unasked, at most: Python runs in one of them at a time, and two are busy with Arrow and codecs
#: often enough.
MOST_THREADS: Final = 2
#: Bytes of input from which a further process pays, beyond what threads do: starting one takes two seconds of a core, and
#: curating this much some ten.
PROCESS_BYTES: Final = 256 * 2**20
#: Processes that are started unasked, at most; each may hold 0.7 GB.
MOST_PROCESSES: Final = 4

#: What a byte of our Parquet files becomes in memory; YFCC100M's pairs, 4.9.
_EXPANSION: Final = 5
#: What an image costs in `shard`, as bytes of rows: reading, hashing and maybe scaling one takes as long as about this.
_IMAGE_BYTES: Final = 50_000


def run_and_commit(
    root_url: str,
    folders: Sequence[str],
    wire: Wire,
    flags: Sequence[str],
    work: str,
    input_bytes: int = 0,
    is_void: Callable[[], bool] = lambda: False,
) -> None:
    """Run the pipeline that makes some folders' commits, and commit what it proposes. For ROOT's writer.

    Args:
        root_url: ROOT.
        folders: Those of the commits.
        wire: See `run`.
        flags: See `run`.
        work: See `run`.
        input_bytes: See `run`.
        is_void: Asked when it has ended well: whether what it proposes is to be let go, and what stands stays.

    Raises:
        PmdError: It ended and has left nothing to commit, or see `run`.
    """
    lock = root.writing(root_url)
    for folder in folders:
        commits.claim(folder, lock.epoch)

    def commit() -> None:
        if is_void():
            _let_go(folders, lock)
            return
        proposed = proposals.read(work)
        if {proposal.folder for proposal in proposed} != {*folders}:
            raise PmdError(
                "the job has ended, and has left nothing to commit",
                where=folders[0],
                expected="a commit of every folder of the stage",
                remedy="look into the log of the engine that ran it, then run the same command again",
            )
        proposals.accept(proposed, lock)

    try:
        run(wire, flags, work, input_bytes, commit)
    except BaseException:
        with contextlib.suppress(Exception):  # of storage, or its client: what ended the run is told
            _let_go(folders, lock)
        raise


def _let_go(folders: Sequence[str], lock: Lock) -> None:
    """Leave folders as they were before a run: the stage may not be asked for again."""
    for folder in folders:
        commits.unclaim(folder, lock.epoch)
        commits.sweep(folder, lock.check)


def run(
    wire: Wire,
    flags: Sequence[str],
    work: str,
    input_bytes: int = 0,
    then: Callable[[], None] = lambda: None,
    total: progress.Total | None = None,
) -> None:
    """Wire and run one pipeline, and wait for it.

    Args:
        wire: Adds the steps.
        flags: Beam's own flags; without a --runner, Beam's local runner is named, since the default one tries to
            download another from the internet, with as many threads or processes as pay.
        work: The folder of this run; removed when it has ended. A worker leaves there what it has to tell a person.
        input_bytes: About how much there is to read, uncompressed.
        then: Done when it has ended well, before the folder is removed.
        total: How much there is to do, where that is known before; else the tasks of its steps are told.

    Raises:
        ConfigError: Beam knows no such runner.
        PmdError: A worker met a user's mistake or storage that fails, or died; the engine is not there, its job failed, or has
            not done what it was to do.
        WorkerFault: A worker met a fault of ours.
    """
    theirs = choosing.reach(flags)
    ends.begin(work)
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    count, threaded = processes(flags, input_bytes), threads(flags, input_bytes)
    place = jobs.place(flags)
    driver = driving.Driver(place, work)
    ours = Processes(driver) if count > 1 else None
    try:
        pipeline = _pipeline(flags, count if ours is not None else threaded, ours, work, theirs)
        wire(pipeline)
        with (
            root.doing(work, None if place is None else str(place)) as driver.taken,
            progress.Watch(work, total, transforms.units(pipeline)),
            mistakes.unlogged(),
            ours.attended() if ours is not None else contextlib.nullcontext(),
            mistakes.watched(work, driver.stop) if place is not None else contextlib.nullcontext(),
        ):
            driver.run(pipeline)
        if place is not None:
            if not ends.is_left(work):
                raise driver.undone()
            counters.tell(driver.counted())
        then()
    except Exception as error:
        known = (
            mistakes.read(work)
            or failures.told(error, ends.root_of(work))
            or ends.unseen(error, work)
            or driver.told(error)
        )
        if known is not None:
            raise known from error
        raise
    finally:
        # Gone, a store that is away, or somebody who was left behind still writes: the next run removes it.
        with contextlib.suppress(Exception):
            storage.remove_tree(work)


@dataclasses.dataclass(frozen=True)
class Command:
    """What a stage's own command line says."""

    config: Config
    names: tuple[str, ...]
    flags: tuple[str, ...]


@contextlib.contextmanager
def command(stage: str, argv: Sequence[str] | None) -> Iterator[Command]:
    """Parse `python -m pipelines.<stage> CONFIG [--sample 1/N] [Beam flags]`, and be ROOT's writer meanwhile.

    Stages that work source by source take `--sources` too.
    A user's mistake is told without a traceback and ends the process with its exit code.

    Args:
        stage: The stage's name.
        argv: The command line; by default the process's own.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}", description=f"Run the stage {stage}.")
    parser.add_argument("config", metavar="CONFIG", help="the configuration file")
    parser.set_defaults(sources=None)
    if stage in {flow.CURATE.name, flow.PUBLISH.name}:
        parser.add_argument("--sources", help="only these sources, separated by commas")
    parser.add_argument("--sample", metavar="1/N", help="a coherent small PMD: 1/N of the images, by hash")
    arguments, flags = parser.parse_known_args(argv)
    with endings.command():
        chosen = lists.held(config.load_with(arguments.config, arguments.sample))
        names = config.chosen(arguments.sources, sorted(chosen.sources))
        with root.writer(chosen.root, f"python -m pipelines.{stage}", places.absolute(arguments.config)):
            given = choosing.flags(chosen.engine, flags, chosen.root)
            yield Command(chosen, tuple(sorted(chosen.sources) if names is None else names), given)


def is_ours(flags: Sequence[str]) -> bool:
    """Return whether flags leave it to us how to work on this machine: they name no runner, nor a mode of the local one."""
    return not (says(flags, "runner") or says(flags, "direct_running_mode"))


def processes(flags: Sequence[str], input_bytes: int) -> int:
    """Return in how many processes of ours Beam's local runner is to work: what the flags say, else as many as pay.

    Args:
        flags: Beam's own; one that names a runner, or a mode of the local one, leaves it at one.
        input_bytes: About how much there is to read, uncompressed.
    """
    if not is_ours(flags):
        return 1
    if says(flags, "direct_num_workers"):
        return int(PipelineOptions(list(flags)).view_as(DirectOptions).direct_num_workers) or cores.count()
    pay = 1 + input_bytes // PROCESS_BYTES
    return min(cores.count(), MOST_PROCESSES, pay) if pay > MOST_THREADS else 1


def threads(flags: Sequence[str], input_bytes: int) -> int:
    """Return in how many threads of this process Beam's local runner is to work: more than one where no processes pay yet.

    Args:
        flags: Beam's own; one that says anything of runner or workers leaves it at one.
        input_bytes: About how much there is to read, uncompressed.
    """
    if not is_ours(flags) or says(flags, "direct_num_workers") or processes(flags, input_bytes) > 1:
        return 1
    return min(cores.count(), MOST_THREADS) if input_bytes >= THREAD_BYTES else 1


def parquet_bytes(files: Iterable[File]) -> int:
    """Return about how much committed Parquet files hold, uncompressed."""
    return uncompressed(sum(file.bytes for file in files))


def uncompressed(size: int) -> int:
    """Return about how much Parquet files of so many bytes hold."""
    return _EXPANSION * size


def image_bytes(files: Iterable[File]) -> int:
    """Return what files of `images` stand for in a stage that reads the images themselves."""
    return picture_bytes(sum(file.rows for file in files))


def picture_bytes(count: int) -> int:
    """Return what so many stored pictures stand for, likewise."""
    return _IMAGE_BYTES * count


class _DriverOptions(PipelineOptions):  # type: ignore[misc]
    """What a driver tells its workers before they start (`pmd.engines.versions`)."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(f"--{versions.OPTION}")


def check(flags: Sequence[str]) -> None:
    """Refuse flags that `run` would refuse: for who does much before the first pipeline.

    Raises:
        ConfigError: See `run`.
    """
    _pipeline(flags, 1, None, "", choosing.known(flags))


def _refuse_unknown(flags: Sequence[str], options: PipelineOptions, more: Collection[str] = ()) -> None:
    """Refuse flags that Beam would pass over with a line in its log.

    Args:
        flags: All.
        options: Made of them.
        more: Flags that who runs the job knows beside those of Beam's Python.

    Raises:
        ConfigError: There are some.
    """
    if not flags:
        return
    known = {*options.get_all_options(), *more}
    unknown = sorted({*options.get_all_options(retain_unknown_options=True)} - known)
    # A value stands behind the name of its flag, or in the same word.
    stray = [
        word
        for before, word in itertools.pairwise(("", *flags))
        if not (word.startswith("-") or (before.startswith("-") and "=" not in before))
    ]
    if not unknown and not stray:
        return
    near = remedies.nearest(unknown[0], known) if unknown else None
    raise ConfigError(
        "Beam does not know these flags",
        where=" ".join(flags),
        expected="flags of Beam's, as --direct_num_workers=4",
        found=", ".join([*stray, *(f"--{name}" for name in unknown)]),
        remedy=f"did you mean --{near}?" if near else "take them away, or name the --runner whose they are",
    )


def _told_in_a_line(make: Callable[..., beam.Pipeline]) -> Callable[..., beam.Pipeline]:
    """Tell in a line what Beam says of flags that it cannot read: it would list all that it has, and end the process."""

    @functools.wraps(make)
    def made(flags: Sequence[str], *rest: Any) -> beam.Pipeline:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                return make(flags, *rest)
        except SystemExit as ended:
            if not ended.code:  # somebody asked for its help
                raise
            raise ConfigError(
                "Beam refuses these flags",
                where=" ".join(flags),
                expected="flags of Beam's, as --direct_num_workers=4",
                found=said.getvalue().strip().rpartition("error: ")[2],
                remedy="mend them, or take them away",
            ) from None

    return made


@_told_in_a_line
def _pipeline(
    flags: Sequence[str], count: int, ours: Processes | None, work: str, known: Collection[str] | None = None
) -> beam.Pipeline:
    """Return an empty pipeline, for so many processes of ours, or threads where there are none.

    `known` are the flags that a runner which they name knows beside those of Beam's Python; None: nobody says which.
    """
    try:
        options = Options([*flags, f"--{versions.OPTION}={versions.told(work)}"])
        if says(flags, "runner"):
            if known is not None:
                _refuse_unknown(flags, options, known)
            return beam.Pipeline(options=options)
        _refuse_unknown(flags, options)
        if count > 1:
            options.view_as(DirectOptions).direct_num_workers = count
        if ours is None:
            if count > 1:
                options.view_as(DirectOptions).direct_running_mode = "multi_threading"
            return beam.Pipeline(runner=FnApiRunner(), options=options)
        return beam.Pipeline(runner=FnApiRunner(default_environment=ours.environment), options=options)
    except (ValueError, ImportError) as error:
        raise ConfigError(
            "Beam refuses these flags",
            where=" ".join(flags),
            found=str(error),
            remedy="name another --runner, or install what it needs",
        ) from None
