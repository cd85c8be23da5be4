"""How the runs of a study are computed; every engine gives the same results."""
