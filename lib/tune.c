/* SPDX-License-Identifier: MIT */
#include "tune.h"
#include "util.h"

#define EM_WINDOW_NS 1000000000u
/* After a step up, so long no step down: what was too much once is not tried again at once. */
#define EM_REST_NS 10000000000u
/* The largest steps: one part of the limit in so many. */
#define EM_DOWN_PART 50u
#define EM_UP_PART 10u
/* Far too much pain makes a step larger, but not more than this. */
#define EM_UP_MOST 5u

static void begin_window(struct em_tune *t, const struct em_tune_view *v)
{
	t->begun_ns = v->now_ns;
	t->begun_pains = v->pains;
}

/* Twice the pain that is borne: a tenth more memory; five times and beyond: half as much again. */
static uint64_t step_up(const struct em_tune_view *v, uint64_t pains)
{
	uint64_t times = em_clamp(pains / em_max(v->target, 1), 1, EM_UP_MOST);

	return em_min(v->limit + v->limit / EM_UP_PART * times + 1, v->most);
}

/* The less pain, the larger; what is not used goes at once. */
static uint64_t step_down(const struct em_tune_view *v, uint64_t pains)
{
	uint64_t from = em_min(v->limit, v->used);
	uint64_t step = from / EM_DOWN_PART * (v->target - pains) / em_max(v->target, 1);

	return em_max(from - step, v->least);
}

uint64_t em_tune_step(struct em_tune *t, const struct em_tune_view *v)
{
	uint64_t pains = v->pains - t->begun_pains, limit = v->limit;

	if (!t->begun_ns || v->pains < t->begun_pains) { /* a forked child counts anew */
		begin_window(t, v);
	} else if (pains > v->target) { /* no need to see the window's end */
		limit = step_up(v, pains);
		t->rest_ns = v->now_ns + EM_REST_NS;
		begin_window(t, v);
	} else if (v->now_ns - t->begun_ns >= EM_WINDOW_NS) {
		if (v->now_ns >= t->rest_ns)
			limit = step_down(v, pains);
		begin_window(t, v);
	}
	return em_clamp(limit, em_min(v->least, v->most), v->most);
}
