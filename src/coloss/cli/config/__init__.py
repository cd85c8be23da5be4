"""The one configuration file: what it may say, and what is wrong in it.

Imports no Keras.
"""

from coloss.cli.config.load import load, parse, resolved
from coloss.cli.config.root import Config

__all__ = ["Config", "load", "parse", "resolved"]
