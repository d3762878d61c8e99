"""The configuration file, the options of the stages, and the files that it names. The names here are what others use."""

from pmd.config.loading import chosen, load, load_with, parse
from pmd.config.model import Config, InvalidConfig, Problem, SourceConfig

__all__ = ["Config", "InvalidConfig", "Problem", "SourceConfig", "chosen", "load", "load_with", "parse"]
