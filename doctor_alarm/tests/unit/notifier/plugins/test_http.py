# SPDX-License-Identifier: Apache-2.0

import asyncio
import base64
import contextlib
import datetime
import email.utils
import ipaddress
import os
import resource
import ssl
import time
import urllib.parse
from unittest import mock

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
from cryptography.x509.oid import NameOID
import fixtures

from doctor_alarm import exception
from doctor_alarm.notifier.plugins import http
from doctor_alarm.tests import base
from doctor_alarm.tests import nameserver
from doctor_alarm.tests.services import process
from doctor_alarm.tests.unit.notifier import contract
from doctor_alarm.tests.unit.notifier import deliveries

SECRET = contract.SECRET
PATH = '/hooks/%s/x?token=%s&aodh-alarm-ssl-verify=0' % (SECRET, SECRET)

Case = contract.Case


def answer(status, **kwargs):
    """A handler of a web server that always answers in this way."""
    async def handle(request):
        await request.read()
        return web.Response(status=status, **kwargs)
    return handle


async def echo(request):
    """What servers show in their error pages, and more."""
    return web.Response(status=404, text='Cannot POST %s\n%s\n%s' % (
        request.path_qs, urllib.parse.unquote(request.path_qs),
        request.headers.get('Authorization')))


async def endless(request):
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    while True:
        await response.write(b'x' * 65536)


async def late_body(request):
    response = web.StreamResponse(status=200, headers={'Content-Length': '3'})
    await response.prepare(request)
    await asyncio.sleep(0.05)
    await response.write(b'yes')
    return response


async def zipped(request):
    return web.Response(status=500, body=b'not gzip at all',
                        headers={'Content-Encoding': 'gzip'})


class Raw:
    """A server that answers any connection with these bytes and closes."""

    def __init__(self, data):
        self.data = data

    async def __call__(self, reader, writer):
        await reader.read(100)
        writer.write(self.data)
        writer.close()


class Refused:
    """Nobody listens."""


