"""One forward pass, and what terms read of it."""
