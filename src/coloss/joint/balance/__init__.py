"""Summands of an objective, weighed and combined."""
