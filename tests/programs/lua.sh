#!/bin/bash
# SPDX-License-Identifier: MIT
# lua: tables and strings, with its collector at work.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools lua5.4
cat >"$scratch/work.lua" <<'END'
local n, t, sum = tonumber(arg[1]), {}, 0
for i = 1, n do t[i] = { id = i * 7919 % 1000003, name = "name" .. i } end
table.sort(t, function(a, b) return a.id < b.id or a.id == b.id and a.name < b.name end)
for i = 1, n, 97 do print(t[i].id, t[i].name) end
local s = {}
for i = 1, n do s[#s + 1] = t[i].name; sum = sum + #s[#s] end
print(#table.concat(s, ","), sum)
collectgarbage()
END
compare lua5.4 "$scratch/work.lua" "$(by_size 110000 3000000)"
tap_done
