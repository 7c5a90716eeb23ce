#!/bin/bash
# SPDX-License-Identifier: MIT
#
# policies/models.sh: each eviction algorithm, operation for operation, against
# an independent model of it (models.py). EM_TEST_SEED takes a printed seed back.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

python3 "$srcdir/tests/policies/compare.py" "$builddir/tests/policies/driver"
