"""How the figures of bench_snapshots.py grow from 10,000 to 200,000 files.

python tests/benchmarks/bench_snapshots_growth.py                 needs 20 GB of disk for a while
python tests/benchmarks/bench_snapshots_growth.py 10000 30000     other sizes
"""

from __future__ import annotations

import sys

from bench_snapshots import main

if __name__ == "__main__":
    main(["--growth", *sys.argv[1:]])
