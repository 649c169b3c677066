"""What a process says of itself: metrics with their collectors, and traces."""
