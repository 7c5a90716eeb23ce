#!/bin/bash
# SPDX-License-Identifier: MIT
# xz -9 with two threads, then back. Blocks are smaller than xz would choose,
# so that there is work for two threads without gigabytes of input.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools xz
mb=$(by_size 4 32)
"$builddir/tests/lib/lines" --words --mb "$mb" >"$scratch/text" ||
	tap_bail "cannot make the input"
command=(xz -9 -T2 --block-size=$((mb / 2))MiB --stdout "$scratch/text")
run_alone "$scratch/alone.xz" "${command[@]}"
run_managed "$scratch/managed.xz" "${command[@]}"
same_output "$scratch/alone.xz" "$scratch/managed.xz" "what xz -9 -T2 makes"

command=(xz -d --stdout "$scratch/managed.xz")
run_alone "$scratch/alone" "${command[@]}"
run_managed "$scratch/managed" "${command[@]}"
same_output "$scratch/text" "$scratch/managed" "what xz -d gives back"
tap_done
