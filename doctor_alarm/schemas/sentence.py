# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a body, in sentences that name the field.

The sentences for a missing, an unknown and a wrong attribute are those that
clients and test suites of Aodh look for.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import jsonschema

_TYPES = {'object': 'an object', 'array': 'a list', 'string': 'a text',
          'boolean': 'true or false', 'integer': 'a whole number',
          'number': 'a number', 'null': 'null'}


class Checker:
    """A schema to check documents with.

    One library tells quickly that a document is good, the other well what is
    wrong with it.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._quick = fastjsonschema.compile(schema, use_default=False)
        self._exact = jsonschema.Draft202012Validator(schema)

    def errors(self, doc: Any, within: str = '') -> Iterator[tuple[str, str]]:
        """Give (field, sentence) of everything that is wrong.

        :param within: name of the part that the document is of
        """
        try:
            self._quick(doc)
        except fastjsonschema.JsonSchemaValueException:
            # There is an error for each missing name, none of which says it.
            # One at a time: a large body may have very many.
            seen = set()
            for error in self._exact.iter_errors(doc):
                for found in _of(error, within):
                    if found not in seen:
                        seen.add(found)
                        yield found

    def first(self, doc: Any) -> str | None:
        """Return the sentence of the first thing that is wrong, if any."""
        return next((text for _field, text in self.errors(doc)), None)


def invalid(field: str, value: Any, reason: str) -> str:
    """Return the sentence for a wrong value."""
    shown = value if isinstance(value, str) else repr(value)
    return "Invalid input for field/attribute %s. Value: '%.200s'. %s" % (
        field, shown, reason)


def missing(field: str) -> str:
    """Return the sentence for a field that must be there."""
    return invalid(field, None, 'Mandatory field missing.')


def unknown(field: str) -> str:
    """Return the sentence for a field that there is not."""
    return 'Unknown attribute for argument data: %.200s' % field


def _of(error: jsonschema.ValidationError, within: str,
        ) -> Iterator[tuple[str, str]]:
    path = _path(within, error.absolute_path)
    if error.validator == 'required':
        for name in error.validator_value:
            if name not in error.instance:
                field = _path(path, [name])
                yield field, missing(field)
    elif error.validator == 'additionalProperties':
        known = error.schema.get('properties', {})
        for name in error.instance:
            if name not in known:
                field = _path(path, [name])
                yield field, unknown(field)
    else:
        yield path, invalid(path or 'data', error.instance, _reason(error))


def _reason(error: jsonschema.ValidationError) -> str:
    say = _REASONS.get(str(error.validator))
    return say(error.validator_value) if say else 'Value is not allowed.'


def _type(kinds: Any) -> str:
    names = [kinds] if isinstance(kinds, str) else kinds
    return 'Value must be %s.' % ' or '.join(_TYPES[n] for n in names)


def _enum(values: Any) -> str:
    return 'Value should be one of: %s' % ', '.join(
        str(value) for value in values if value is not None)


_REASONS: dict[str, Callable[[Any], str]] = {
    'type': _type,
    'enum': _enum,
    'const': lambda value: _enum([value]),
    'minLength': lambda least: 'Value must not be empty.',
    'minProperties': lambda least: 'Value must not be empty.',
    'minItems': lambda least: 'Value must not be empty.',
    'maxLength': lambda most: 'Value must have at most %d characters.' % most,
    'maxItems': lambda most: 'Value must have at most %d items.' % most,
    'minimum': lambda least: 'Value should be greater or equal to %s' % least,
    'maximum': lambda most: 'Value should be lower or equal to %s' % most,
}


def _path(within: str, parts: Any) -> str:
    text = within
    for part in parts:
        if isinstance(part, int):
            text += '[%d]' % part
        else:
            text += '.%s' % part if text else str(part)
    return text
