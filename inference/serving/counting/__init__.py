"""What is counted and timed: shared by all processes, shown as Prometheus text."""
