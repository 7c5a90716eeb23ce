#!/bin/bash
# SPDX-License-Identifier: MIT
# ghostscript draws a page of many paths and letters into a bitmap.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools gs
cat >"$scratch/page.ps" <<END
%!PS
/Helvetica findfont 20 scalefont setfont
1 1 $(by_size 1000 40000) { dup dup 37 mul 500 mod exch 91 mul 700 mod moveto
	dup 100 mod 100 div setgray dup 7 mod 40 mul 20 add dup rlineto stroke
	dup 53 mul 500 mod exch 29 mul 700 mod moveto (extmem) show } for
showpage
END
compare gs -q -dSAFER -dBATCH -dNOPAUSE -dMaxBitmap=500000000 -sDEVICE=ppmraw \
	-r"$(by_size 200 900)" -sOutputFile=- "$scratch/page.ps"
tap_done
