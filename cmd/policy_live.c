/* SPDX-License-Identifier: MIT */
#include "policy_live.h"
#include "common.h"
#include "control.h"
#include "judge.h"
#include "recording.h"
#include "yaml.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FAILED 1
/* A change moves what is resident to other lists: with terabytes it takes a while. */
#define PATIENCE_S 60

/* ---- asking ---------------------------------------------------------- */

/* Why nobody listens there. */
static _Noreturn void die_unheard(pid_t pid)
{
	char err[512];
	const struct em_segment *seg = cmd_segment_open(pid, err, sizeof(err));

	if (!seg)
		cmd_die(FAILED, "%s", err);
	cmd_segment_close(seg);
	cmd_die(FAILED, "process %d does not listen: what it has mapped fits its limit, and there is nothing to change; or it runs in another network namespace: then ask from within",
		(int)pid);
}

static int connect_to(pid_t pid)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct ucred peer = { .pid = 0 };
	socklen_t bytes = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, EM_CONTROL_NAME,
			   (int)pid);

	if (fd < 0)
		cmd_die(FAILED, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un,
							       sun_path) + 1 + (size_t)len)))
		die_unheard(pid);
	/* Anybody can take a name: it must be the process itself that listens. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) || peer.pid != pid)
		cmd_die(FAILED, "it is not process %d that listens in its name (but process %d): not asked",
			(int)pid, (int)peer.pid);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* Sends a request; what follows "ok" stays in answer. Dies with what it says else. */
static void ask(pid_t pid, const char *request, char answer[EM_CONTROL_BYTES])
{
	int fd = connect_to(pid);
	ssize_t n = send(fd, request, strlen(request), MSG_NOSIGNAL);

	if (n >= 0)
		n = recv(fd, answer, EM_CONTROL_BYTES - 1, 0);
	if (n < 0)
		cmd_die(FAILED, "process %d does not answer: %s", (int)pid, strerror(errno));
	close(fd);
	answer[n] = '\0';
	if (!strncmp(answer, "ok\n", 3))
		memmove(answer, answer + 3, strlen(answer) - 2);
	else if (!strncmp(answer, "error\n", 6))
		cmd_die(FAILED, "process %d: %s", (int)pid, answer + 6);
	else
		cmd_die(FAILED, "process %d has ended, or answers something else", (int)pid);
}

void cmd_live_policy(pid_t pid, struct em_config *cfg)
{
	static char answer[EM_CONTROL_BYTES];
	char err[512];

	ask(pid, "show", answer);
	em_config_init(cfg);
	if (em_config_load(cfg, answer, err, sizeof(err)))
		cmd_die(FAILED, "process %d has a policy of another version of extmem: %s",
			(int)pid, err);
}

/* ---- parameters of an algorithm that goes ---------------------------- */

/*
 * An algorithm and its parameters: 0 is of eviction, 1 of prefetch, and 2 + i of
 * rule i, which may be for the algorithm that it inherits.
 */
struct choice {
	const char *algorithm;
	struct em_params *params;
};

static struct choice choice_of(struct em_config *cfg, unsigned int i)
{
	struct em_region_config *r = &cfg->regions[i < 2 ? 0 : i - 2];

	if (i == 0)
		return (struct choice){ cfg->algorithm, &cfg->params };
	if (i == 1)
		return (struct choice){ cfg->prefetcher, &cfg->prefetch_params };
	return (struct choice){ em_config_algorithm(cfg, r), &r->params };
}

static unsigned int choices_of_both(const struct em_config *a, const struct em_config *b)
{
	return 2 + (a->region_count < b->region_count ? a->region_count : b->region_count);
}

/* Counted as none, but left in the list, by which keep_params() knows them. */
static void hide_params(struct em_config *cfg)
{
	for (unsigned int i = 0; i < choices_of_both(cfg, cfg); i++)
		choice_of(cfg, i).params->count = 0;
}

