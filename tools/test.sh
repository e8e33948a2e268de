#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests and everything they need:
#
#   tools/test.sh [--unit] [ARGUMENT OF STESTR RUN...]
#
# Makes .venv-test, installs the Debian packages of bindep.txt (without
# starting their services) and runs the suite; the functional tests start
# private instances of RabbitMQ, MariaDB and PostgreSQL. With --unit only the
# unit tests, which need no services. Examples:
#
#   tools/test.sh --unit evaluator
#   tools/test.sh --concurrency 1 functional.test_services

set -euo pipefail

me=tools/test.sh
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$top/tools/venv.sh"

unit=
if [ "${1:-}" = --unit ]; then
    unit=1
    shift
fi

need_packages() {
    local missing
    # Exits 1 when something is missing, with a name per line.
    missing=$("$venv/bin/bindep" --brief --file "$top/bindep.txt" test) || true
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086  # one word per package
    set -- $missing
    if ! root_prefix >/dev/null; then
        stop "the functional tests need packages; as root:" \
            "apt-get install --no-install-recommends $*"
    fi
    apt_install "$@" || stop "these packages cannot be installed: $*"
}

# The one that pip compiles, against one of those packages.
need_libvirt() {
    "$venv/bin/python" -c 'import libvirt' 2>/dev/null && return
    # Debian keeps what compiling takes apart from its Python.
    "$venv/bin/python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        apt_install "$("$venv/bin/python" -c 'import sys
print("python%d.%d-dev" % sys.version_info[:2])')" ||
        stop "the headers of this Python are missing"
    say "compiling libvirt-python (once; takes half a minute)"
    venv_install "$venv" libvirt-python
}

# Reads the closing lines of stestr, prints them as one.
summary() {
    [ -z "$(tail -c 1 "$1")" ] || echo
    awk '
        /^ - Passed: /             { passed += $3 }
        /^ - Expected Fail: /      { passed += $4 }
        /^ - Skipped: /            { skipped += $3 }
        /^ - Unexpected Success: / { failed += $4 }
        /^ - Failed: /             { failed += $3 }
        /^\t\* /                   { failed += 1 }   # its worker crashed
        END {
            printf "%d passed, %d failed, %d skipped\n", \
                passed, failed, skipped
            exit failed > 0 || passed == 0
        }' "$1"
}

if [ -z "$unit" ]; then
    # shellcheck disable=SC2034  # read by venv.sh
    also=$(sed -n 's/ \[platform:dpkg test\]$//p' "$top/bindep.txt" | xargs)
fi
venv_ensure .venv-test -r test-requirements.txt -e .
if [ -z "$unit" ]; then
    need_packages
    need_libvirt
fi

cd "$top"
export PATH=$venv/bin:$PATH
export OS_LOG_CAPTURE=1 OS_STDOUT_CAPTURE=1 OS_STDERR_CAPTURE=1
export PYTHONWARNINGS=${PYTHONWARNINGS:-default::DeprecationWarning:doctor_alarm}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

code=0
stestr ${unit:+--test-path ./doctor_alarm/tests/unit} \
    run "$@" 2>&1 | tee "$output" || code=$?
summary "$output" || code=1
exit $code
