#!/bin/bash
# SPDX-License-Identifier: MIT
# zstd with long distances and two threads, and back.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools zstd
"$builddir/tests/lib/lines" --words --mb "$(by_size 48 400)" >"$scratch/text"
compare zstd -q --long=27 -T2 -3 --stdout "$scratch/text"
run_alone "$scratch/text.alone" zstd -q -d --long=27 --stdout "$scratch/alone"
run_managed "$scratch/text.managed" zstd -q -d --long=27 --stdout "$scratch/managed"
same_output "$scratch/text" "$scratch/text.managed" "what comes back"
tap_done
