"""What is measured: one file for each part, found by its name. The first line of its docstring is its heading.

A part has one function, `measure(bench) -> Iterator[Figure]`. Library calls are timed in a process of their own: the
part's own file, run by `bench.worker`, which prints JSON.
"""
