"""Beam's options, made quick to ask."""

from __future__ import annotations

from typing import TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

_View = TypeVar("_View", bound=PipelineOptions)


class Options(PipelineOptions):  # type: ignore[misc]
    """Beam's options, each view of which is made once.

    Beam asks for a view at every step of a pipeline, and makes a parser of flags for each: a third of the driver's time in a
    small build. All views share the same values, so one of each kind does.
    """

    def view_as(self, cls: type[_View]) -> _View:
        """Return the options as a view of a class of Beam's; see `PipelineOptions.view_as`."""
        views: dict[type[PipelineOptions], PipelineOptions] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view = views[cls]
        assert isinstance(view, cls)
        return view
