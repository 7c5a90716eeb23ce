/* SPDX-License-Identifier: MIT
 *
 * draw: lots, for algorithms that take a unit at random.
 */
#ifndef EM_POLICY_DRAW_H
#define EM_POLICY_DRAW_H

#include <stdint.h>

/*
 * A number below n. x is the generator's state, which must not be 0 (G.
 * Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003).
 */
static inline uint32_t em_draw(uint64_t *x, uint32_t n)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)((*x >> 32) * n >> 32);
}

#endif
