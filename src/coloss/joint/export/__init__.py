"""One member alone, in a format that others read."""
