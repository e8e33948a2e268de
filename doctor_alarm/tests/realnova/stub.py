# SPDX-License-Identifier: Apache-2.0
"""The few calls that nova makes to Glance (v2) and neutron (v2.0).

Glance has one image under any UUID; neutron is an empty cloud.

    stub.py HOST PORT
"""

import http.server
import json
import re
import sys

IMAGE = '11111111-1111-4111-8111-111111111111'
CREATED = '2026-01-01T00:00:00Z'


def image(image_id):
    return {
        'id': image_id, 'name': 'stub', 'status': 'active',
        'visibility': 'public', 'owner': 'stub', 'protected': False,
        'container_format': 'bare', 'disk_format': 'raw', 'tags': [],
        'size': 1024, 'virtual_size': 1024, 'min_disk': 0, 'min_ram': 0,
        'checksum': 'd41d8cd98f00b204e9800998ecf8427e',
        'created_at': CREATED, 'updated_at': CREATED,
        'self': '/v2/images/' + image_id,
        'file': '/v2/images/%s/file' % image_id,
        'schema': '/v2/schemas/image',
    }


# nova keeps only the fields which the schema lists as base properties.
SCHEMA = {
    'name': 'image', 'links': [],
    'properties': {name: {'description': name} for name in image(IMAGE)},
    'additionalProperties': {'type': 'string'},
}


def answer(method, path):
    """Return status and document."""
    if method == 'DELETE':
        return 204, None
    if method in ('GET', 'HEAD'):
        if found := re.fullmatch(r'/v2/images/([0-9a-f-]{36})', path):
            return 200, image(found.group(1))
        if path == '/v2/images':
            return 200, {'images': [image(IMAGE)]}
        if path.startswith('/v2/schemas/'):
            return 200, SCHEMA
        if found := re.fullmatch(r'/v2\.0/([a-z-]+)', path):
            return 200, {found.group(1).replace('-', '_'): []}
    return 404, {'error': 'not in the stub: %s %s' % (method, path)}


class Handler(http.server.BaseHTTPRequestHandler):

    protocol_version = 'HTTP/1.1'

    def _handle(self):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        status, document = answer(
            self.command, self.path.partition('?')[0].rstrip('/'))
        body = b'' if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle


if __name__ == '__main__':
    http.server.ThreadingHTTPServer.daemon_threads = True
    http.server.ThreadingHTTPServer(
        (sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
