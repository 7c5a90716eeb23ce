#!/bin/bash
# SPDX-License-Identifier: MIT
# A program of g++ -fopenmp: threads that wait by spinning for one another, and
# tasks of thousands of small allocations.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools g++
cat >"$scratch/work.cc" <<'END'
#include <cstdio>
#include <cstdlib>
#include <map>
#include <parallel/algorithm>
#include <vector>

int main(int argc, char **argv)
{
	size_t n = strtoul(argv[1], nullptr, 10);
	std::vector<unsigned> v(n);
	unsigned long sum = 0;
#pragma omp parallel for
	for (size_t i = 0; i < n; i++)
		v[i] = (unsigned)i * 2654435761u;
	__gnu_parallel::sort(v.begin(), v.end());
#pragma omp parallel for reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += v[i] ^ i;
	printf("%lu\n", sum);
	sum = 0;
#pragma omp parallel
#pragma omp single
	for (int task = 0; task < 64; task++) {
#pragma omp task shared(sum)
		{
			std::map<int, int> m;
			for (int i = 0; i < 2000; i++)
				m[i * 7919 % 10007] = i * task;
			unsigned long own = 0;
			for (auto &e : m)
				own = own * 31 + (unsigned long)(e.first ^ e.second);
#pragma omp atomic
			sum += own;
		}
	}
	printf("%lu\n", sum);
}
END
g++ -O1 -fopenmp "$scratch/work.cc" -o "$scratch/work" || tap_bail "g++ -fopenmp failed"
export OMP_NUM_THREADS=4
compare "$scratch/work" "$(by_size 9000000 60000000)"
tap_done
