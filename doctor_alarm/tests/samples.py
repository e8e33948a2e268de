# SPDX-License-Identifier: Apache-2.0
"""Requests and answers for the API reference, as the service has them.

A request in ``functional/gabbits`` with ``response_sample: [NAME]`` is the
source of ``doc/source/samples/NAME-request.json`` and ``NAME-response.json``.
Ids, times and addresses, which differ from run to run, are those of an
example. ``tools/api-samples.sh`` writes the files anew; else a test fails
whose answer is not what its file says.
"""

import datetime
import json
import os
import pathlib
import re
import uuid

from gabbi.handlers import base

import doctor_alarm

FOLDER = (pathlib.Path(doctor_alarm.__file__).parents[1]
          / 'doc' / 'source' / 'samples')
WRITE = 'DOCTOR_ALARM_WRITE_SAMPLES'

_UUID = re.compile(r'[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}')
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?')
#: What a time of the example is, by the name of its field.
_TIMES = {
    'notified_at': '11:01:49.192331', 'transformed_at': '11:01:49.217211',
    'evaluated_at': '11:01:49.269338', 'committed_at': '11:01:49.308334',
    'fired_at': '11:01:49.313114', 'received_at': '11:01:49.316854',
    'replayed_at': '11:20:15.500121', 'timestamp': '11:01:49.269338',
    'state_timestamp': '11:01:49.269338',
    'evaluate_timestamp': '11:01:49.269338',
    'detected_at': '11:01:49.192331', 'reported_at': '11:01:49.217211',
    # Stages of a fault
    'T00': '11:01:49.071006', 'T01': '11:01:49.192331',
    'T02': '11:01:49.217904', 'T05': '11:01:49.217904',
    'T06': '11:01:49.217904', 'T07': '11:01:49.269338',
    'T08': '11:01:49.313114', 'T09': '11:01:49.316854'}
#: First and last time of what they are in.
_SPAN = ('first', 'last')
#: What is measured and is no time.
_NUMBERS = {'duration': 0.245848}
_DAY, _OTHER_TIME = '2026-11-20', '11:01:49.192331'
#: Empty when the commit was quicker told of by another way.
_MAY_MISS = ('committed_at',)
#: Times that the service does not measure.
_FIXED = ('updated',)


class Sample(base.ResponseHandler):
    """Compares a request and its answer with the files of the documents."""

    test_key_suffix = 'sample'
    test_key_value = []

    def action(self, test, name, value=None):
        places = {
            '%s://%s' % (test.scheme, test.netloc):
                'http://alarming.example:8042',
            os.environ['RECEIVER']: 'https://vnfm.example/',
            os.environ['REFUSER']: 'https://noc.example/'}
        example = Example(places)
        for kind, doc in (('request', _asked(test)),
                          ('response', test.response_data)):
            if doc is not None:
                self._compare(test, '%s-%s.json' % (name, kind),
                              example.of(doc))

    @staticmethod
    def _compare(test, name, doc):
        text = json.dumps(doc, indent=2) + '\n'
        path = FOLDER / name
        if os.environ.get(WRITE):
            path.write_text(text)
        test.assertEqual(
            path.read_text() if path.exists() else None, text,
            '%s is out of date, see tools/api-samples.sh' % path)


def _asked(test):
    data = test.replace_template(test.test_data['data'])
    if isinstance(data, str):
        return json.loads(data) if data else None
    return data


class Example:
    """Gives what differs from run to run the values of the example."""

    def __init__(self, places):
        self._places = places
        self._ids = {}

    def of(self, doc):
        """Return a document with the values of the example."""
        self._name_ids(doc, '')
        return self._changed(doc, '', 0)

    def _name_ids(self, doc, field):
        """Give each id one that tells by its kind and number."""
        if isinstance(doc, dict):
            for name, value in doc.items():
                self._name_ids(value, name)
        elif isinstance(doc, list):
            for value in doc:
                self._name_ids(value, field)
        elif isinstance(doc, str):
            kind = field.removesuffix('s')
            for found in _UUID.findall(self._placed(doc)):
                number = sum(k == kind for k, _ in self._ids.values())
                self._ids.setdefault(found, (kind, number))

    def _changed(self, doc, field, age):
        if isinstance(doc, dict):
            return {name: self._changed(
                value, field if name in _SPAN else name, age)
                for name, value in doc.items()}
        if isinstance(doc, list):
            return [self._changed(value, field, age + number)
                    for number, value in enumerate(doc)]
        if doc is None and field in _MAY_MISS:
            return _time(field, age)
        if isinstance(doc, float):
            return _NUMBERS.get(field, doc)
        if not isinstance(doc, str) or field in _FIXED:
            return doc
        text = _TIME.sub(lambda found: _time(field, age), self._placed(doc))
        return _UUID.sub(self._id, text)

    def _placed(self, text):
        for here, there in self._places.items():
            text = text.replace(here, there)
        return text

    def _id(self, found):
        return str(uuid.uuid5(
            uuid.NAMESPACE_DNS, '%s-%d' % self._ids[found.group()]))


def _time(field, age):
    """Return a time; those of what is further down in a list are earlier."""
    text = '%sT%s' % (_DAY, _TIMES.get(field, _OTHER_TIME))
    if not age:
        return text
    return (datetime.datetime.fromisoformat(text)
            - age * datetime.timedelta(seconds=61)).isoformat()
