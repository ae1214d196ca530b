"""Whether a bundle computes what Paddle computes."""
