# SPDX-License-Identifier: Apache-2.0
"""What monitors count."""
import prometheus_client as prom

FINDINGS = prom.Counter(
    'doctor_alarm_monitor_findings_total',
    'What monitors found', ['type'])
POSTS = prom.Counter(
    'doctor_alarm_monitor_posts_total',
    'Requests to the event API', ['outcome'])
DROPPED = prom.Counter(
    'doctor_alarm_monitor_dropped_total',
    'Findings that will never be posted', ['reason'])
WAITING = prom.Gauge(
    'doctor_alarm_monitor_waiting',
    'Findings that wait to be posted')
TARGETS = prom.Gauge(
    'doctor_alarm_monitor_targets',
    'Hosts or servers that are looked at', ['monitor', 'state'])
BLIND = prom.Counter(
    'doctor_alarm_monitor_blind_total',
    'Observations that did not count, because it was the monitor that saw '
    'nothing', ['monitor'])
