"""Whether what is committed stands as a build would make it, so that the plan counts it."""

from __future__ import annotations

from pmd import flow, stages
from pmd.config import Config, inputs
from pmd.errors import InputError, RootError
from pmd.store import root


def is_fresh(config: Config, stage: flow.Stage) -> bool:
    """Return whether a stage's commits stand as a build would make them; not where what it is made of does not."""
    try:
        if stage is flow.IMAGES and any(
            stages.why(flow.CURATE, config, name) is not None for name in config.sources if _has_files(config, name)
        ):
            return False
        missing = set(config.sources) - set(root.curated_sources(config.root))
        return not missing and stages.why(stage, config) is None
    except (RootError, InputError):
        return False


def _has_files(config: Config, name: str) -> bool:
    try:
        return bool(inputs.files(config.sources[name]))
    except InputError:
        return False
