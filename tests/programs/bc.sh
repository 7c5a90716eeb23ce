#!/bin/bash
# SPDX-License-Identifier: MIT
# bc: long numbers and a large array.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools bc
input=$scratch/script.bc
cat >"$input" <<END
n = $(by_size 30000 700000)
p = 7 ^ 1700
for (i = 0; i < n; i++) a[i] = i * i * 123456789123456789 + p * (i % 7 + 1)
s = 0
for (i = n - 1; i >= 0; i--) s += a[i]
s
for (i = 0; i < n; i += 997) a[i]
END
compare bc -q
tap_done
