# SPDX-License-Identifier: Apache-2.0
"""Publishers: where the sinks of the event pipeline send events to."""
