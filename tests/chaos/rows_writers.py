# SPDX-License-Identifier: Apache-2.0
"""Writers that share, writers that find their offsets gone."""
