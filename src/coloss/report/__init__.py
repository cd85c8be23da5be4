"""What a run found, as figures and as one page."""
