"""Integer loops on plain arrays: what one tile or one layer computes."""
