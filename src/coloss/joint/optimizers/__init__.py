"""One optimizer a member."""
