#!/bin/bash
# SPDX-License-Identifier: MIT
# ruby: its collector scans the stack and all objects, and compacts them.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools ruby
cat >"$scratch/work.rb" <<'END'
n = ARGV[0].to_i
h = {}
n.times { |i| h["key#{i}"] = [i, i.to_s * 3, (i * 7919 % 100003).to_f] }
puts h.size, h.values.sum { |a, b, c| a + b.size + c }
words = h.values.map { |v| v[1] }.sort
puts words.each_slice(997).map(&:first)
h = h.select { |k, v| v[0].odd? }
GC.start
GC.compact if GC.respond_to?(:compact)
t = 4.times.map { |k| Thread.new { (1..n / 4).map { |i| [i * k] }.sum(&:first) } }
puts t.map(&:value).inspect, h.size
puts IO.popen("sort -n | tail -n 2", "r+") { |f| h.each_value { |v| f.puts v[0] }; f.close_write; f.read }
END
compare ruby "$scratch/work.rb" "$(by_size 80000 1500000)"
tap_done
