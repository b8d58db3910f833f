"""
Every reader of foreign bytes against bytes that nobody meant.

`targets` says what is read and what must hold. `test_targets` tries each for moments, from seeds
that are spoilt a little; `python -m tests.fuzz` (`make fuzz`) lets atheris, a coverage-guided
fuzzer, look for minutes or hours. What it has found lies in `inputs/TARGET/` and is tried for ever.
"""
