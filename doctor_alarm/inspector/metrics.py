# SPDX-License-Identifier: Apache-2.0
"""What the inspector counts: faults, what it told, and its resource map."""
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
MAP_SERVERS = prom.Gauge(
    'doctor_alarm_resource_map_servers', 'Servers that the inspector knows')
MAP_CONFIRMED = prom.Gauge(
    'doctor_alarm_resource_map_confirmed_seconds',
    'Time of the last reading of it that was complete, in seconds since the '
    'epoch', ['what'])
MAP_FAILURES = prom.Counter(
    'doctor_alarm_resource_map_failures_total',
    'Readings of servers or ports that failed', ['what'])
MAP_LOOKUPS = prom.Counter(
    'doctor_alarm_resource_map_lookups_total',
    'Hosts that nova was asked for, because what was known of them was too '
    'old', ['outcome'])
