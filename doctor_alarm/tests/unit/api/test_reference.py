# SPDX-License-Identifier: Apache-2.0
"""Every route is documented and asked for, and nothing else is.

What a new route needs: a policy (``policies``), a section in
``doc/source/api`` and a line in ``doc/source/api.rst``, and in
``functional/gabbits`` a request that succeeds and has a sample, one without a
role and, in ``auth.yaml``, one without a token.
"""

import collections
import json
import re

from doctor_alarm import policies
from doctor_alarm.schemas import alarm as schema
from doctor_alarm.tests import base
from doctor_alarm.tests import reference
from doctor_alarm.tests import routes
from doctor_alarm.tests import samples

#: Answers that are no documents.
TEXTS = {'GET /healthcheck', 'GET /metrics'}


def names(found):
    return sorted(map(str, found))


class Walk(base.TestCase):

    def setUp(self):
        super().setUp()
        self.routes = routes.everything()
        self.requests = list(reference.requests())
        self.sections = {
            routes.Route(path, method): section
            for method, path, section in reference.sections()}

    def asked(self, *statuses):
        """Return the routes that answer so to a request of the files."""
        return {request.route for request in self.requests
                if request.status in statuses}


class ReferenceTest(Walk):

    def test_every_route_has_one_section(self):
        self.assertEqual(names(self.routes), names(
            routes.Route(path, method)
            for method, path, _section in reference.sections()))

    def test_every_route_is_in_the_overview(self):
        text = (reference.DOCUMENTS / 'api.rst').read_text()
        listed = {
            routes.Route(path, method)
            for methods, path in re.findall(
                r'(?m)^``([A-Z ]+) (/\S*)``(?:  |$)', text)
            for method in methods.split()}

        self.assertEqual(names(self.routes), names(listed))

    def test_every_route_is_asked_for_with_success(self):
        self.assertEqual(
            names(self.routes),
            names(self.routes & self.asked(200, 201, 202, 204)))

    def test_every_route_but_the_public_ones_is_refused(self):
        closed = {route for route in self.routes if not route.public}

        self.assertEqual(names(closed), names(closed & self.asked(403)))
        self.assertEqual(names(closed), names(closed & {
            request.route for request in self.requests
            if request.guarded and request.status == 401}))

    def test_what_is_no_route_is_not_found_or_not_allowed(self):
        self.assertEqual([], [
            request.where for request in self.requests
            if request.status == 405 and request.route is not None
            or request.route is None and request.status not in (404, 405)])

    def test_the_answers_of_a_route_are_those_that_were_seen(self):
        seen = collections.defaultdict(set)
        for request in self.requests:
            if not request.guarded and request.route is not None:
                seen[request.route].add(request.status)

        for route, section in self.sections.items():
            self.assertEqual(
                sorted(seen[route] - reference.COMMON),
                sorted(section.statuses), '%s in %s' % (route, section.where))

    def test_every_policy_is_named_where_it_holds(self):
        for rule in policies.list_rules():
            for operation in getattr(rule, 'operations', None) or ():
                route = routes.Route(
                    operation['path'].partition('?')[0], operation['method'])
                self.assertIn('``%s``' % rule.name,
                              self.sections[route].text, route)


def fields(schema):
    """Yield the names of everything that a schema knows."""
    for name, below in schema.get('properties', {}).items():
        yield name
        yield from fields(below)
        yield from fields(below.get('items', {}))


class FieldsTest(Walk):

    def test_every_field_of_an_alarm_is_explained(self):
        text = (reference.DOCUMENTS / 'api' / 'alarms.rst').read_text()
        foreign = {'%s_rule' % name for name in schema.FOREIGN_TYPES}

        self.assertEqual([], [
            name for name in fields(schema.SCHEMA)
            if '``%s``' % name not in text and name not in foreign])

    def test_every_field_of_an_answer_is_explained(self):
        # What a query finds is explained where it is listed.
        text = ''.join(path.read_text() for path in (
            reference.DOCUMENTS / 'api').iterdir())
        for section in self.sections.values():
            for name in section.samples:
                path = samples.FOLDER / ('%s-response.json' % name)
                doc = json.loads(path.read_text()) if path.exists() else {}
                item = doc[0] if isinstance(doc, list) else doc
                self.assertEqual([], [
                    field for field in (
                        item if isinstance(item, dict) else ())
                    if '``%s``' % field not in text], path.name)


class SamplesTest(Walk):

    def test_every_route_has_a_sample_of_its_own(self):
        own = collections.defaultdict(set)
        for request in self.requests:
            own[request.route].update(request.samples)
        bare = self.asked(204)

        self.assertEqual([], [
            '%s in %s' % (route, section.where)
            for route, section in sorted(self.sections.items())
            if str(route) not in TEXTS and route not in bare
            and not (section.samples & own[route])])

    def test_every_sample_is_shown_and_comes_from_a_request(self):
        there = {path.name for path in samples.FOLDER.iterdir()}
        made = {name for request in self.requests for name in request.samples}
        shown = {
            name for path in reference.DOCUMENTS.rglob('*.rst')
            for name in re.findall(r'samples/([\w-]+\.json)',
                                   path.read_text())}

        self.assertEqual(sorted(there), sorted(shown))
        self.assertEqual(sorted(made), sorted({
            re.sub('-(request|response).json$', '', name)
            for name in there}))
