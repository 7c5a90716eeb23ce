/* SPDX-License-Identifier: MIT
 *
 * rules: which rule of the policy holds for a region. The first one that
 * matches; what it says is the business of others: policy.h for eviction,
 * fault.c for read-ahead, interpose/mem.c for what is not managed at all.
 *
 * Rules change while the program runs, under the MAP lock, which whoever asks
 * for a match holds, too.
 */
#ifndef EM_RULES_H
#define EM_RULES_H

#include "config.h"
#include "segment.h"

/*
 * How much of a region may be read before it is touched: by streams and guesses,
 * by streams only, nothing; or it is known to be a stream from the start.
 */
enum em_foresight { EM_SEES_ALL, EM_SEES_STREAMS, EM_SEES_NOTHING, EM_SEES_SEQUENCE };

/* Takes the rules of cfg over. */
void em_rules_set(const struct em_config *cfg);
/* 1 more than the number of the rule that holds for a region; 0: none does. */
uint32_t em_rules_match(const struct em_region *r);
/* Whether mappings of that rule are left to the kernel. */
bool em_rules_leave(uint32_t rule);
/* Whether there are rules at all. No lock. */
bool em_rules_any(void);
/* What the rule says of read-ahead. No lock. EM_HANDLER */
enum em_foresight em_rules_foresight(uint32_t rule);

/* Whether a pattern of * and ? fits a word. */
bool em_rules_fits(const char *pattern, const char *word);

#endif
