"""`python -m tests.storm --seed N --minutes M`: a storm, by itself. What it found is printed, and is exit code 1."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [path for path in map(str, (ROOT, ROOT / "workers", ROOT / "tests")) if path not in sys.path]

from harness.fleet import Fleet  # noqa: E402
from harness.redis_server import RedisServer  # noqa: E402
from storm.run import storm  # noqa: E402

#: Jobs that three nodes of two slots get done in a minute of trouble.
JOBS_PER_MINUTE = 200


def main() -> int:
    """Run one storm; keep its files if it found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="default: any")
    parser.add_argument("--minutes", type=float, default=1.0, help="of trouble")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the history in any case")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="exs-storm-", dir="/tmp"))
    server = RedisServer(folder / "redis").start()
    fleet = Fleet(folder, server)
    try:
        history = storm(fleet, options.seed, options.minutes * 60, int(options.minutes * JOBS_PER_MINUTE))
    except AssertionError as error:
        print(f"{error}\nits files are in {folder}; again: python -m tests.storm --seed {options.seed}")
        return 1
    finally:
        fleet.close()
        server.kill()
    if options.verbose:
        print("\n".join(history))
    print(f"storm of seed {options.seed}: {len(history)} faults, nothing lost")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
