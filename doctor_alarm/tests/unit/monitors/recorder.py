# SPDX-License-Identifier: Apache-2.0
"""A reporter that keeps what monitors report."""

from doctor_alarm.monitors import base


class Recorder(base.Reporter):

    def __init__(self, *known):
        self.known = set(known)
        self.findings = []
        self.forgotten = []

    def report(self, finding):
        self.findings.append(finding)

    def known_down(self, subject):
        return subject in self.known

    def forget(self, subject):
        self.forgotten.append(subject)

    @property
    def told(self):
        """(subject, status) of everything reported."""
        return [(finding.subject, finding.status)
                for finding in self.findings]

    def take(self):
        """Return what was told since the last time."""
        told = self.told
        self.findings.clear()
        return told


def down(name='h1'):
    return base.host_finding(name, base.DOWN, 'no answer')


def up(name='h1'):
    return base.host_finding(name, base.UP, 'answers')
