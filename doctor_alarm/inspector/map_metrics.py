# SPDX-License-Identifier: Apache-2.0
"""What is counted of the resource map."""
import prometheus_client as prom

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
