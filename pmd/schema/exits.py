"""The exit codes of `pmd`: a closed list, the same as in `pmd.errors`."""

from __future__ import annotations

from typing import Final

#: Two things that were compared differ.
DIFFERENT: Final = 7
#: Nothing failed, but files are not there that only a person can ask for.
GATED: Final = 8
#: Nothing failed, but the time that was given is up before the work is done.
TIME_IS_UP: Final = 9

EXIT_CODES: Final[dict[int, str]] = {
    0: "done",
    1: "an error that none of the others describes",
    2: "the configuration or the command line cannot be used",
    3: "an input file is missing, truncated or foreign, or its storage refuses or fails",
    4: "ROOT is locked, of another version, or not where it was said to be, or its storage refuses or fails",
    5: "verification failed: books or files disagree, or something is left of what was taken down",
    6: "a download failed, or the network itself is broken",
    DIFFERENT: "pmd diff: what was compared differs",
    GATED: "pmd manifests: all is there but files that a person must ask for",
    TIME_IS_UP: "pmd fetch --for, pmd refresh --for: the time is up; what is settled is kept, and the same command goes on",
    129: "interrupted by SIGHUP, as a closing terminal sends it; else as 130",
    130: "interrupted; what was committed stays, and the same command goes on from there",
    143: "interrupted by SIGTERM; else as 130",
}
