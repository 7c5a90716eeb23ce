/* SPDX-License-Identifier: MIT
 *
 * What libFuzzer calls (`make fuzz`), and replay.c without it.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
