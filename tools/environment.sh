#!/bin/sh
# Makes .venv what this checkout needs, or finds that it is: `environment.sh run` to use Alpha, `environment.sh dev` to
# work on it. With uv on the PATH by `uv sync`, otherwise with any Python from 3.11 on and pip. Prints nothing when there
# is nothing to do.
set -u

level=${1:-dev}
root=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
venv=$root/.venv
stamp=$venv/.alpha-environment

say() { printf 'alpha: %s\n' "$*" >&2; }

# The stamp tells what .venv was made for: the level, the contents of every pyproject.toml, and the place, because an
# environment cannot be moved. It is written last, so half an environment has none.
wanted() { cat -- "$root"/pyproject.toml "$root"/alpha-*/pyproject.toml | cksum && printf '%s\n' "$root"; }
made_level() { head -n 1 -- "$stamp" 2>/dev/null; }
made_for() { tail -n +2 -- "$stamp" 2>/dev/null; }

now=$(wanted) || exit
if [ "$(made_for)" = "$now" ] && [ -x "$venv/bin/python" ]; then
    case "$level $(made_level)" in "run run" | "run dev" | "dev dev") exit 0 ;; esac
fi
[ "$(made_level)" != dev ] || level=dev # a tree that was worked on stays one
made_at=$(tail -n 1 -- "$stamp" 2>/dev/null || printf '%s' "$root")
if [ -d "$venv" ] && { [ ! -x "$venv/bin/python" ] || [ "$made_at" != "$root" ]; }; then
    rm -rf -- "$venv" # its Python is gone, or it was copied here from another place
fi
rm -f -- "$stamp"

with_uv() (
    unset VIRTUAL_ENV # another environment may be active; this one is made all the same
    groups=--no-dev
    [ "$level" = run ] || groups=--dev
    UV_PROJECT_ENVIRONMENT=$venv uv sync --quiet --project "$root" --inexact "$groups"
)

with_pip() {
    for python in python3 python python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$python" "$root/tools/pip_environment.py" "$level"
            return
        fi
    done
    say "there is no Python 3.11 or newer on the PATH; install one, or install uv, which brings its own"
    return 1
}

doing=making
[ ! -d "$venv" ] || doing=updating
say "$doing the environment in $venv (a minute or so) ..."
status=1
if command -v uv >/dev/null 2>&1; then
    with_uv
    status=$?
    [ "$status" -eq 0 ] || [ "$status" -gt 128 ] || say "uv failed, see above; trying pip ..."
fi
if [ "$status" -gt 0 ] && [ "$status" -le 128 ]; then
    with_pip
    status=$?
fi
[ "$status" -eq 0 ] || exit "$status"

printf '%s\n%s\n' "$level" "$now" >"$stamp.new" && mv -f -- "$stamp.new" "$stamp"
