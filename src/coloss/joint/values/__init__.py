"""What the names of an objective are worth on one batch."""
