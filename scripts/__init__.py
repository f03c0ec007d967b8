"""Training, studies, benchmarks and fuzzing: they call public functions of the packages beside them."""
