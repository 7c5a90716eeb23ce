#!/bin/bash
# SPDX-License-Identifier: MIT
# perl: a hash of arrays, sorted, joined and matched.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools perl
cat >"$scratch/hash.pl" <<'END'
use strict;
my ($n, %h, $sum) = shift;
push @{$h{"key" . $_ % ($n / 4)}}, $_ * 7 % 1000003 for 1 .. $n;
for my $k (sort keys %h) { $sum += $_ for @{$h{$k}}; print "$k @{$h{$k}}\n"; }
my $text = join ",", map { "$_=" . scalar @{$h{$_}} } sort keys %h;
my $found = () = $text =~ /key\d*7=4/g;
print length $text, " $sum $found\n";
END
PERL_HASH_SEED=0 compare perl "$scratch/hash.pl" "$(by_size 120000 3000000)"
tap_done
