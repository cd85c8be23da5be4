"""What an objective does to each network."""
