# SPDX-License-Identifier: Apache-2.0
"""A nova and a neutron with servers and ports: real HTTP on loopback.

Like the real ones they page, filter, and ask for a token and a microversion.
"""

import datetime

from doctor_alarm.tests import novamock

EPOCH = datetime.datetime(2026, 11, 20, 12)


class CloudMock(novamock.NovaMock):
    """Has ``instances`` and ``ports`` by their ids.

    :ivar page: most servers and ports in an answer
    :ivar newest: the newest microversion of nova
    :ivar requests: (what, query) of all that was asked for
    :ivar failures: what ("servers", "ports") -> (status, whether the
        first page fails, too)
    :ivar show_hosts: whether the account may see and choose hosts
    """

    def __init__(self):
        super().__init__()
        self.instances = {}
        self.ports = {}
        self.page = 3
        self.newest = '2.100'
        self.requests = []
        self.failures = {}
        self.show_hosts = True
        self.now = EPOCH

    # What the tests do

    def boot(self, server_id, host, state='active', port=None, flavor=None,
             image=None, **metadata):
        self.instances[server_id] = {
            'host': host, 'state': state, 'flavor': flavor or {},
            'image': image, 'metadata': metadata,
            'updated': self._tick()}
        if port:
            self.ports[port] = {
                'device_id': server_id, 'device_owner': 'compute:nova'}

    def change(self, server_id, **changed):
        self.instances[server_id].update(changed, updated=self._tick())

    def delete(self, server_id):
        self.change(server_id, state='deleted')

    def asked_for(self, what):
        return [query for name, query in self.requests if name == what]

    def _tick(self):
        self.now += datetime.timedelta(seconds=1)
        return self.now

    # Documents

    def token(self, request):
        doc = super().token(request)
        doc['token']['catalog'].append({
            'type': 'network', 'name': 'neutron', 'id': 'n', 'endpoints': [{
                'interface': 'internal', 'region': 'R1', 'region_id': 'R1',
                'url': self.url + '/network', 'id': 'f'}]})
        return doc

    def versions(self):
        doc = super().versions()
        doc['version']['version'] = self.newest
        return doc

    def network_versions(self):
        return {'versions': [{'id': 'v2.0', 'status': 'CURRENT', 'links': [
            {'rel': 'self', 'href': self.url + '/network/v2.0/'}]}]}

    def server(self, server_id, version):
        found = self.instances[server_id]
        doc = {
            'id': server_id, 'name': 'name of ' + server_id,
            'tenant_id': 'project', 'status': found['state'].upper(),
            'OS-EXT-STS:vm_state': found['state'],
            'updated': found['updated'].isoformat() + 'Z',
            'metadata': found['metadata'], 'links': [],
            'flavor': {'id': 'f'}, 'image': ''}
        if self.show_hosts:
            doc['OS-EXT-SRV-ATTR:host'] = found['host']
        if found['image'] is not None:
            doc['image'] = {'id': 'i', 'links': []}
            if version >= (2, 98):
                doc['image']['properties'] = found['image']
        if version >= (2, 47):
            doc['flavor'] = {
                'original_name': 'f', 'vcpus': 1, 'ram': 1, 'disk': 0,
                'ephemeral': 0, 'swap': 0, 'extra_specs': found['flavor']}
        return doc


class Handler(novamock.Handler):

    def show_other(self, mock, path, query):
        query = {name: values[0] if len(values) == 1 else values
                 for name, values in query.items()}
        if path == '/compute/v2.1/servers/detail':
            self._list(mock, 'servers', query)
        elif path == '/network/v2.0/ports':
            self._list(mock, 'ports', query)
        elif path.rstrip('/') == '/network':
            self.answer(200, mock.network_versions())
        else:
            super().show_other(mock, path, query)

    def _list(self, mock, what, query):
        mock.requests.append((what, query))
        if self.headers.get('X-Auth-Token') not in mock.tokens:
            self.answer(401, {'error': {'message': 'token'}})
            return
        marker = query.get('marker')
        mock._released.wait(60)
        status, first = mock.failures.get(what, (200, True))
        if status != 200 and (first or marker):
            self.answer(status, {'error': {'message': 'as asked'}})
            return
        ids, docs = getattr(self, '_' + what)(mock, query)
        first = ids.index(marker) + 1 if marker else 0
        page = docs[first:first + mock.page]
        answer = {what: page}
        if first + mock.page < len(docs):
            answer[what + '_links'] = [{'rel': 'next', 'href': (
                '%s%s&marker=%s' % (
                    mock.url, self.path.partition('&marker=')[0],
                    page[-1]['id']))}]
        self.answer(200, answer)

    def _servers(self, mock, query):
        name, _, number = self.headers.get(
            'OpenStack-API-Version', '').partition(' ')
        version = tuple(int(part) for part in number.split('.'))
        if name != 'compute' or version > tuple(
                int(part) for part in mock.newest.split('.')):
            mock.wrong.append('version %s %s' % (name, number))
        known = {'all_tenants', 'limit', 'marker', 'host', 'changes-since'}
        if query.get('all_tenants') != 'True' or set(query) - known:
            mock.wrong.append(self.path)
        since = datetime.datetime.fromisoformat(
            query['changes-since']) if 'changes-since' in query else None
        ids = [
            server_id for server_id, found in sorted(mock.instances.items())
            if (found['state'] != 'deleted' if since is None
                else found['updated'].replace(tzinfo=since.tzinfo) >= since)
            and (not mock.show_hosts
                 or query.get('host') in (None, found['host']))]
        return ids, [mock.server(each, version) for each in ids]

    def _ports(self, mock, query):
        if set(query) - {'limit', 'marker', 'fields'} or set(
                query['fields']) != {
                    'id', 'device_id', 'device_owner', 'updated_at'}:
            mock.wrong.append(self.path)
        ids = sorted(mock.ports)
        return ids, [{'id': each, 'updated_at': '2026-11-20T12:00:00Z',
                      **mock.ports[each]} for each in ids]


CloudMock.handler = Handler
