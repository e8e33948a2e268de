#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes doc/source/samples anew: requests and answers of a running service,
# for the API reference. Run it in an environment with the requirements of the
# tests.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -f doc/source/samples/*.json
export DOCTOR_ALARM_WRITE_SAMPLES=1
python -m testtools.run doctor_alarm.tests.functional.api.test_gabbi
git --no-pager diff --stat doc/source/samples
