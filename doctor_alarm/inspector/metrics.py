# SPDX-License-Identifier: Apache-2.0
"""What the inspector counts."""
import prometheus_client as prom

FAULTS = prom.Counter(
    'doctor_alarm_faults_total',
    'Faults (down), ends of faults (up), and faults in another region '
    '(elsewhere), that the failure policy knows', ['status'])
DERIVED = prom.Counter(
    'doctor_alarm_derived_events_total',
    'Events that followed from faults')
DERIVATION = prom.Histogram(
    'doctor_alarm_derivation_seconds',
    'From the receipt of faults to the confirmation of what follows',
    buckets=(.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10))
ACTIONS = prom.Counter(
    'doctor_alarm_fault_actions_total',
    'What nova and neutron were told of faults', ['action', 'outcome'])
