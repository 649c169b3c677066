"""Coverage-guided fuzzing of the core (libFuzzer) and of the Python around it (atheris); ``make fuzz``."""
