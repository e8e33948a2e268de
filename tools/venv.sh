# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by quickstart.sh and test.sh: environments with pinned contents.
# The caller has set "me" (its name, for messages) and "top" (the checkout);
# "also" may name packages that it will ask for later.

say() { printf '%s\n' "$*"; }
stop() { printf '%s: %s\n' "$me" "$*" >&2; exit 2; }

# A command that makes us root, "-" when we are already; fails without one.
root_prefix() {
    if [ "$(id -u)" = 0 ]; then echo -; return; fi
    sudo -n true 2>/dev/null && echo sudo
}

as_root() {
    local prefix
    prefix=$(root_prefix)
    if [ "$prefix" = sudo ]; then sudo -n "$@"; else "$@"; fi
}

# apt_install PACKAGE...: without questions and without starting a service.
apt_install() {
    local policy=/usr/sbin/policy-rc.d saved='' code=0 log
    log=$(mktemp)
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        saved=$policy.doctor-alarm
        as_root mv "$policy" "$saved"
    fi
    # shellcheck disable=SC2064  # expanded now: the names are local
    trap "apt_restore '$policy' '$saved'; exit 130" INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    say "installing $* with apt-get"
    { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
            --no-install-recommends install "$@"
    } >"$log" 2>&1 </dev/null || code=$?
    apt_restore "$policy" "$saved"
    trap - INT TERM
    [ $code = 0 ] || tail -20 "$log" >&2
    rm -f "$log"
    return $code
}

apt_restore() { # the file, what it was before (empty: it was not there)
    as_root rm -f "$1"
    [ -z "$2" ] || as_root mv "$2" "$1"
}

# Sets "python" to the first interpreter that is new enough.
find_python() {
    local found=''
    for python in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null && return
        [ -n "$found" ] || found=$("$python" -V 2>/dev/null) || found=''
    done
    stop "needs Python 3.11 or newer (found: ${found:-none});" \
        "name another one with PYTHON=/path/to/python3"
}

# venv_ensure NAME PIP_ARGUMENT...: the environment NAME in the checkout,
# made or renewed if what it is made from has changed. Sets "venv".
venv_ensure() {
    local stamp
    venv=$top/$1
    find_python
    # One at a time; the lock ends with the descriptor.
    exec 9<"$top/tools/venv.sh"
    if ! flock -n 9; then
        say "waiting for another run that prepares an environment"
        flock 9
    fi
    stamp=$(venv_stamp "$@")
    if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ] ||
            ! "$venv/bin/python" -c '' 2>/dev/null; then
        venv_build "$@"
        echo "$stamp" >"$venv/stamp"
    fi
    exec 9<&-
}

# What the contents of the environment follow from.
venv_stamp() {
    {
        echo "$top" "$@"
        "$python" -c 'import sys; print(sys.base_prefix, sys.version)'
        cd "$top" && cat constraints.txt requirements.txt \
            test-requirements.txt setup.cfg setup.py pyproject.toml \
            tools/venv.sh
    } | sha256sum | cut -d' ' -f1
}

venv_build() {
    local name=$1 new=$top/$1.incomplete started=$SECONDS
    shift
    say "preparing $name with $("$python" -V) (once; takes a minute or two)"
    rm -rf "$new"
    venv_create "$new" "$name"
    venv_install "$new" "$@"
    venv_relocate "$new" "$top/$name"
    rm -rf "${top:?}/$name"
    mv "$new" "$top/$name"
    say "$name is ready after $((SECONDS - started)) s"
}

venv_create() {
    local package=$python-venv
    if ! has_ensurepip && [ -x "$(command -v apt-get)" ] &&
            root_prefix >/dev/null; then
        # Not Debian's Python, or no network: the next attempt will tell.
        apt_install "${package##*/}" || true
    fi
    if has_ensurepip; then
        "$python" -m venv --prompt "$2" "$1"
    else
        { "$python" -m venv --without-pip --prompt "$2" "$1" 2>/dev/null &&
            pip_from_elsewhere "$1"; } ||
            stop "Python cannot make environments here; please install" \
                "what it needs: apt-get install --no-install-recommends" \
                "${package##*/}${also:+ $also}"
    fi
}

has_ensurepip() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# Puts pip into an environment with the pip, or a wheel of it, that the
# machine has.
pip_from_elsewhere() {
    local wheel pip
    pip=$(grep '^pip==' "$top/constraints.txt") || pip=pip
    "$python" -m pip --python "$1/bin/python" install -q "$pip" \
        2>/dev/null && return
    for wheel in /usr/share/python-wheels/pip-*.whl \
            /usr/lib/python3*/site-packages/virtualenv/seed/wheels/embed/pip-*.whl \
            /usr/lib/python3/dist-packages/virtualenv/seed/wheels/embed/pip-*.whl; do
        [ -f "$wheel" ] && "$1/bin/python" "$wheel/pip" install -q \
            --no-index "$wheel" 2>/dev/null && return
    done
    return 1
}

# venv_install ENVIRONMENT PIP_ARGUMENT...
venv_install() {
    local new=$1 log=$1/install.log
    shift
    if ! (
        # Relative, because a path with a space would read as two.
        cd "$top"
        export PIP_CONSTRAINT=constraints.txt
        # what pip 25.3 and newer read for the isolated build
        export PIP_BUILD_CONSTRAINT=constraints.txt
        export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
        unset PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV PYTHONPATH
        # A checkout without its history, or one of somebody else
        git rev-parse HEAD >/dev/null 2>&1 ||
            export PBR_VERSION=${PBR_VERSION:-0.0.1}
        "$new/bin/python" -m pip install --no-compile --progress-bar off \
            "$@" 2>&1
    ) | tee "$log" | show_progress "$(grep -c '==' "$top/constraints.txt")"
    then
        say "pip failed:" >&2
        tail -15 "$log" >&2
        exit 1
    fi
}

# One short line per package that pip looks at; on a terminal all in one.
show_progress() {
    local line count=0 started=$SECONDS what='asking the package index'
    while :; do
        if IFS= read -r -t 2 line; then
            case $line in
                Collecting\ *|Processing\ *)
                    count=$((count + 1))
                    line=${line#* } line=${line%% *} line=${line##*/}
                    line=${line%%[=<>~!\[;(]*}
                    what="$count of at most $1: ${line%%-[0-9]*}" ;;
                *'Installing collected packages'*)
                    what="unpacking $count packages" ;;
                *) continue ;;
            esac
        elif [ $? -le 128 ]; then
            break
        elif [ ! -t 1 ] && [ $((SECONDS % 10)) -gt 2 ]; then
            continue
        fi
        if [ -t 1 ]; then
            printf '\r\033[K  %3d s  %s' $((SECONDS - started)) "$what"
        else
            printf '  %3d s  %s\n' $((SECONDS - started)) "$what"
        fi
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

# Scripts and activation files name the folder they were made in.
venv_relocate() {
    "$1/bin/python" - "$1" "$2" <<'EOF'
import os
import pathlib
import sys

old, new = (os.fsencode(path) for path in sys.argv[1:])
top = pathlib.Path(sys.argv[1])
for path in [top / 'pyvenv.cfg', *(top / 'bin').iterdir()]:
    if path.is_symlink() or not path.is_file():
        continue
    content = path.read_bytes()
    if old in content and b'\0' not in content:
        path.write_bytes(content.replace(old, new))
EOF
}
