# SPDX-License-Identifier: Apache-2.0
"""A host fails: which servers and ports are hit, and who has to know."""
