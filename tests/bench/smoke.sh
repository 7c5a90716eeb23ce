#!/bin/bash
# SPDX-License-Identifier: MIT
# The benchmark runs and gives a figure everywhere; how good they are is for
# spine.sh to say on a quiet machine.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

need_extmem
if "$srcdir/tests/bench/spine.sh" --quick >"$scratch/out" 2>&1; then
	tap_ok "spine.sh --quick gives every figure"
else
	tap_not_ok "spine.sh --quick gives every figure" "$scratch/out"
fi
sed 's/^/# /' "$scratch/out"
tap_done
