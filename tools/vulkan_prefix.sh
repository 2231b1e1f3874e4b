#!/usr/bin/env bash
# Makes a folder with a Vulkan device that computes on the processor (Mesa's lavapipe), the validation layers and spirv-val,
# all from Debian packages and without touching the system, and in it `run`, which runs a program with them:
#
#   tools/vulkan_prefix.sh PREFIX             the newest Mesa that Debian has, with cooperative matrices
#   tools/vulkan_prefix.sh --own PREFIX       the Mesa of this machine's own release; only what is not installed is fetched
#   PREFIX/run .venv/bin/python -m pytest tests/helios
#
# Needs Debian or something with its apt, not root. Does nothing when the folder is there already.
set -euo pipefail

newest=trixie # with its backports
packages=(mesa-vulkan-drivers libvulkan1 vulkan-validationlayers spirv-tools)
keys=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    printf 'vulkan_prefix: %s\n' "$*" >&2
    exit 1
}

own=false
if [ "${1:-}" = --own ]; then
    own=true
    shift
fi
[ $# -eq 1 ] || fail "usage: vulkan_prefix.sh [--own] PREFIX"
mkdir -p -- "$(dirname -- "$1")"
prefix=$(cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
made_by="$own $(cksum <"${BASH_SOURCE[0]}")"
if [ "$(cat -- "$prefix/made_by" 2>/dev/null)" = "$made_by" ]; then
    exit 0
fi

codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
new=$(mktemp -d -- "$prefix.XXXXXX")
trap 'rm -rf -- "$new"' EXIT
chmod 755 "$new"

# The address that this machine gets Debian from: of a stanza (.sources) or a line (.list) about its own release.
mirror() {
    local found
    found=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v RS= -v release="$codename" '
        { uri = ""; fits = 0; count = split($0, lines, "\n")
          for (i = 1; i <= count; i++) {
              n = split(lines[i], words, /[ \t]+/)
              if (words[1] == "URIs:") uri = words[2]
              if (words[1] == "Suites:") for (j = 2; j <= n; j++) if (words[j] == release) fits = 1
          }
          if (uri != "" && fits) { print uri; exit } }')
    [ -n "$found" ] || found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -n 's/\[[^]]*\]//; s/^deb[ \t]*//p' | awk -v release="$codename" '$2 == release { print $1; exit }')
    printf '%s' "$found"
}

# Unpacks the packages and what they need: everything, as if nothing were installed, or with `--own` what is missing here.
fetch() {
    [ -r "$keys" ] || fail "there is no $keys; install debian-archive-keyring"
    local from suite suites=("$codename") apt=(apt-get -qq) target=()
    from=$(mirror)
    [ -n "$from" ] || fail "the sources of apt on this machine name no mirror of Debian '$codename'"
    $own || suites=("$newest" "$newest-backports") target=(-t "$newest-backports")
    mkdir -p "$new/apt/none" "$new/apt/lists/partial" "$new/apt/cache/archives/partial" "$new/root"
    : >"$new/apt/status"
    ! $own || cp -- /var/lib/dpkg/status "$new/apt/status"
    for suite in "${suites[@]}"; do
        printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$from" "$suite"
    done >"$new/apt/sources.list"
    apt+=(-o "Dir::Etc::sourcelist=$new/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::Etc::preferencesparts=$new/apt/none"
        -o "Dir::State=$new/apt" -o "Dir::State::lists=$new/apt/lists" -o "Dir::State::status=$new/apt/status"
        -o "Dir::Cache=$new/apt/cache" -o Debug::NoLocking=1 -o APT::Install-Recommends=0 -o APT::Sandbox::User=)
    "${apt[@]}" update || fail "apt cannot read ${suites[*]} of $from"
    "${apt[@]}" -y --download-only "${target[@]}" install "${packages[@]}" >/dev/null
    local package
    for package in "$new"/apt/cache/archives/*.deb; do
        dpkg -x "$package" "$new/root"
    done
    rm -rf -- "$new/apt"
    if [ -d "$new/root/lib" ]; then # older releases keep the C library outside of /usr
        cp -a -- "$new/root/lib/." "$new/root/usr/lib/"
    fi
    # Nothing here embeds Python, and a Python in a shared library would find this one in the place of its own.
    rm -f -- "$new"/root/usr/lib/*/libpython*
}

installed() {
    local package
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || return 1
    done
}

# The first file that matches, of the folder or else of the packages that are installed.
find_json() {
    local found
    found=$(find "$new/root/usr/share/vulkan" -name "$2" 2>/dev/null | head -n 1)
    printf '%s' "${found:-$(dpkg -L "$1" | grep "/${2//\*/[^/]*}\$" | head -n 1)}"
}

if $own; then
    installed || fetch
    cat >"$new/run" <<'RUN'
#!/bin/sh
# Runs a program with the Vulkan device, the validation layers and the SPIR-V tools of this folder and of the system.
here=$(dirname -- "$(readlink -f -- "$0")")
root=$here/root/usr
export VK_DRIVER_FILES="$here/lavapipe.json" VK_LOADER_LAYERS_DISABLE='~implicit~'
[ -d "$root" ] || exec "$@" # everything is installed in the system
for lib in "$root"/lib/*/; do
    LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
[ ! -d "$root/share/vulkan/explicit_layer.d" ] || export VK_LAYER_PATH="$root/share/vulkan/explicit_layer.d"
export LD_LIBRARY_PATH PATH="$root/bin:$PATH"
exec "$@"
RUN
else
    fetch
    # Its C library is newer than the system's, so programs are started by its own dynamic linker.
    cat >"$new/run" <<'RUN'
#!/bin/sh
# Runs a program with the Vulkan device, the validation layers and the SPIR-V tools of this folder. Of Python too, whatever
# it starts through `sys.executable` runs with them.
here=$(dirname -- "$(readlink -f -- "$0")")
root=$here/root/usr
program=$(command -v -- "$1") || { echo "$0: there is no program '$1'" >&2; exit 127; }
case $program in /*) ;; *) program=$PWD/$program ;; esac # what it starts may stand in another folder
shift
export VK_DRIVER_FILES="$here/lavapipe.json" VK_LOADER_LAYERS_DISABLE='~implicit~'
lib=$(dirname -- "$(ls -d "$root"/lib/*/libvulkan.so.1)")
export VK_LAYER_PATH="$root/share/vulkan/explicit_layer.d" PATH="$here/bin:$PATH"
export VULKAN_PREFIX_PYTHON="$program" PYTHONPATH="$here/python${PYTHONPATH:+:$PYTHONPATH}"
# The libraries that the program itself needs and that the system does not search for, such as another Python's.
needs=$(ldd "$program" 2>/dev/null | sed -n 's|.*=> \(/.*\)/[^/]* (.*|\1|p' | grep -v '^\(/usr\)\{0,1\}/lib' | sort -u | tr '\n' ':')
exec "$lib"/ld-linux-*.so.* --library-path "$lib:$needs" "$program" "$@"
RUN
    mkdir -p "$new/bin" "$new/python"
    # A tool of the folder needs the folder's libraries, whoever starts it.
    lib=$(dirname -- "$new"/root/usr/lib/*/libvulkan.so.1)
    for tool in "$new"/root/usr/bin/spirv-*; do
        wrapper=$new/bin/$(basename -- "$tool")
        printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
            "$(ls -- "$lib"/ld-linux-*.so.*)" "$lib" "$tool" | sed "s|$new/|$prefix/|g" >"$wrapper"
        chmod +x "$wrapper"
    done
    # What Python starts as `sys.executable` (workers of pytest, child processes of tests) is to run in the same way.
    printf '#!/bin/sh\nexec "%s/run" "$VULKAN_PREFIX_PYTHON" "$@"\n' "$prefix" >"$new/bin/alpha-vulkan-python"
    chmod +x "$new/bin/alpha-vulkan-python"
    cat >"$new/python/sitecustomize.py" <<'PYTHON'
import sys
from pathlib import Path

sys.executable = str(Path(__file__).parents[1] / "bin" / "alpha-vulkan-python")
PYTHON
fi
chmod +x "$new/run"
driver=$(find_json mesa-vulkan-drivers 'lvp_icd*.json')
library=$(cd -- "$new" && ls -- root/usr/lib/*/libvulkan_lvp.so 2>/dev/null) || true
if [ -n "$library" ]; then
    sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$prefix/$library\"#" "$driver" >"$new/lavapipe.json"
else
    cp -- "$driver" "$new/lavapipe.json"
fi
printf '%s\n' "$made_by" >"$new/made_by"

# Whoever comes first puts it in place; what an older version of this file made goes.
if [ -d "$prefix" ] && [ "$(cat -- "$prefix/made_by" 2>/dev/null)" != "$made_by" ]; then
    [ -e "$prefix/made_by" ] || [ -z "$(ls -A -- "$prefix")" ] || fail "$prefix is there and was not made by this script"
    rm -rf -- "$prefix"
fi
mv -T -- "$new" "$prefix" 2>/dev/null || [ "$(cat -- "$prefix/made_by" 2>/dev/null)" = "$made_by" ] ||
    fail "cannot put $prefix in place"
trap - EXIT
rm -rf -- "$new"
