#!/bin/bash
# SPDX-License-Identifier: MIT
# xz -9 with two threads, then back. Blocks are smaller than xz would choose, so
# that there is work for two threads; xz looks at several random places of its
# tables for each byte, so the input is small.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools xz
kib=$(by_size 512 8192)
"$builddir/tests/lib/lines" --words --mb 8 | head -c "${kib}K" >"$scratch/small"
command=(xz -9 -T2 --block-size=$((kib / 2))KiB --stdout "$scratch/small")
run_alone "$scratch/alone.xz" "${command[@]}"
run_managed "$scratch/managed.xz" "${command[@]}"
same_output "$scratch/alone.xz" "$scratch/managed.xz" "what xz -9 -T2 makes"

# The way back is worth watching with a dictionary that is really filled.
"$builddir/tests/lib/lines" --words --mb "$(by_size 48 200)" >"$scratch/text"
xz --lzma2=preset=0,dict=64MiB --stdout "$scratch/text" >"$scratch/text.xz"
command=(xz -d --stdout "$scratch/text.xz")
run_alone "$scratch/alone" "${command[@]}"
run_managed "$scratch/managed" "${command[@]}"
same_output "$scratch/text" "$scratch/managed" "what xz -d gives back"

xz -d --stdout "$scratch/managed.xz" >"$scratch/managed"
same_output "$scratch/small" "$scratch/managed" "what xz -9 -T2 made, unpacked,"
tap_done
