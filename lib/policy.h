/* SPDX-License-Identifier: MIT
 *
 * policy: which granule leaves next. What the core calls; the contract with
 * the algorithms is extmem-policy.h, and they are in policies/.
 *
 * Granules are the units of an algorithm. All its calls are made under the
 * POLICY lock. Events wait in the ring of the thread that had them until
 * reclaim asks for victims, so the fault path takes no lock, and events of
 * different threads may be seen in another order than they had.
 */
#ifndef EM_POLICY_H
#define EM_POLICY_H

#include "config.h"
#include "extmem-policy.h"

/*
 * The group that a unit belongs to: 0, or 1 more than the number of the rule
 * that holds for it. Called under the POLICY lock. EM_HANDLER
 */
typedef unsigned int em_policy_sorter(uint32_t unit);

/*
 * 0 or -errno. units: how many granules the window has. The last one of the
 * largest window at the smallest granule has no number (EXTMEM_UNITS_MAX): the
 * page in it never leaves. Of cfg the algorithms and the rules are looked at.
 */
int em_policy_init(const struct em_config *cfg, uint64_t units, em_policy_sorter *sorter);
/*
 * Puts other algorithms and rules in force: 0, or -errno and nothing has
 * changed. em_policy_go_on() then moves some of what is in to them, what is
 * coldest first; true while there is more. Both not in a handler, by one thread
 * at a time, and with forks kept out.
 */
int em_policy_change(const struct em_config *cfg);
bool em_policy_go_on(void);
/* The window has become smaller, and has so many now. */
void em_policy_fit_space(uint64_t units);

/*
 * Tells the policy of an event, later: it waits in the thread's record until
 * reclaim asks for victims. EM_HANDLER
 */
void em_policy_tell(uint32_t unit, enum extmem_event event);

/*
 * Likewise: all that a unit held has been dropped; what the program says of one. The
 * MAP lock is held, which keeps forks out.
 */
void em_policy_forget(uint32_t unit);
void em_policy_advise(uint32_t unit, enum extmem_advice advice);

/*
 * Fills units with up to max victims, after telling all that waits. Returns
 * how many; with enough credits free, only those of a group that has more than
 * it may have. EM_HANDLER
 */
size_t em_policy_victims(uint32_t *units, size_t max);
/* Whether some group has more than it may have. EM_HANDLER */
bool em_policy_is_over(void);
/* Whether some group may have only so much. EM_HANDLER */
bool em_policy_is_bounded(void);
/* So many pages came in. Not with the POLICY lock. EM_HANDLER */
void em_policy_grown(uint32_t pages);
/* Whether the group of this number has so much more that it must not grow. EM_HANDLER */
bool em_policy_has_excess(unsigned int rule);

/* Units that fit into memory, as last estimated: what the algorithm is told. */
uint32_t em_policy_capacity(void);

#endif
