"""Everything that a training needs to go on, in files that can be trusted."""

from coloss.checkpoint.files import CheckpointError

__all__ = ["CheckpointError"]
