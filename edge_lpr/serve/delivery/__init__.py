"""Events on their way to others: queues on disk, and who empties them."""
