/* SPDX-License-Identifier: MIT */
#include "window.h"
#include "shm.h"
#include "sys.h"
#include <errno.h>

static struct {
	size_t bytes;
	unsigned int granule_shift;
	int table_fd;
} window = { .table_fd = -1 };

size_t em_window_bytes(void) { return window.bytes; }
unsigned int em_granule_shift(void) { return window.granule_shift; }

static void describe_tables(void)
{
	*em_table = (struct em_table_header){
		.magic = EM_TABLE_MAGIC,
		.version = EM_SEGMENT_VERSION,
		.granule_pages = 1u << window.granule_shift,
		.window_base = EM_WINDOW_BASE,
		.window_bytes = window.bytes,
		.regions_off = EM_TABLE_REGIONS,
		.blocks_off = EM_TABLE_BLOCKS,
		.granules_off = EM_TABLE_GRANULES,
		.pages_off = EM_TABLE_PAGES,
	};
}

/* An address space limit (RLIMIT_AS) may leave room for a smaller one only. */
static int reserve_window(void)
{
	int ret = -ENOMEM;

	for (size_t bytes = EM_WINDOW_MAX; bytes >= EM_WINDOW_MIN; bytes /= 4) {
		ret = em_sys_reserve(EM_WINDOW_BASE, bytes);
		if (ret == 0) {
			window.bytes = bytes;
			return 0;
		}
	}
	return ret;
}

int em_window_init(unsigned int granule_pages)
{
	int ret = reserve_window();

	if (ret < 0)
		return ret;
	window.granule_shift = (unsigned int)__builtin_ctz(granule_pages);
	ret = em_sys_uffd_register(EM_WINDOW_BASE, window.bytes);
	if (ret == 0) {
		window.table_fd = em_shm_create(EM_TABLE_NAME, EM_TABLE_BYTES);
		ret = em_shm_map(window.table_fd, EM_TABLE_BASE, EM_TABLE_BYTES);
	}
	if (ret < 0) {
		em_sys_dealloc((void *)EM_WINDOW_BASE, window.bytes);
		window.bytes = 0;
		return ret;
	}
	describe_tables();
	return 0;
}

/* Copies [off, off + bytes) of the parent's table into the child's. */
static int copy_table(int from, uint64_t off, size_t bytes)
{
	long n = em_sys_pread(from, (void *)(EM_TABLE_BASE + off), bytes, off);

	return n == (long)bytes ? 0 : n < 0 ? (int)n : -EIO;
}

static int copy_blocks(int from)
{
	const size_t granules = EM_BLOCK_PAGES >> window.granule_shift;
	uint64_t blocks = em_table->block_count;
	int ret = copy_table(from, EM_TABLE_BLOCKS, blocks * sizeof(uint32_t));
	for (uint64_t b = 0; b < blocks && ret == 0; b++) {
		if (!em_blocks[b])
			continue;
		ret = copy_table(from, EM_TABLE_PAGES +
				 b * EM_BLOCK_PAGES * sizeof(em_word),
				 EM_BLOCK_PAGES * sizeof(em_word));
		if (ret == 0)
			ret = copy_table(from, EM_TABLE_GRANULES +
					 b * granules * sizeof(uint32_t),
					 granules * sizeof(uint32_t));
	}
	return ret;
}

int em_window_forked(void)
{
	int from = window.table_fd;
	int ret;

	window.table_fd = em_shm_create(EM_TABLE_NAME, EM_TABLE_BYTES);
	ret = em_shm_map(window.table_fd, EM_TABLE_BASE, EM_TABLE_BYTES);
	if (ret == 0)
		ret = copy_table(from, 0, sizeof(struct em_table_header));
	if (ret == 0)
		ret = copy_table(from, EM_TABLE_REGIONS,
				 em_table->region_count *
				 sizeof(struct em_region));
	if (ret == 0)
		ret = copy_blocks(from);
	em_sys_close(from);
	return ret < 0 ? ret : em_sys_uffd_register(EM_WINDOW_BASE, window.bytes);
}
