# SPDX-License-Identifier: Apache-2.0
"""Reads alarms of an Aodh, of which a client has shown a list."""
from __future__ import annotations

import http
import json
import os
from typing import Any
import urllib.error
import urllib.parse
import urllib.request

from doctor_alarm.api import alarm_import
from doctor_alarm import exception

#: Seconds that Aodh has for an answer.
TIMEOUT = 30


class Aodh:
    """The API of an Aodh.

    ``OS_TOKEN`` of the environment is the token, if it wants one.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(('http://', 'https://')):
            raise exception.Invalid('%s is no http or https URL' % url)
        self._url = url.rstrip('/')

    def alarm(self, row: dict[str, Any]) -> Any:
        """Return an alarm as a whole.

        :param row: what a list has of it
        :raises Foreign: it is not there any more
        :raises DoctorAlarmException: Aodh does not say
        """
        alarm_id = str(row['alarm_id'])
        request = urllib.request.Request(  # noqa: S310 (see __init__)
            '%s/v2/alarms/%s' % (
                self._url, urllib.parse.quote(alarm_id, safe='')),
            headers={'Accept': 'application/json'})
        if os.environ.get('OS_TOKEN'):
            # Not to where a redirection leads.
            request.add_unredirected_header(
                'X-Auth-Token', os.environ['OS_TOKEN'])
        try:
            with urllib.request.urlopen(  # noqa: S310
                    request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            if exc.code == http.HTTPStatus.NOT_FOUND:
                raise alarm_import.Foreign(
                    '%s: Aodh has no such alarm (any more)' % alarm_id
                    ) from None
            reason = '%d %s' % (exc.code, exc.reason)
        except (OSError, ValueError) as exc:
            reason = str(exc)
        raise exception.DoctorAlarmException(
            '%s did not show alarm %s: %s' % (self._url, alarm_id, reason))
