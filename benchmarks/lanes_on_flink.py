"""How often lanes on Flink ask a host, as the host sees it: undisturbed, and while a task manager or its machine dies.

    python benchmarks/lanes_on_flink.py [--images 1200] [--rate 20] [--runs none task-manager …] [--folder FOLDER]

Two lanes fetch the small PMD of `breaking.world`, nearly all of it on one host as PMD is on Flickr's, on a session cluster of
two task managers; its web writes down when it is asked. Of each run it is told what dies once a third of the images has been
asked for, by SIGKILL, and is started anew:

- *none*: nothing does;
- *task-manager*: one task manager. Its worker is left to end by itself, so that a lane that Flink runs anew may meet the one
  before;
- *machine*: one task manager and its worker at once. No process sees of another whether it lives, as if each had a machine of its
  own, so that the dead one's lease has to be waited for.

Told of the largest host:

- *rate*: requests from the first to the last, as a share of what the configuration allows (aim: .9 or more, undisturbed and
  in a run of ten minutes: `--images 11500`), and *before*: the same until something dies;
- *most*: the most requests in any second, five seconds and 30 seconds, beside what is allowed: the rate, and a request of each
  lane's at either end of that time. More is a failure, in every run.

The job is to outlive it. The second run of a command that failed is counted with the first. Exits with 1 where a host was asked
too often or a run was too slow. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import cluster, kills, world
from benchmarks.breaking.cluster import Cluster
from benchmarks.breaking.kept import Kept

_LANES: Final = 2
#: The hosts of the images without regions, and the one that is looked at.
_HOSTS: Final = 1
_HOST: Final = 0
_WINDOWS_S: Final = (1, 5, 30)
_LEAST: Final = 0.9
#: The share of images that have been asked for when a task manager is killed.
_SHARE: Final = 1 / 3
#: Seconds from which on a run is long enough to have the aim in spite of a death.
_LONG_S: Final = 600.0
_DEATHS: Final = ("none", "task-manager", "machine")
_REPOSITORY: Final = Path(__file__).resolve().parent.parent
#: A worker of which nobody sees whether it lives.
_APART: Final = "from pmd.engines import boot; from pmd.store import alive; alive.name = lambda: ''; boot.main()"


def most(times: Sequence[float], window_s: float) -> int:
    """Return the most requests in any time of a length, in seconds; `times` are in order."""
    return max(bisect_right(times, start + window_s) - number for number, start in enumerate(times))


def share(times: Sequence[float], rate: int) -> float:
    """Return requests from the first to the last as a share of a rate; `times` are in order."""
    return round((len(times) - 1) / (times[-1] - times[0]) / rate, 3)


def apart(config: Path, folder: Path) -> None:
    """Have a configuration's workers be such that none sees of another whether it lives."""
    script = folder / "worker-apart"
    script.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(_REPOSITORY))}\n"
        f'exec {shlex.quote(sys.executable)} -c {shlex.quote(_APART)} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    config.write_text(f'{config.read_text(encoding="utf-8")}[engine.flink]\nworker = "{script}"\n', encoding="utf-8")


def fetched(kept: Kept, flink: Cluster, rate: int, death: str, victim: str) -> dict[str, Any]:
    """Fetch once; return what the host has seen. `victim`: the task manager that dies, where one does."""
    where = kept.fresh(0, "fetch")
    config = kept.world.config(where, 0, _LANES, None, rate)
    if death == "machine":
        apart(config, kept.folder)
    _, since = kept.world.asked(0)
    limit_s = 300 + 3 * kept.world.images / rate
    killed: list[float] = []
    looked = [0.0]

    def look(_: int, since_s: float) -> None:
        if death == "none" or killed or since_s < looked[0] + 1:
            return
        looked[0] = since_s  # the log grows, and all of it is read
        if kept.world.asked(since)[0].total() > _SHARE * kept.world.images:
            killed.append(time.monotonic())
            flink.kill_task_manager(victim, workers_too=death == "machine")

    words = ["fetch", str(config), "--engine", "flink"]
    ended = kills.run(words, kept.log("fetched"), meanwhile=look, limit_s=limit_s)
    again = kills.run(words, kept.log("again"), limit_s=limit_s) if ended.code else None
    times = kept.world.times(_HOST, since)
    counted, _ = kept.world.asked(since)
    return {
        "death": death,
        "after_s": round(killed[0] - times[0], 1) if killed else None,
        "codes": [ended.code, *([] if again is None else [again.code])],
        "requests": len(times),
        "seconds": round(times[-1] - times[0], 1),
        "rate": share(times, rate),
        "before": share([at for at in times if not killed or at < killed[0]], rate),
        "silent_s": round(max(later - earlier for earlier, later in itertools.pairwise(times)), 1),
        "most": {window: [most(times, window), rate * window + 2 * _LANES] for window in _WINDOWS_S},
        "asked_twice": sum(count - 1 for count in counted.values()),
        "differs": kept.differences(where, 0, "fetch", verified=False),
    }


def wrong(run: dict[str, Any]) -> list[str]:
    """Return what is wrong about a run."""
    found = [
        f"{seen} requests in {window} s of {allowed}"
        for window, (seen, allowed) in run["most"].items()
        if seen > allowed
    ]
    if (run["death"] == "none" or run["seconds"] >= _LONG_S) and run["rate"] < _LEAST:
        found.append(f"{run['rate']} of the rate")
    if run["codes"][-1] or (run["death"] != "none" and run["after_s"] is None):
        found.append(f"ended with {run['codes']}, killed after {run['after_s']} s")
    return found + run["differs"]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--rate", type=int, default=20, help="requests a second that the configuration allows a host")
    parser.add_argument("--runs", nargs="+", choices=_DEATHS, default=_DEATHS, help="what dies in each run")
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    if (why := cluster.missing()) is not None:
        sys.exit(why)
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="lanes-on-flink-"))).resolve()
    kills.warm()
    runs = []
    with world.opened(folder / "world", told.images, _HOSTS) as web:
        kept = Kept(folder, web)
        kept.prepare(until=(0, "dedupe"))
        with cluster.running(folder) as flink:
            os.chdir(folder)
            for number, death in enumerate(told.runs):
                run = fetched(kept, flink, told.rate, death, flink.parts[number % len(flink.parts)])
                run["wrong"] = wrong(run)
                print(json.dumps(run), flush=True)
                runs.append(run)
    print(json.dumps({"rate": told.rate, "images": told.images, "runs": runs}))
    sys.exit(any(run["wrong"] for run in runs))


if __name__ == "__main__":
    main()
