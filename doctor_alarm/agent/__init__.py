# SPDX-License-Identifier: Apache-2.0
"""The agent: bus notification -> event -> publishers."""
