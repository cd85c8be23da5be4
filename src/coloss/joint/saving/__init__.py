"""A joint model in a file, and back."""
