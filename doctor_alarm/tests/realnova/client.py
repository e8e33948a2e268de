# SPDX-License-Identifier: Apache-2.0
"""What the tests let nova do, over its API."""

import time
import typing

from keystoneauth1 import session as keystone_session

from doctor_alarm.tests.realnova import stub

FLAVOR = 'tiny'


class TimedOut(Exception):
    """nova did not come to the state that was waited for."""


class Operations:
    """An administrator's view of nova; the methods return when it is done."""

    operation_timeout = 60
    session: keystone_session.Session   # of an administrator

    def boot(self, name: str, host: str, **metadata: str) -> str:
        """Boot a server on a host; returns its id."""
        server_id = self.request('POST', '/servers', {'server': {
            'name': name, 'imageRef': stub.IMAGE, 'flavorRef': FLAVOR,
            'networks': 'none', 'host': host, 'metadata': metadata,
        }})['server']['id']
        self._wait_for(server_id, 'ACTIVE', host)
        return server_id

    def show(self, server_id: str) -> dict:
        return self.request('GET', '/servers/%s' % server_id)['server']

    def reset_state(self, server_id: str, state: str):
        """Set the state of a server: "error" or "active"."""
        self._act(server_id, {'os-resetState': {'state': state}})
        self._wait_for(server_id, state.upper())

    def stop_server(self, server_id: str):
        self._act(server_id, {'os-stop': None})
        self._wait_for(server_id, 'SHUTOFF')

    def start_server(self, server_id: str):
        self._act(server_id, {'os-start': None})
        self._wait_for(server_id, 'ACTIVE')

    def evacuate(self, server_id: str, host: str,
                 microversion: str = 'latest') -> str:
        """Rebuild a server on another host; returns its status then.

        Its host must be down. Up to microversion 2.94 the server gets back
        to the status that it had, from 2.95 on it ends as SHUTOFF.
        """
        self._act(server_id, {'evacuate': {'host': host}}, microversion)

        # nova does not say so in the status: ERROR may stay to the end
        def done():
            server = self.show(server_id)
            return (server['OS-EXT-SRV-ATTR:host'] == host
                    and not server['OS-EXT-STS:task_state']
                    and server['status'])
        return self.wait('server %s on %s' % (server_id, host), done)

    def delete(self, server_id: str):
        self.request('DELETE', '/servers/%s' % server_id)
        self.wait('end of server %s' % server_id, lambda: self._answer(
            'GET', '/servers/%s' % server_id, raise_exc=False,
        ).status_code == 404)

    def service(self, host: str) -> dict:
        """Show the compute service of a host."""
        return self.request(
            'GET', '/os-services?binary=nova-compute&host=%s' % host,
        )['services'][0]

    def force_down(self, host: str, down: bool):
        """Say that a host is down for certain, or that it no longer is.

        After an evacuation nova refuses the latter with status 400 until
        the compute has been restarted.
        """
        self._update_service(host, {'forced_down': down})
        self.wait('%s forced down: %s' % (host, down), lambda: (
            self.service(host)['state'] == ('down' if down else 'up')))

    def disable(self, host: str, reason: str):
        """Take a host from the scheduler."""
        self._update_service(
            host, {'status': 'disabled', 'disabled_reason': reason})

    def enable(self, host: str):
        self._update_service(host, {'status': 'enabled'})

    def ensure_flavor(self):
        flavors = self.request('GET', '/flavors')['flavors']
        if FLAVOR not in {flavor['id'] for flavor in flavors}:
            self.request('POST', '/flavors', {'flavor': {
                'id': FLAVOR, 'name': FLAVOR, 'vcpus': 1, 'ram': 64,
                'disk': 0}})

    def request(self, method: str, path: str, body: dict | None = None,
                microversion: str = 'latest') -> dict:
        """Send any request and return the document of the answer.

        :raises keystoneauth1.exceptions.HttpError: with the answer
        """
        answer = self._answer(method, path, json=body,
                              microversion=microversion)
        return answer.json() if answer.content else {}

    def wait(self, what: str, condition: typing.Callable):
        """Wait for a condition and return what it returned."""
        deadline = time.monotonic() + self.operation_timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimedOut('%s: not within %d s' % (
                    what, self.operation_timeout))
            time.sleep(0.05)
        return value

    def _answer(self, method, path, microversion='latest', **kwargs):
        return self.session.request(
            path, method, log=False,    # or a failure shows little else
            headers={'OpenStack-API-Version': 'compute ' + microversion},
            endpoint_filter={
                'service_type': 'compute', 'interface': 'public'}, **kwargs)

    def _act(self, server_id, action, microversion='latest'):
        self.request('POST', '/servers/%s/action' % server_id, action,
                     microversion)

    def _update_service(self, host, changes):
        self.request('PUT', '/os-services/%s' % self.service(host)['id'],
                     changes)

    def _wait_for(self, server_id, status, host=None):
        def reached():
            server = self.show(server_id)
            if server['status'] == 'ERROR' != status:
                raise AssertionError('server %s is in ERROR: %s' % (
                    server_id, server.get('fault')))
            return (server['status'] == status
                    and not server['OS-EXT-STS:task_state']
                    and host in (None, server['OS-EXT-SRV-ATTR:host']))
        self.wait('server %s %s' % (server_id, status), reached)
