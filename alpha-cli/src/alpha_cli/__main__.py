"""`python -m alpha_cli` is `alpha`."""

import sys

from alpha_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
