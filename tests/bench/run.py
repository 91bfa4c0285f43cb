"""What `make bench` runs. `run.py --help` says how to measure less."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from tests.bench.main import main

    sys.exit(main())
