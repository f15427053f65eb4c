"""`make load MINUTES=20`: the local host under mixed load with faults; says what was lost."""

import sys

# The clients' processes import this module again and need nothing of it.
if __name__ == "__main__":
    from tests.load.run import main

    sys.exit(main(sys.argv[1:]))
