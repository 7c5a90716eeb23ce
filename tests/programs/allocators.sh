#!/bin/bash
# SPDX-License-Identifier: MIT
# C++ programs linked with an allocator of their own, whose operator new and
# delete, malloc and free must all be of one heap; what cannot be had throws.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools g++
cat >"$scratch/blocks.cc" <<'END'
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

struct alignas(256) wide {
	char text[256];
};

static int handled;

static void handler()
{
	if (++handled == 2)
		std::set_new_handler(nullptr);
}

// The sum over what n words are mapped to, half of them erased in between.
static unsigned long words(unsigned seed, int n)
{
	std::map<std::string, std::unique_ptr<std::vector<unsigned>>> m;
	unsigned x = seed;
	unsigned long sum = 0;

	for (int i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		m["word " + std::to_string(x % 1000003)] =
			std::make_unique<std::vector<unsigned>>(x % 1500, x);
		if (i % 2)
			m.erase(m.begin());
	}
	for (const auto &e : m)
		for (unsigned v : *e.second)
			sum = sum * 31 + v + e.first.size();
	return sum;
}

int main(int, char **argv)
{
	volatile std::size_t too_many = PTRDIFF_MAX / 2;
	const int n = std::atoi(argv[1]);
	unsigned long sums[2];
	std::thread other([&] { sums[1] = words(2, n); });

	sums[0] = words(1, n);
	other.join();
	std::printf("%lx %lx\n", sums[0], sums[1]);

	wide *w = new wide[3], *one = new wide;
	std::printf("%d\n", (int)((reinterpret_cast<uintptr_t>(w) |
				   reinterpret_cast<uintptr_t>(one)) % 256));
	delete[] w;
	delete one;

	for (int i = 0; i < 1000; i++) {
		void *p = ::operator new(i * 7), *q = ::operator new[](40000);

		::operator delete(p);
		::operator delete[](q);
	}

	std::printf("%d\n", ::operator new(too_many, std::nothrow) == nullptr);
	std::printf("%d\n", ::operator new[](too_many, std::align_val_t(64), std::nothrow) == nullptr);
	std::set_new_handler(handler);
	try {
		std::printf("%p\n", ::operator new(too_many));
	} catch (const std::bad_alloc &e) {
		std::printf("%s after %d\n", e.what(), handled);
	}
	try {
		std::printf("%p\n", ::operator new[](too_many, std::align_val_t(4096)));
	} catch (const std::bad_alloc &e) {
		std::printf("%s\n", e.what());
	}
	return 0;
}
END

for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2 libtbbmalloc_proxy.so.2; do
	if ! g++ -std=c++17 -O1 -pthread "$scratch/blocks.cc" -o "$scratch/blocks" \
		-Wl,--no-as-needed "-l:$library" 2>"$scratch/err"; then
		tap_note "$library is not here"
		continue
	fi
	if ! ("$scratch/blocks" 10 >"$scratch/out"; exit) 2>"$scratch/err"; then
		tap_note "$library ends the program where there is no memory"
		continue
	fi
	compare "$scratch/blocks" "$(by_size 12000 120000)"
done
[ "$tap_count" -gt 0 ] || tap_skip_all "there is no other allocator to link with"
tap_done
