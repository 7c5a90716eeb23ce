#!/bin/bash
# SPDX-License-Identifier: MIT
# g++ with templates that become thousands of functions.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools g++
cat >"$scratch/templates.cc" <<END
#include <map>
#include <string>
#include <vector>
template <int N> struct chain {
	std::map<std::string, std::vector<chain<N - 1> *>> m;
	long sum() const {
		long s = N;
		for (const auto &e : m)
			for (auto c : e.second)
				s += c->sum() + e.first.size();
		return s;
	}
};
template <> struct chain<0> { long sum() const { return 1; } };
long all(const chain<$(by_size 25 300)> &c) { return c.sum(); }
END
compare_tree g++ -std=c++17 -O1 -S -o - "$scratch/templates.cc"
tap_done
