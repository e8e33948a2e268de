# SPDX-License-Identifier: Apache-2.0
"""Reads the recipes of the user guide: what to run, and what follows.

A step is one of

``('run', script)``
    commands of a user;
``('output', text)``
    what they print;
``('answer', document)``
    what they print, as JSON;
``('ini', text)``, ``('yaml', text)``
    what a file of a configuration says;
``('call', Call)``
    what a receiver is called with;
``('receiver', status)``
    what receivers answer from here on. In the page it is a comment: a reader
    is told in words.
"""

import dataclasses
import json
import re
import textwrap

#: What may be another one each time.
_ID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?')
#: The page's project; that of the test has a name of its own.
_PROJECT = re.compile(r'[0-9a-f]{32}')

_HEADING = re.compile(r'(?m)^(\S.*)\n([=-])\2{2,}$')
_STEP = re.compile(
    r'(?m)^(?P<in> *)\.\. (?:receiver answers (?P<status>\d+)$'
    r'|code-block:: (?P<kind>\w+)\n(?:(?P=in)   :caption: (?P<caption>.*)\n)?'
    r'\n(?P<body>(?:(?P=in)    .*\n|\n)+))')
_OTHER = re.compile(r'(?m)^ *\.\. code-block::')


@dataclasses.dataclass
class Call:
    """A call of a receiver."""

    path: str
    headers: dict
    body: dict


def sections(text):
    """Return {heading: [(kind, value)]}, without those that have no step."""
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    return {one.group(1): steps for one, end in zip(found, ends, strict=True)
            if (steps := list(_steps(text[one.end():end] + '\n')))}


def _steps(text):
    found = list(_STEP.finditer(text))
    if len(_OTHER.findall(text)) != sum(
            1 for one in found if one['kind']):
        raise ValueError('a block that nobody understands: %s' % text)
    for one in found:
        if one['status']:
            yield 'receiver', int(one['status'])
        else:
            yield _step(one['kind'], one['caption'], textwrap.dedent(
                one['body']).strip('\n') + '\n')


def _step(kind, caption, body):
    match kind, caption:
        case 'bash', _:
            return caption or 'run', body
        case 'text', 'Output':
            return 'output', body
        case 'ini' | 'yaml', None:
            return kind, body
        case 'json', 'Answer':
            return 'answer', json.loads(body)
        case 'http', None:
            return 'call', _call(body)
    raise ValueError('a block of %s with the caption %s' % (kind, caption))


def _call(text):
    head, _, body = text.partition('\n\n')
    request, *headers = head.splitlines()
    return Call(request.split()[1],
                dict(line.split(': ', 1) for line in headers),
                json.loads(body))


class Comparison:
    """Compares what came with the page; ids that are equal there are here."""

    def __init__(self):
        self._ids = {}

    def difference(self, page, came, where=''):
        """Return what is wrong, or None.

        What the page leaves out may be anything, and so may what an ellipsis
        stands for.
        """
        if isinstance(page, dict) and isinstance(came, dict):
            return self._first(
                (value, came.get(key, '(missing)'), '%s.%s' % (where, key))
                for key, value in page.items())
        if isinstance(page, list) and isinstance(came, list):
            if len(page) == len(came):
                return self._first(
                    (value, other, '%s[%d]' % (where, number))
                    for number, (value, other) in enumerate(
                        zip(page, came, strict=True)))
        elif isinstance(page, str) and isinstance(came, str):
            if self._alike(page, came):
                return None
        elif type(page) is type(came) and page == came:
            return None
        return '%s is %r in place of %r' % (where, came, page)

    def _first(self, pairs):
        return next(filter(None, (
            self.difference(*pair) for pair in pairs)), None)

    def _alike(self, page, came):
        if _ID.fullmatch(page):
            return bool(_ID.fullmatch(came)) and self._ids.setdefault(
                page, came) == came
        if _PROJECT.fullmatch(page):
            return self._ids.setdefault(page, came) == came
        if _TIME.fullmatch(page):
            return bool(_TIME.fullmatch(came))
        pattern = '.*'.join(map(re.escape, page.split('...')))
        return bool(re.fullmatch(pattern, came, re.DOTALL))
