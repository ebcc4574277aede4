"""Coverage-guided fuzzing with atheris of what reads bytes from strangers: the archives and the decoders.

`python -m tests.fuzz --seconds 600` does it for long; test_fuzz.py does it shortly. An input that breaks a
promise is written to build/fuzz/, and given again by `python -m tests.fuzz TARGET FILE`.
"""
