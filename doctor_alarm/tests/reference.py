# SPDX-License-Identifier: Apache-2.0
"""The API reference, and the requests of ``gabbits``, route by route."""

import dataclasses
import pathlib
import re

import yaml

import doctor_alarm
from doctor_alarm.tests import routes

DOCUMENTS = pathlib.Path(doctor_alarm.__file__).parents[1] / 'doc' / 'source'
GABBITS = pathlib.Path(__file__).parent / 'functional' / 'gabbits'

#: What is answered wherever it applies, and written down once.
COMMON = {405, 413, 415}

#: A template of gabbi, which stands for one name in a path.
_TEMPLATE = re.compile(r"(?:\$HISTORY\['[^']+'\]\.)?\$[A-Z]+\['[^']+'\]")
_ROUTE = re.compile(r'(?m)^``([A-Z]+) (/\S*)``$')
_SAMPLE = re.compile(
    r'(?m)^\.\. literalinclude:: \.\./samples/([\w-]+)-(?:request|response)'
    r'\.json$')


@dataclasses.dataclass(frozen=True)
class Request:
    """One of gabbi's: ``route`` is None where nothing is there."""

    where: str
    route: routes.Route | None
    status: int
    samples: tuple[str, ...]
    guarded: bool


@dataclasses.dataclass(frozen=True)
class Section:
    """What the reference says of a route."""

    where: str
    text: str

    @property
    def samples(self):
        return set(_SAMPLE.findall(self.text))

    @property
    def statuses(self):
        line = re.search(r'(?m)^Answers: ((?:\d+[,.]\s*)+)$', self.text)
        return set(map(int, re.findall(r'\d+', line.group(1)))
                   ) if line else set()


def requests():
    """Yield the requests of all files."""
    for path in sorted(GABBITS.glob('*.yaml')):
        doc = yaml.safe_load(path.read_text())
        status = doc.get('defaults', {}).get('status', 200)
        for test in doc['tests']:
            method, url = next(
                ((name, test[name]) for name in test if name.isupper()),
                (test.get('method'), test.get('url')))
            yield Request(
                where='%s: %s' % (path.name, test['name']),
                route=routes.of(
                    {'HEAD': 'GET'}.get(method, method),
                    _TEMPLATE.sub('x', url)),
                status=int(test.get('status', status)),
                samples=tuple(test.get('response_sample', ())),
                guarded='Guarded' in doc['fixtures'])


def sections():
    """Yield (method, path, section) of every route of the reference."""
    for path in sorted((DOCUMENTS / 'api').glob('*.rst')):
        text = path.read_text()
        found = list(_ROUTE.finditer(text))
        ends = [match.start() for match in found[1:]] + [len(text)]
        for match, end in zip(found, ends, strict=True):
            yield match.group(1), match.group(2), Section(
                path.name, text[match.end():end])
