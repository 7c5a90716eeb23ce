#!/bin/bash
# SPDX-License-Identifier: MIT
# pigz with two threads, and gzip back. Neither needs much memory: what is looked
# at is that their buffers cross threads and pipes whole.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools pigz gzip
"$builddir/tests/lib/lines" --words --mb "$(by_size 24 400)" >"$scratch/text"
compare pigz -9 -p 2 -b 12288 --no-name --stdout "$scratch/text"
gzip -d <"$scratch/managed" >"$scratch/back"
same_output "$scratch/text" "$scratch/back" "what gzip makes of it"
tap_done
