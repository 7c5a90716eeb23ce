/* SPDX-License-Identifier: MIT */
#include "store.h"
#include "log.h"
#include "quota.h"
#include "stats.h"
#include "sys.h"
#include "stores/stores.h"
#include <errno.h>
#include <string.h>

static const struct em_store_ops *const registry[] = {
	&em_store_file,
};

static struct {
	const struct em_store_ops *ops;
	struct em_tier_config cfg;
	bool is_open;
	int open_error;
	unsigned int own_file;
	int watched[EM_SLOT_FILES]; /* + 1; see em_store_forked */
} store;

const struct em_store_ops *em_store_find(const char *type)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(registry); i++)
		if (!strcmp(registry[i]->type, type))
			return registry[i];
	return NULL;
}

int em_store_init(const struct em_config *cfg)
{
	store.cfg = cfg->tiers[0];
	store.ops = em_store_find(store.cfg.type);
	em_gauge(&em_segment->store_max_bytes, store.cfg.max_bytes);
	return store.ops ? 0 : -EINVAL;
}

int em_store_ensure_open(void)
{
	if (em_likely(store.is_open))
		return 0;
	if (store.open_error)
		return store.open_error;
	store.open_error = store.ops->open(&store.cfg);
	store.is_open = store.open_error == 0;
	return store.open_error;
}

void em_store_synchronous(void)
{
	store.ops->synchronous();
}

void em_store_keep(uint64_t keep)
{
	for (unsigned int n = 0; n < EM_SLOT_FILES; n++)
		if (store.watched[n] && !(keep >> n & 1)) {
			em_sys_close(store.watched[n] - 1);
			store.watched[n] = 0;
		}
	store.ops->forked(store.own_file, keep);
}

int em_store_forked(uint64_t keep, int watched)
{
	unsigned int own = 0;

	if (watched >= 0)
		store.watched[store.own_file] = watched + 1;
	store.open_error = 0;
	store.is_open = false;
	while (own < EM_SLOT_FILES && keep >> own & 1)
		own++;
	if (own == EM_SLOT_FILES)
		return -EAGAIN;
	store.own_file = own;
	em_store_keep(keep);
	return 0;
}

unsigned int em_store_own_file(void) { return store.own_file; }

uint64_t em_store_max_pages(void)
{
	const uint64_t most = 1ull << EM_SLOT_NUMBER_BITS;

	return store.cfg.max_bytes ? em_min(store.cfg.max_bytes >> EM_PAGE_SHIFT, most)
				   : most;
}

int em_store_read(em_slot slot, void *buf, size_t count)
{
	struct em_counters *c = em_stats();
	int ret = store.ops->read(em_slot_file(slot), em_slot_number(slot), buf, count);

	if (ret < 0) {
		em_count(&em_segment->store_errors, 1);
		return ret;
	}
	em_count(&c->reads, 1);
	em_count(&c->bytes_read, count << EM_PAGE_SHIFT);
	em_count(&c->pages_in, count);
	em_quota_use_io(count << EM_PAGE_SHIFT);
	return 0;
}

int em_store_submit(em_slot slot, const void *buf, size_t count, uint64_t token,
		    bool async)
{
	struct em_counters *c = em_stats();

	em_assert(em_slot_file(slot) == store.own_file);
	em_count(&c->writes, 1);
	em_count(&c->bytes_written, count << EM_PAGE_SHIFT);
	em_count(&c->pages_out, count);
	em_quota_use_io(count << EM_PAGE_SHIFT);
	return store.ops->submit(em_slot_number(slot), buf, count, token, async);
}

size_t em_store_reap(struct em_store_done *done, size_t max, bool wait)
{
	return store.is_open ? store.ops->reap(done, max, wait) : 0;
}

int em_store_grow(uint64_t pages)
{
	int ret = store.ops->grow(pages);

	if (ret == 0)
		em_gauge(&em_segment->store_bytes, pages << EM_PAGE_SHIFT);
	return ret;
}
