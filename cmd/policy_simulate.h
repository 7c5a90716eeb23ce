/* SPDX-License-Identifier: MIT
 *
 * policy_simulate: the action `simulate` of extmem policy, with options of its own.
 */
#ifndef CMD_POLICY_SIMULATE_H
#define CMD_POLICY_SIMULATE_H

/* argv[0] is the word "simulate". Returns the exit status. */
int cmd_policy_simulate(int argc, char **argv);

#endif
