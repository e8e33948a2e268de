# SPDX-License-Identifier: Apache-2.0
"""What a newcomer types from the first pages works as it is printed."""

import pathlib
import re
import textwrap

import doctor_alarm
from doctor_alarm.tests.functional import shell
from doctor_alarm.tests.functional import test_standalone

TOP = pathlib.Path(doctor_alarm.__file__).parents[1]
PAGES = ('README.rst', 'doc/source/quick-start.rst', 'doc/source/alarms.rst')
#: Where the pages say that the service is, and a receiver that is not.
SERVICE, NOWHERE = 'http://127.0.0.1:8042', 'http://127.0.0.1:9000/'
_BLOCK = re.compile(r'::\n\n((?:    .*\n|\n)+)')
_BEGINNING = re.compile(r'(openstack alarm|curl|id=|\. \.venv)')


def scripts(page):
    """Return the commands that are for a running service."""
    text = (TOP / page).read_text()
    blocks = map(textwrap.dedent, _BLOCK.findall(text))
    return [block for block in blocks if _BEGINNING.match(block.lstrip())]


class FirstStepsTest(test_standalone.StandaloneTest):

    def setUp(self):
        super().setUp()
        self.given_running()
        self.shell = self.useFixture(shell.Shell(
            OS_AUTH_TYPE='none', OS_ENDPOINT=self.service.url))

    def run_page(self, page):
        """Return what its commands printed; their alarms are gone then."""
        printed = [self.shell.run(script.replace(
            '. .venv/bin/activate', '').replace(
                SERVICE, self.service.url).replace(
                    NOWHERE, self.receiver.url)) for script in scripts(page)]
        for said in printed:
            self.assertNotIn('error_message', said)
            self.assertEqual([], re.findall(r'HTTP/1.1 (?!20)\d+', said))
        for alarm in self.service.api('GET', '/v2/alarms').json():
            self.service.api('DELETE', '/v2/alarms/' + alarm['alarm_id'])
        return printed

    def test_the_pages(self):
        created, = self.run_page(PAGES[0])
        self.assertIn('any error', created)

        created, event, deliveries = self.run_page(PAGES[1])
        self.assertIn('any error', created)
        self.assertIn('202 Accepted', event)
        self.assertIn('"sequence": 1', deliveries)
        self.wait_until(lambda: self.receiver.bodies)

        printed = '\n'.join(self.run_page(PAGES[2]))
        for said in ('vm-1 down', '201 Created', '"verdict": null'):
            self.assertIn(said, printed)
