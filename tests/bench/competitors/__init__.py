"""What people write without this project, each as one honest small program: the benchmark runs them beside it."""
