#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From a fresh checkout to a fault that reaches its receiver:
#
#   tools/quickstart.sh [--once]
#
# Makes .venv, starts the standalone service on 127.0.0.1:8042, plays a fault
# and prints how it travelled. Serves until Ctrl-C, or not at all with --once.
# PYTHON names the interpreter (3.11 or newer) if it is not python3.

set -euo pipefail

me=tools/quickstart.sh
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$top/tools/venv.sh"

venv_ensure .venv -e '.[demo]'

exec "$venv/bin/python" -m doctor_alarm.cmd.entry quickstart "$@"
