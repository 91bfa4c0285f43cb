"""Speed and memory, measured beside a reference in the same run. `make bench` runs `run.py`."""
