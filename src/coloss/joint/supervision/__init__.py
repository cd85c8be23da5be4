"""Labels, losses and metrics of the members."""
