/* SPDX-License-Identifier: MIT */
#include "habit.h"
#include "segment.h"
#include "stats.h"
#include "window.h"
#include <stdatomic.h>

/* Time is told in such parts of the limit that have left; so many are soon. */
#define EM_HABIT_EPOCHS 16u
#define EM_HABIT_SOON 4u

/* Instructions, told apart by so many bits of a hash; 0 is none. */
#define EM_HABIT_CODE_BITS 10
#define EM_HABIT_CODES (1u << EM_HABIT_CODE_BITS)
/* What is known of one goes from 0, its pages are never written to, up to this. */
#define EM_HABIT_SURE 32u
#define EM_HABIT_LIKELY 16u
/* One in so many comes in clean to see whether it is still so. */
#define EM_HABIT_TRIAL 16u

struct habit {
	uint16_t left_at;  /* epoch */
	uint16_t code;     /* who brought it in clean; 0: nobody */
	uint8_t spare;     /* times that it is spared from now on */
	uint8_t last;      /* times that it was to be when it came back last */
};

static struct {
	_Atomic uint32_t spare_max;
	_Atomic uint32_t epoch;
	uint64_t left;             /* pages, since the epoch began */
	_Atomic uint32_t trial;
	_Atomic uint8_t written[EM_HABIT_CODES];
} habits;

static struct habit look(uint64_t page)
{
	uint32_t w = atomic_load_explicit(&em_habits[page], memory_order_relaxed);

	return (struct habit){
		.left_at = (uint16_t)(w >> 16),
		.code = w >> 6 & (EM_HABIT_CODES - 1),
		.spare = w >> 3 & 7,
		.last = w & 7,
	};
}

static void note(uint64_t page, struct habit h)
{
	atomic_store_explicit(&em_habits[page], (uint32_t)h.left_at << 16 |
			      (uint32_t)h.code << 6 | (uint32_t)h.spare << 3 | h.last,
			      memory_order_relaxed);
}

static uint16_t now(void)
{
	return (uint16_t)atomic_load_explicit(&habits.epoch, memory_order_relaxed);
}

static uint32_t most(void)
{
	return atomic_load_explicit(&habits.spare_max, memory_order_relaxed);
}

void em_habit_set(unsigned int spare_max)
{
	atomic_store(&habits.spare_max, spare_max);
}

void em_habit_count(uint64_t pages)
{
	uint64_t limit = atomic_load_explicit(&em_segment->limit_pages, memory_order_relaxed);

	habits.left += pages;
	if (habits.left < limit / EM_HABIT_EPOCHS)
		return;
	habits.left = 0;
	atomic_fetch_add_explicit(&habits.epoch, 1, memory_order_relaxed);
}

/* ---- whether it stays -------------------------------------------------- */

void em_habit_back(uint64_t page)
{
	struct habit h = look(page);
	bool soon = (uint16_t)(now() - h.left_at) <= EM_HABIT_SOON;

	h.last = soon ? (uint8_t)em_min(h.last * 2u + 1, most()) : 0;
	h.spare = h.last;
	note(page, h);
}

bool em_habit_spares(uint64_t page)
{
	struct habit h = look(page);

	/* It may have been more when the page came back. */
	h.spare = (uint8_t)em_min(h.spare, most());
	if (!h.spare)
		return false;
	h.spare--;
	note(page, h);
	return true;
}

/* ---- whether it will be written to -------------------------------------- */

static uint16_t code_of(uintptr_t instruction)
{
	uint64_t hash = (uint64_t)instruction * 0x9e3779b97f4a7c15u;

	return instruction ? (uint16_t)em_max(hash >> (64 - EM_HABIT_CODE_BITS), 1) : 0;
}

static void learn(uint16_t code, bool wrote)
{
	_Atomic uint8_t *w = &habits.written[code];
	uint8_t known = atomic_load_explicit(w, memory_order_relaxed);

	if (!code || (wrote ? known == EM_HABIT_SURE : known == 0))
		return;
	atomic_store_explicit(w, (uint8_t)(wrote ? known + 1 : known - 1),
			      memory_order_relaxed);
}

bool em_habit_will_write(uint64_t page, uintptr_t instruction)
{
	struct habit h = look(page);
	bool will;

	h.code = code_of(instruction);
	will = atomic_load_explicit(&habits.written[h.code], memory_order_relaxed) >=
		       EM_HABIT_LIKELY &&
	       atomic_fetch_add_explicit(&habits.trial, 1, memory_order_relaxed) %
		       EM_HABIT_TRIAL;
	if (will)
		h.code = 0;
	note(page, h);
	return will;
}

void em_habit_wrote(uint64_t page)
{
	struct habit h = look(page);

	learn(h.code, true);
	h.code = 0;
	note(page, h);
}

void em_habit_left(uint64_t page, bool unwritten)
{
	struct habit h = look(page);

	if (unwritten)
		learn(h.code, false);
	h.code = 0;
	h.spare = 0;
	h.left_at = now();
	note(page, h);
}