class TestHttpNotifier(contract.Contract, base.TestCase):
    plugin = http.HttpNotifier
    schemes = ('http', 'https')

    cases = (
        *(Case('%d' % status, answer(status), contract.DELIVERED)
          for status in (200, 201, 202, 204)),
        *(Case('%d' % status, answer(status), contract.RETRY,
               reason='HTTP %d' % status)
          for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        *(Case('%d' % status, answer(status), contract.REJECTED,
               reason='HTTP %d' % status)
          for status in (400, 401, 403, 404, 405, 410, 413, 422)),
        *(Case('%d' % status,
               answer(status, headers={'Location': 'http://127.0.0.1:1/'}),
               contract.REJECTED, reason='redirects are not followed')
          for status in (301, 302, 303, 307, 308)),
        Case('Retry-After', answer(503, headers={'Retry-After': '7'}),
             contract.RETRY, retry_after=7.0),
        Case('wrong Retry-After', answer(429, headers={'Retry-After': 'x'}),
             contract.RETRY),
        Case('the body is the reason',
             answer(422, text='no such\n  alarm'), contract.REJECTED,
             reason='HTTP 422 Unprocessable Entity: no such alarm'),
        Case('secrets are echoed', echo, contract.REJECTED,
             reason='Cannot POST ***'),
        Case('binary body', answer(500, body=bytes(range(256))),
             contract.RETRY, reason='HTTP 500'),
        Case('wrong encoding', zipped, contract.RETRY,
             reason='HTTP 500'),
        Case('endless answer', endless, contract.DELIVERED),
        Case('late body', late_body, contract.DELIVERED),
        Case('not HTTP', Raw(b'SSH-2.0-OpenSSH_9.2\r\n'), contract.RETRY,
             reason='not HTTP'),
        Case('closes without an answer', Raw(b''), contract.RETRY,
             answered=False, reason='without an answer'),
        Case('closes in the head', Raw(b'HTTP/1.1 200 OK\r\nA: '),
             contract.RETRY, answered=False),
        Case('refused', Refused(), contract.RETRY, answered=False,
             reason='Connection refused'),
    )

    def setUp(self):
        super().setUp()
        self.requests = []

    @contextlib.asynccontextmanager
    async def receiver(self, answer=None, tls=None):
        where = '127.0.0.1', process.free_port()
        url = '%s://user:%s@%s:%d%s' % (
            'https' if tls else 'http', SECRET, *where, PATH)
        if isinstance(answer, Refused):
            yield url
        elif isinstance(answer, Raw):
            async with await asyncio.start_server(answer, *where):
                yield url
        else:
            runner = self._server(answer or self.remember)
            await runner.setup()
            try:
                await web.TCPSite(
                    runner, *where, ssl_context=tls).start()
                yield url
            finally:
                await runner.cleanup()

    @staticmethod
    def _server(handler):
        app = web.Application()
        app.router.add_post('/{tail:.*}', handler)
        return web.AppRunner(app, access_log=None, shutdown_timeout=0.01,
                             handler_cancellation=True)

    async def remember(self, request):
        self.requests.append((request.headers, request.path_qs,
                              await request.json(), request.transport))
        return web.Response(text='thanks')

    def test_the_request(self):
        async def work(plugin):
            async with self.receiver() as url:
                await plugin.deliver(deliveries.a_delivery(url, id='n1'))
        self.with_plugin(work)

        (headers, path, body, _transport), = self.requests
        self.assertEqual('application/json', headers['Content-Type'])
        self.assertEqual('doctor-alarm', headers['User-Agent'])
        self.assertEqual('identity', headers['Accept-Encoding'])
        self.assertRegex(headers['Host'], '^127.0.0.1:[0-9]+$')
        self.assertEqual('n1', headers['Idempotency-Key'])
        self.assertRegex(headers['X-Openstack-Request-Id'],
                         '^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
        self.assertEqual(
            b'user:' + SECRET.encode(), base64.b64decode(
                headers['Authorization'].removeprefix('Basic ')))
        self.assertEqual('/hooks/%s/x?token=%s' % (SECRET, SECRET), path)
        self.assertEqual('n1', body['notification_id'])

    def test_users_and_passwords_of_any_characters(self):
        async def work(plugin):
            async with self.receiver() as url:
                await plugin.deliver(deliveries.a_delivery(
                    url.replace('user:', 'j%C3%BC%40x:%3A')))
        self.with_plugin(work)

        self.assertEqual(
            'j\u00fc@x::%s' % SECRET, base64.b64decode(
                self.requests[0][0]['Authorization'][6:]).decode())

    def test_connections_are_kept(self):
        for handler in (self.remember, self.late):
            self.requests.clear()

            async def work(plugin, handler=handler):
                async with self.receiver(handler) as url:
                    for _ in range(3):
                        await plugin.deliver(deliveries.a_delivery(url))
                        while plugin._draining:
                            await asyncio.sleep(0.01)
            self.with_plugin(work)

            self.assertEqual(
                1, len({id(request[3]) for request in self.requests}))

    async def late(self, request):
        await self.remember(request)
        return await late_body(request)

    def test_answers_without_an_end_do_not_use_up_the_open_files(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.plugins.http.DRAINS', 2))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.plugins.http.DRAIN', 60))

        async def work(plugin):
            async with self.receiver(self.endless) as url:
                outcomes = [await plugin.deliver(deliveries.a_delivery(url))
                            for _ in range(5)]
                return outcomes, len(plugin._draining)

        outcomes, draining = self.with_plugin(work)

        self.assertEqual(
            [contract.DELIVERED] * 5, [o.status for o in outcomes])
        self.assertEqual(2, draining)

    async def endless(self, request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'.')
        await asyncio.Event().wait()

    def test_a_kept_connection_that_was_closed_costs_no_retry(self):
        async def close_after_answer(request):
            self.requests.append(request)
            response = web.Response()
            # It says that it stays, and goes.
            asyncio.get_running_loop().call_later(
                0.02, request.transport.abort)
            return response

        async def work(plugin):
            async with self.receiver(close_after_answer) as url:
                outcomes = []
                for pause in (0.0, 0.019, 0.02, 0.0205, 0.021, 0.03):
                    outcomes.append(await plugin.deliver(
                        deliveries.a_delivery(url)))
                    await asyncio.sleep(pause)
                return outcomes

        self.assertEqual(
            {contract.DELIVERED},
            {outcome.status for outcome in self.with_plugin(work)})

    def test_cookies_are_not_kept(self):
        async def work(plugin):
            async with self.receiver(self.bake) as url:
                for _ in range(2):
                    await plugin.deliver(deliveries.a_delivery(url))
        self.with_plugin(work)

        self.assertEqual(
            [None, None], [r[0].get('Cookie') for r in self.requests])

    async def bake(self, request):
        response = await self.remember(request)
        response.set_cookie('session', 'of another project')
        return response

    def test_the_proxy_of_the_environment_is_not_used(self):
        self.useFixture(fixtures.EnvironmentVariable(
            'http_proxy', 'http://127.0.0.1:1'))

        self.assertEqual(contract.DELIVERED, self.outcome().status)

    def test_urls_that_can_not_be_called(self):
        for url in ('http://', 'http:///path', 'http://:80/', 'http:x',
                    'http://h:99999/'):
            outcome = self.outcome(url=url)

            self.assertEqual(contract.REJECTED, outcome.status, url)
            self.check_reason(outcome)

    def test_a_name_that_does_not_exist(self):
        outcome = self.outcome(url='http://u:%s@receiver.invalid/%s' % (
            SECRET, SECRET))

        self.assertEqual(contract.RETRY, outcome.status)
        self.assertFalse(outcome.answered)
        self.assertIn('resolved', outcome.reason)
        self.check_reason(outcome)

    def test_names_that_hang_delay_no_others(self):
        self.useFixture(nameserver.NameServer())

        async def work(plugin):
            hanging = [asyncio.create_task(plugin.deliver(
                deliveries.a_delivery('http://h%d.hang/' % i)))
                for i in range(200)]
            try:
                async with self.receiver() as url:
                    outcome = await plugin.deliver(deliveries.a_delivery(
                        url.replace('127.0.0.1', 'good.example')))
                self.assertFalse(any(task.done() for task in hanging))
                return outcome
            finally:
                for task in hanging:
                    task.cancel()

        self.assertEqual(contract.DELIVERED, self.with_plugin(work).status)

    def test_addresses_and_the_own_host_need_no_look_up(self):
        server = self.useFixture(nameserver.NameServer())

        async def work(plugin):
            async with self.receiver() as url:
                return [(await plugin.deliver(deliveries.a_delivery(
                    url.replace('127.0.0.1', host)))).status
                    for host in ('127.0.0.1', 'localhost',
                                 '[::ffff:127.0.0.1]')]

        self.assertEqual(
            [contract.DELIVERED] * 3, self.with_plugin(work))
        self.assertEqual([], server.asked)

    def test_a_call_that_is_cancelled_leaves_no_connection(self):
        hangs = asyncio.Event

        async def hang(request):
            await hangs().wait()

        async def work(plugin):
            async with self.receiver(hang) as url:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await plugin.deliver(deliveries.a_delivery(url))
                return len(plugin._client._connector._acquired)

        self.assertEqual(0, self.with_plugin(work))

    def test_receivers_in_blocked_networks_are_not_called(self):
        for host in ('127.0.0.1', '[::ffff:127.0.0.1]', 'localhost'):
            async def work(plugin, host=host):
                async with self.receiver() as url:
                    return await plugin.deliver(deliveries.a_delivery(
                        url.replace('127.0.0.1', host)))
            outcome = self.with_plugin(work, allowed_networks=[])

            self.assertEqual(contract.REJECTED, outcome.status, host)
            self.assertIn('not allowed', outcome.reason)
            self.check_reason(outcome)
        self.assertEqual([], self.requests)

    def test_the_address_counts_at_the_time_of_the_call(self):
        # It was somebody else's when the alarm was defined.
        server = self.useFixture(nameserver.NameServer())

        async def work(plugin):
            async with self.receiver() as url:
                return await plugin.deliver(deliveries.a_delivery(
                    url.replace('127.0.0.1', 'rebound.example')))
        outcome = self.with_plugin(work, allowed_networks=[])

        self.assertEqual(contract.REJECTED, outcome.status)
        self.assertIn('rebound.example', server.asked)
        self.assertEqual([], self.requests)

    def test_an_answer_leads_nowhere_else(self):
        async def elsewhere(request):
            self.requests.append(request)
            return web.Response(status=307, headers={
                'Location': 'http://169.254.169.254/latest/meta-data'})

        outcome = self.outcome(elsewhere)

        self.assertEqual(contract.REJECTED, outcome.status)
        self.assertEqual(1, len(self.requests))

    def test_long_reasons_are_cut(self):
        outcome = self.outcome(answer(404, text='x' * 100000))

        self.assertLess(len(outcome.reason), 300)

    def test_room_for_connections_is_made(self):
        with mock.patch.object(resource, 'getrlimit',
                               return_value=(1024, 4096)):
            with mock.patch.object(resource, 'setrlimit') as setrlimit:
                self.outcome(max_concurrency=2000)
                self.outcome(max_concurrency=100000)

        self.assertEqual(
            [mock.call(resource.RLIMIT_NOFILE, (2300, 4096)),
             mock.call(resource.RLIMIT_NOFILE, (4096, 4096))],
            setrlimit.mock_calls)


def write_certificate(certificate_path, key_path):
    """Make a certificate of 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'test')])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False)
        .sign(key, hashes.SHA256()))
    with open(certificate_path, 'wb') as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(key_path, 'wb') as file:
        file.write(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))


class TestTls(contract.Contract, base.TestCase):
    """Certificates, with the same promises over https."""

    plugin = http.HttpNotifier
    schemes = ('https',)

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.certificate = os.path.join(self.folder, 'cert.pem')
        self.key = os.path.join(self.folder, 'key.pem')
        write_certificate(self.certificate, self.key)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate, self.key)

    def outcome(self, answer=None, url=None, **options):
        options.setdefault('ca_file', self.certificate)
        return super().outcome(answer, url, **options)

    def with_plugin(self, work, **options):
        options.setdefault('ca_file', self.certificate)
        return super().with_plugin(work, **options)

    @contextlib.asynccontextmanager
    async def receiver(self, answer_=None):
        server = TestHttpNotifier._server(answer_ or answer(200))
        await server.setup()
        try:
            await web.TCPSite(
                server, '127.0.0.1', 0, ssl_context=self.tls).start()
            yield 'https://127.0.0.1:%d%s' % (
                server.addresses[0][1], PATH)
        finally:
            await server.cleanup()

    def test_a_certificate_that_nobody_vouches_for(self):
        # PATH asks for no verification, as Aodh allows everybody to.
        outcome = self.outcome(ca_file=None)

        self.assertEqual(contract.RETRY, outcome.status)
        self.assertIn('certificate', outcome.reason)
        self.check_reason(outcome)

    def test_the_operator_may_be_insecure(self):
        self.assertEqual(contract.DELIVERED, self.outcome(
            ca_file=None, insecure=True).status)

    def test_a_client_certificate(self):
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_verify_locations(self.certificate)

        self.assertEqual(contract.RETRY, self.outcome().status)
        self.assertEqual(contract.DELIVERED, self.outcome(
            cert_file=self.certificate, key_file=self.key).status)

    def test_plain_http_on_the_port(self):
        async def work(plugin):
            server = TestHttpNotifier._server(answer(200))
            await server.setup()
            await web.TCPSite(server, '127.0.0.1', 0).start()
            try:
                return await plugin.deliver(deliveries.a_delivery(
                    'https://127.0.0.1:%d/' % server.addresses[0][1]))
            finally:
                await server.cleanup()

        outcome = self.with_plugin(work)

        self.assertEqual(contract.RETRY, outcome.status)
        self.assertIn('TLS', outcome.reason)

    def test_files_that_can_not_be_read(self):
        wrong = os.path.join(self.folder, 'missing.pem')
        for options in ({'ca_file': wrong}, {'ca_file': self.key},
                        {'cert_file': wrong},
                        {'cert_file': self.certificate, 'key_file': wrong}):
            error = self.assertRaises(
                exception.ConfigurationError, self.outcome, **options)

            self.assertIn('[notifier] %s' % list(options)[0], str(error))


class RetryAfterTest(base.TestCase):

    def test_seconds(self):
        self.assertEqual(120.0, http.retry_after(' 120 '))

    def test_a_date(self):
        now = time.time()
        later = email.utils.formatdate(now + 90, usegmt=True)

        self.assertAlmostEqual(
            90, http.retry_after(later, now), delta=1.1)
        self.assertEqual(0.0, http.retry_after(later, now + 1000))

    def test_nonsense(self):
        for value in ('', 'soon', '-5', '1.5', '\u0665', 'Fri, 99 Foo'):
            self.assertIsNone(http.retry_after(value))


class TargetTest(base.TestCase):

    def test_arguments_stay_as_they_are(self):
        for query in ('a=b%2Fc&d', 'a=1&a=2', 'x=%7B%22y%22%7D', 'a=b=c'):
            action = urllib.parse.urlsplit('http://h/p?%s' % query)

            self.assertEqual(
                urllib.parse.parse_qsl(query, keep_blank_values=True),
                urllib.parse.parse_qsl(
                    http._target(action).url.raw_query_string,
                    keep_blank_values=True))
