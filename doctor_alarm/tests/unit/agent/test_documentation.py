# SPDX-License-Identifier: Apache-2.0

import pathlib
import re

from doctor_alarm.agent import nova_format
from doctor_alarm.tests import base

PAGE = (pathlib.Path(__file__).parents[4] / 'doc' / 'source'
        / 'nova-notifications.rst')


class TestTwins(base.TestCase):

    def test_the_table_is_that_of_the_code(self):
        documented = set()
        for left, right in re.findall(
                r'^([a-z_.{},]+\.\S+) {2,}([a-z_.{},]+)$', PAGE.read_text(),
                re.MULTILINE):
            for phase in ('start', 'end') if '{' in left else ('',):
                documented.add((left.replace('{start,end}', phase),
                                right.replace('{start,end}', phase)))
        self.assertEqual(set(nova_format.twins()), documented)
