#!/bin/bash
# SPDX-License-Identifier: MIT
# ImageMagick: a large picture, resized, blurred and rotated; its pixel cache is
# one mapping, its threads are OpenMP's.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools convert
compare convert -seed 1 -size "$(by_size 1000x700 6000x4000)" plasma:red-blue -resize 120% \
	-blur 0x2 -rotate 30 -depth 8 ppm:-
tap_done
