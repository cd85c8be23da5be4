"""What is looked at before any training: data, labels, heads, learning rates."""
