"""Mutated inputs against everything that parses what others wrote.

`pytest tests/fuzz` spends a minute on it, `--fuzz-seconds 3600` an hour. A number is always the same input;
`python -m fuzz TARGET NUMBER FILE`, from the folder tests, writes the one that a fault was found with.
"""
