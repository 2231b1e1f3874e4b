# What CI does, one step at a time; every recipe is a command that works without `just`. `just` alone lists them.

[private]
default:
    @just --list

# Make or update .venv
setup:
    tools/environment.sh dev

# Run the tests; arguments go to pytest
test *arguments:
    ./test {{ arguments }}

# Find mistakes
lint:
    .venv/bin/ruff check

# Write the code in the one format
format:
    .venv/bin/ruff format

# Check types
types:
    .venv/bin/mypy alpha-*/src tools examples/alpha-example/src benchmarks

# Check the arrows between packages
imports:
    .venv/bin/lint-imports --no-logo

# Build every wheel and try it alone
wheels:
    .venv/bin/python tools/check_wheels.py

# Build the example plugin and use all of it in a clean environment
example:
    .venv/bin/python tools/check_example.py

# Write the generated parts of the documentation
docs:
    .venv/bin/python tools/generate_docs.py

# Build the documentation as a site, into the folder `site`
site:
    .venv/bin/python tools/build_site.py

# Everything that CI checks
ci:
    .ci/run