/* After a file was read: what it did not set, nor take the algorithm of, is as before. */
static void keep_params(struct em_config *before, struct em_config *cfg)
{
	for (unsigned int i = 0; i < choices_of_both(before, cfg); i++) {
		struct choice old = choice_of(before, i), now = choice_of(cfg, i);
		bool is_set = memcmp(old.params->list, now.params->list,
				     sizeof(old.params->list));

		if (!is_set && !strcmp(old.algorithm, now.algorithm))
			now.params->count = old.params->count;
	}
}

/* Those of algorithms for which there is another one in next. */
static void drop_params(struct em_config *cfg, struct em_config *next)
{
	for (unsigned int i = 0; i < choices_of_both(cfg, next); i++)
		if (strcmp(choice_of(cfg, i).algorithm, choice_of(next, i).algorithm))
			*choice_of(cfg, i).params = (struct em_params){ 0 };
}

/* ---- changing -------------------------------------------------------- */

static void read_policy(struct em_config *before, struct em_config *cfg,
			const char *file_or_name)
{
	char err[2048];

	hide_params(cfg);
	if (strcmp(file_or_name, "-") ? cmd_policy_read(cfg, file_or_name, err, sizeof(err)) :
					em_yaml_read(cfg, "-", err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	keep_params(before, cfg);
}

static void set_all(struct em_config *cfg, const char *const *settings, size_t count)
{
	char err[2048];

	for (size_t i = 0; i < count; i++)
		if (cmd_policy_set(cfg, settings[i], err, sizeof(err)))
			cmd_die(FAILED, "%s", err);
}

/* Twice, since parameters may stand before the algorithm that they are for. */
static void use_settings(struct em_config *cfg, const char *const *settings, size_t count)
{
	static struct em_config next;

	next = *cfg;
	set_all(&next, settings, count);
	drop_params(cfg, &next);
	set_all(cfg, settings, count);
}

/* What is replayed already is not looked at again. */
static void resolve_recording(const struct em_config *before, struct em_config *cfg)
{
	char err[2048];

	if (strcmp(cfg->prefetcher, "replay") || !*cfg->recording ||
	    (!strcmp(before->prefetcher, "replay") && !strcmp(before->recording, cfg->recording)))
		return;
	if (!cmd_recording_resolve(cfg->recording, sizeof(cfg->recording), err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
}

/* Whether a text has that line. */
static bool has_line(const char *text, const char *line, size_t len)
{
	for (; *text; text += strcspn(text, "\n") + 1) {
		if (strcspn(text, "\n") == len && !memcmp(text, line, len))
			return true;
		if (!text[strcspn(text, "\n")])
			break;
	}
	return false;
}

/* The lines of one text that the other has not. */
static unsigned int print_lines(const char *text, const char *other, const char *lead)
{
	unsigned int printed = 0;

	for (size_t len; *text; text += len + 1) {
		len = strcspn(text, "\n");
		if (!has_line(other, text, len)) {
			printf("%s%.*s\n", lead, (int)len, text);
			printed++;
		}
	}
	return printed;
}

void cmd_live_apply(pid_t pid, const char *file_or_name, const char *const *settings,
		    size_t count)
{
	static struct em_config before, cfg;
	static char was[EM_CONFIG_DUMP_MAX], request[EM_CONTROL_BYTES] = "apply\n";
	static char answer[EM_CONTROL_BYTES];
	char err[2048];
	const char *now = request + 6;

	cmd_live_policy(pid, &before);
	em_config_judge_plugins(cmd_plugin_place);
	cfg = before;
	if (file_or_name)
		read_policy(&before, &cfg, file_or_name);
	use_settings(&cfg, settings, count);
	resolve_recording(&before, &cfg);
	if (em_config_check(&cfg, err, sizeof(err)) ||
	    em_config_check_live(&before, &cfg, err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	if (em_config_dump(&before, was, sizeof(was)) < 0 ||
	    em_config_dump(&cfg, request + 6, EM_CONFIG_DUMP_MAX) < 0)
		cmd_die(FAILED, "the policy is too long to be handed on; shorten its paths");
	ask(pid, request, answer);
	if (print_lines(was, now, "- ") + print_lines(now, was, "+ ") == 0)
		puts("nothing to change");
}
