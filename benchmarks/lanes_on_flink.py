"""How often lanes on Flink ask a host, as the host sees it: undisturbed, and while a task manager dies.

    python benchmarks/lanes_on_flink.py [--images 1200] [--rate 20] [--rounds 3] [--folder FOLDER]

Two lanes fetch the small PMD of `breaking.world`, nearly all of it on one host as PMD is on Flickr's, on a session cluster of
two task managers; its web writes down when it is asked. Undisturbed, then in rounds: SIGKILL to a task manager once a third of
the images has been asked for. It is started anew, and its workers are left to end by themselves, so that a lane that Flink runs
anew may meet the one before. Told of the largest host:

- *rate*: requests from the first to the last, as a share of what the configuration allows (aim: .9 or more, undisturbed);
- *most*: the most requests in any second, five seconds and 30 seconds, beside what is allowed: the rate, and a request of each
  lane's at either end of that time. More is a failure, in every run.

The job is to outlive it. The second run of a command that failed is counted with the first. Exits with 1 where a host was asked
too often, or an undisturbed run was too slow. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
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
_LIMIT_S: Final = 900.0


def most(times: Sequence[float], window_s: float) -> int:
    """Return the most requests in any time of a length, in seconds; `times` are in order."""
    return max(bisect_right(times, start + window_s) - number for number, start in enumerate(times))


def fetched(kept: Kept, flink: Cluster, rate: int, victim: str | None) -> dict[str, Any]:
    """Fetch once; return what the host has seen. `victim`: the task manager that is killed."""
    where = kept.fresh(0, "fetch")
    config = kept.world.config(where, 0, _LANES, None, rate)
    _, since = kept.world.asked(0)
    killed: list[float] = []

    def look(_: int, since_s: float) -> None:
        if victim is None or killed:
            return
        if kept.world.asked(since)[0].total() > _SHARE * kept.world.images:
            killed.append(round(since_s, 1))
            flink.kill_task_manager(victim)

    words = ["fetch", str(config), "--engine", "flink"]
    ended = kills.run(words, kept.log("fetched"), meanwhile=look, limit_s=_LIMIT_S)
    again = kills.run(words, kept.log("again"), limit_s=_LIMIT_S) if ended.code else None
    times = kept.world.times(_HOST, since)
    counted, _ = kept.world.asked(since)
    return {
        "killed": victim,
        "after_s": killed[0] if killed else None,
        "codes": [ended.code, *([] if again is None else [again.code])],
        "requests": len(times),
        "seconds": round(times[-1] - times[0], 1),
        "rate": round((len(times) - 1) / (times[-1] - times[0]) / rate, 3),
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
    if run["killed"] is None and run["rate"] < _LEAST:
        found.append(f"{run['rate']} of the rate")
    if run["codes"][-1] or (run["killed"] is not None and run["after_s"] is None):
        found.append(f"ended with {run['codes']}, killed after {run['after_s']} s")
    return found + run["differs"]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--rate", type=int, default=20, help="requests a second that the configuration allows a host")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    if (why := cluster.missing()) is not None:
        sys.exit(why)
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="lanes-on-flink-"))).resolve()
    kills.warm()
    runs = []
    with world.opened(folder / "world", told.images, _HOSTS) as web:
        kept = Kept(folder, web)
        kept.prepare()
        with cluster.running(folder) as flink:
            os.chdir(folder)
            for number in range(told.rounds + 1):
                victim = flink.parts[number % len(flink.parts)] if number else None
                run = fetched(kept, flink, told.rate, victim)
                run["wrong"] = wrong(run)
                print(json.dumps(run), flush=True)
                runs.append(run)
    print(json.dumps({"rate": told.rate, "images": told.images, "runs": runs}))
    sys.exit(any(run["wrong"] for run in runs))


if __name__ == "__main__":
    main()
