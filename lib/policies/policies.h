/* SPDX-License-Identifier: MIT
 *
 * policies: the built-in algorithms, one file each.
 */
#ifndef EM_POLICIES_H
#define EM_POLICIES_H

#include "policy.h"

extern const struct em_policy_ops em_policy_fifo;
extern const struct em_policy_ops em_policy_clock;
extern const struct em_policy_ops em_policy_lru;

#endif
