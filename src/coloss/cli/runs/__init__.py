"""From a configuration to data, networks, training, and a run folder."""
