/* SPDX-License-Identifier: MIT
 *
 * quota: how much paging a process may do in a second.
 *
 * What is used of a rate is paid for with time: a bucket says up to when. All reads
 * and writes of the store are put on the bill, by whomever they are made, and no
 * one but a fault that brings in a page, or needs memory, waits until it is
 * paid. A tenth of a second's worth may be used at once.
 */
#ifndef EM_QUOTA_H
#define EM_QUOTA_H

#include "config.h"

/* Takes the rates of a policy, also while others run. */
void em_quota_set(const struct em_config *cfg);
/* So much has been read or written. EM_HANDLER */
void em_quota_use_io(uint64_t bytes);
/* Whether a fault would wait. EM_HANDLER */
bool em_quota_is_owed(void);
/*
 * Waits until all is paid, then puts a fault on the bill; not when it may not be
 * counted as one. Whoever calls it owns nothing. EM_HANDLER EM_BLOCKS
 */
void em_quota_wait(bool major);

#endif
