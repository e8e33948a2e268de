# SPDX-License-Identifier: Apache-2.0
"""Second stage: events become transitions and deliveries.

``service`` listens, ``committer`` groups, retries and puts aside, ``engine``
does the work: look up, match, transition, commit.
"""
