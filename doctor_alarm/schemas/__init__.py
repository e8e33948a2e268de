# SPDX-License-Identifier: Apache-2.0
"""Schemas of what comes in over the API, one module per noun."""
