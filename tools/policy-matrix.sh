#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes doc/source/policy-matrix.csv anew: who gets which status on which
# route. Run it in an environment with the requirements of the tests.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOCTOR_ALARM_WRITE_TABLES=1
python -m testtools.run doctor_alarm.tests.unit.api.test_policy_matrix
git --no-pager diff --stat doc/source/policy-matrix.csv
