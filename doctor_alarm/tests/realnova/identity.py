# SPDX-License-Identifier: Apache-2.0
"""The users and the catalogue of the deployment, entered into Keystone."""

from keystoneauth1 import session as keystone_session

from doctor_alarm.tests.realnova import configuration

SERVICE_ROLES = ('admin', 'service')


def register(session: keystone_session.Session,
             deployment: configuration.Deployment):
    """Enter what "keystone-manage bootstrap" does not."""
    identity = _Identity(session)
    project = identity.create('project', name='service', domain_id='default')
    roles = {role['name']: role['id'] for role in identity.list('role')}
    for name in configuration.USERS:
        user = identity.create(
            'user', name=name, domain_id='default',
            password=configuration.PASSWORD)
        for role in SERVICE_ROLES:
            identity.put('/projects/%s/users/%s/roles/%s' % (
                project, user, roles[role]))
    for service_type, url in deployment.endpoints.items():
        if service_type == 'identity':
            continue
        service = identity.create(
            'service', name=service_type, type=service_type)
        for interface in ('public', 'internal', 'admin'):
            identity.create(
                'endpoint', service_id=service, interface=interface, url=url,
                region_id=configuration.REGION)


class _Identity:

    def __init__(self, session):
        self._session = session

    def list(self, noun):
        return self._request('GET', '/%ss' % noun).json()[noun + 's']

    def create(self, noun, **attributes):
        answer = self._request('POST', '/%ss' % noun, json={noun: attributes})
        return answer.json()[noun]['id']

    def put(self, path):
        self._request('PUT', path)

    def _request(self, method, path, **kwargs):
        return self._session.request(
            path, method, endpoint_filter={
                'service_type': 'identity', 'interface': 'public'}, **kwargs)
