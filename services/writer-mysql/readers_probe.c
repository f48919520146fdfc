/* SPDX-License-Identifier: Apache-2.0 */
/* One DNS server and the zones that it is asked for until it shows them as committed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/writer-mysql/readers_parts.h"

#define QUESTIONS_MAX 64 /* open at once: what its socket and ours take without loss */
#define TRIAL_TAG QUESTIONS_MAX
#define LOST_MS                                                                          \
	400 /* a question without an answer is asked again, then after twice as long ... \
	     */
#define LOST_DOUBLED_MAX 3
/* An old answer so long after the flush: it was in the making when the flush came, or the rows come
 * later to the server's database than to ours. Flushed once more, and after twice as long ... */
#define STALE_MS 64
#define SILENT_MS 1000   /* nothing at all for so long: it is away */
#define PATIENT_PER_MS 4 /* zones that are late are asked for no faster than this */

/* Pauses before the next question. One list for each, so each list is in order of time. */
static const int64_t pauses_ms[] = {0, 2, 4, 8, 16, 32, 64, 128, 250};
#define LEVELS (sizeof(pauses_ms) / sizeof(pauses_ms[0]))
#define PATIENT (LEVELS - 1)

struct prober {
	struct readers *readers;
	char *server;
	int64_t verify_ms;
	struct dnsq *dnsq;
	int epoll_fd; /* borrowed */
	bool polled;  /* the socket is in it */
	struct probes levels[LEVELS];
	struct probes asked;
	size_t count;                       /* in all lists */
	struct probe *slots[QUESTIONS_MAX]; /* by tag */
	uint32_t free_slots[QUESTIONS_MAX];
	size_t free_count;
	int64_t patient_ms;      /* in this millisecond ... */
	int patient_asked;       /* ... so many patient ones were asked for */
	int64_t heard_ms;        /* the last answer */
	int64_t silent_since_ms; /* first question after it; 0: none */
	struct reason trouble;   /* of asking; empty: none */

	bool away;
	int64_t away_since_ms;
	int64_t next_try_ms;
	int64_t pause_ms;
	struct name last; /* asked for while it is away */
};

enum outcome prober_create(struct prober **out, struct readers *readers, int epoll_fd,
			   struct span server, int64_t verify_ms, struct reason *why)
{
	char *text = xstrndup(server.data, server.len);
	struct reason because_of;
	struct prober *prober;
	struct dnsq *dnsq;

	if (dnsq_create(&dnsq, text, &because_of) != OK) {
		free(text);
		return because(PERMFAIL, why, "dns: %s", because_of.text);
	}
	prober = xcalloc(1, sizeof(*prober));
	prober->readers = readers;
	prober->server = text;
	prober->verify_ms = verify_ms;
	prober->dnsq = dnsq;
	prober->epoll_fd = epoll_fd;
	for (size_t i = 0; i < LEVELS; i++) {
		TAILQ_INIT(&prober->levels[i]);
	}
	TAILQ_INIT(&prober->asked);
	for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
		prober->free_slots[prober->free_count++] = i;
	}
	*out = prober;
	return OK;
}

void prober_destroy(struct prober *prober)
{
	if (prober->away) {
		readers_count(READERS_AWAY_DNS, -1);
	}
	dnsq_destroy(prober->dnsq);
	free(prober->server);
	free(prober);
}

/* --- the lists ---------------------------------------------------------------------------------
 */

static void take_out(struct probe *probe)
{
	struct prober *prober = probe->prober;

	if (probe->list == &prober->asked) {
		prober->slots[probe->slot] = NULL;
		prober->free_slots[prober->free_count++] = probe->slot;
	}
	TAILQ_REMOVE(probe->list, probe, link);
	probe->list = NULL;
	prober->count--;
}

static void put_in(struct probe *probe, struct probes *list, int64_t due_ms)
{
	probe->list = list;
	probe->due_ms = due_ms;
	TAILQ_INSERT_TAIL(list, probe, link);
	probe->prober->count++;
}

void probe_forget(struct probe *probe)
{
	struct prober *prober = probe->prober;

	if (probe->list == NULL) {
		return;
	}
	take_out(probe);
	if (prober->count == 0) {
		prober->silent_since_ms = 0;
	}
}

bool prober_tell(struct prober *prober, struct probe *probe)
{
	prober->last = probe->task->job.zone;
	if (prober->away) {
		return false;
	}
	probe->level = 0;
	probe->first_ms = 0;
	probe->stale_ms = STALE_MS;
	probe->lost = 0;
	probe->answered = false;
	put_in(probe, &prober->levels[0], clock_ms());
	return true;
}

static void ask_later(struct probe *probe)
{
	struct prober *prober = probe->prober;

	take_out(probe);
	if (probe->level < PATIENT) {
		probe->level++;
	}
	put_in(probe, &prober->levels[probe->level], clock_ms() + pauses_ms[probe->level]);
}

/* --- there and away ----------------------------------------------------------------------------
 */

static void go_away(struct prober *prober)
{
	struct probes *lists[LEVELS + 1];

	prober->away = true;
	prober->away_since_ms = clock_ms();
	prober->pause_ms = FIRST_TRY_MS;
	prober->next_try_ms = prober->away_since_ms + FIRST_TRY_MS;
	readers_count(READERS_AWAY_DNS, 1);
	log_warn("reader is away", F("dns", prober->server),
		 F("reason", prober->trouble.text[0] != '\0' ? prober->trouble.text
							     : "no answer to any question"),
		 F("silent_ms", prober->away_since_ms - prober->silent_since_ms));
	for (size_t i = 0; i < LEVELS; i++) {
		lists[i] = &prober->levels[i];
	}
	lists[LEVELS] = &prober->asked;
	for (size_t i = 0; i <= LEVELS; i++) {
		struct probe *probe;

		while ((probe = TAILQ_FIRST(lists[i])) != NULL) {
			probe_forget(probe);
			task_seen(prober->readers, probe->task);
		}
	}
	dnsq_forget(prober->dnsq);
}

static void come_back(struct prober *prober)
{
	prober->away = false;
	readers_count(READERS_AWAY_DNS, -1);
	log_info("reader is back", F("dns", prober->server),
		 F("away_ms", clock_ms() - prober->away_since_ms));
}

/* --- questions ---------------------------------------------------------------------------------
 */

static void ask(struct prober *prober, const struct name *zone, uint32_t tag)
{
	struct epoll_event event = {.events = EPOLLIN};
	int64_t now = clock_ms();

	readers_count(READERS_PROBES, 1);
	if (prober->silent_since_ms == 0) {
		prober->silent_since_ms = now;
	}
	/* What could not be asked counts as not answered. */
	if (dnsq_ask_soa(prober->dnsq, zone, tag, &prober->trouble) != OK) {
		prober->polled = false; /* the socket was closed */
		return;
	}
	prober->trouble.text[0] = '\0';
	if (!prober->polled) {
		prober->polled = epoll_ctl(prober->epoll_fd, EPOLL_CTL_ADD, dnsq_fd(prober->dnsq),
					   &event) == 0;
	}
}

static void ask_for(struct prober *prober, struct probe *probe)
{
	int64_t now = clock_ms();

	take_out(probe);
	probe->slot = prober->free_slots[--prober->free_count];
	prober->slots[probe->slot] = probe;
	put_in(probe, &prober->asked,
	       now + (LOST_MS << (probe->lost < LOST_DOUBLED_MAX ? probe->lost
								 : LOST_DOUBLED_MAX)));
	if (probe->first_ms == 0) {
		probe->first_ms = now;
	}
	ask(prober, &probe->task->job.zone, probe->slot);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static bool is_right(const struct probe *probe)
{
	const struct readers_job *job = &probe->task->job;

	if (job->deleted) {
		return probe->last.state == DNSQ_NOT_SERVED;
	}
	return probe->last.state == DNSQ_SERVED && probe->last.serial == job->serial;
}

static void not_served(struct probe *probe)
{
	const struct prober *prober = probe->prober;
	struct task *task = probe->task;
	int64_t late_ms = (clock_us() - task->told_us) / 1000;
	struct reason advice;
	struct reason why;

	readers_count(READERS_NOT_SERVED, 1);
	readers_advise(prober->readers, &advice);
	if (!probe->answered) {
		because(TEMPFAIL, &why,
			"%s answers other questions, but not those for its SOA, %" PRId64
			" ms after the commit",
			prober->server, late_ms);
	} else if (probe->last.state == DNSQ_BROKEN) {
		because(TEMPFAIL, &why,
			"%s answers SERVFAIL for it %" PRId64
			" ms after the commit: can it reach its database? See its log",
			prober->server, late_ms);
	} else if (probe->last.state == DNSQ_NOT_SERVED) {
		because(TEMPFAIL, &why, "%s does not serve it %" PRId64 " ms after the commit: %s",
			prober->server, late_ms, advice.text);
	} else if (task->job.deleted) {
		because(TEMPFAIL, &why,
			"%s still serves it, serial %" PRIu32 ", %" PRId64
			" ms after it was deleted: %s",
			prober->server, probe->last.serial, late_ms, advice.text);
	} else {
		because(TEMPFAIL, &why,
			"%s still serves serial %" PRIu32 ", not %" PRIu32 ", %" PRId64
			" ms after the commit: %s",
			prober->server, probe->last.serial, task->job.serial, late_ms, advice.text);
	}
	task_failed(prober->readers, task, &why);
}

static bool is_late(const struct probe *probe)
{
	int64_t since_ms = probe->prober->readers->back_ms;

	if (since_ms < probe->first_ms) {
		since_ms = probe->first_ms;
	}
	return clock_ms() - since_ms >= probe->prober->verify_ms;
}

static void flush_if_stale(struct probe *probe)
{
	if (clock_ms() - probe->first_ms >= probe->stale_ms) {
		probe->stale_ms *= 2;
		task_stale(probe->prober->readers, probe->task);
	}
}

static void take_answer(struct prober *prober, const struct dnsq_answer *answer)
{
	struct probe *probe = answer->tag < QUESTIONS_MAX ? prober->slots[answer->tag] : NULL;

	prober->heard_ms = clock_ms();
	prober->silent_since_ms = 0;
	if (prober->away) {
		come_back(prober);
	}
	if (probe != NULL) {
		probe->answered = true;
		probe->last = *answer;
		if (is_right(probe)) {
			probe_forget(probe);
			task_seen(prober->readers, probe->task);
		} else if (is_late(probe)) {
			not_served(probe);
		} else {
			flush_if_stale(probe);
			ask_later(probe);
		}
	}
	if (!TAILQ_EMPTY(&prober->asked)) {
		prober->silent_since_ms = prober->heard_ms;
	}
}

/* --- work --------------------------------------------------------------------------------------
 */

static void lower(int64_t *next_ms, int64_t ms)
{
	if (ms < *next_ms) {
		*next_ms = ms;
	}
}

static void try_again(struct prober *prober, int64_t *next_ms)
{
	int64_t now = clock_ms();

	if (now >= prober->next_try_ms) {
		prober->pause_ms =
			prober->pause_ms * 2 > LAST_TRY_MS ? LAST_TRY_MS : prober->pause_ms * 2;
		prober->next_try_ms = now + prober->pause_ms;
		ask(prober, &prober->last, TRIAL_TAG);
	}
	lower(next_ms, prober->next_try_ms);
}

static void find_lost(struct prober *prober, int64_t *next_ms)
{
	struct probe *probe;

	while ((probe = TAILQ_FIRST(&prober->asked)) != NULL && probe->due_ms <= clock_ms()) {
		/* With the whole server silent, SILENT_MS decides. */
		if (is_late(probe) && prober->heard_ms >= probe->first_ms) {
			not_served(probe);
		} else {
			probe->lost++;
			ask_later(probe);
		}
	}
	if (probe != NULL) {
		lower(next_ms, probe->due_ms);
	}
}

/* May one more be asked for now? */
static bool has_leave(struct prober *prober, const struct probe *probe, int64_t *next_ms)
{
	int64_t now = clock_ms();

	if (probe->due_ms > now) {
		lower(next_ms, probe->due_ms);
		return false;
	}
	if (probe->level < PATIENT) {
		return true;
	}
	if (prober->patient_ms != now) {
		prober->patient_ms = now;
		prober->patient_asked = 0;
	}
	if (prober->patient_asked == PATIENT_PER_MS) {
		lower(next_ms, now + 1);
		return false;
	}
	prober->patient_asked++;
	return true;
}

static void ask_due(struct prober *prober, int64_t *next_ms)
{
	for (size_t i = 0; i < LEVELS; i++) {
		struct probe *probe;

		while (prober->free_count != 0 &&
		       (probe = TAILQ_FIRST(&prober->levels[i])) != NULL &&
		       has_leave(prober, probe, next_ms)) {
			ask_for(prober, probe);
		}
	}
	if (!TAILQ_EMPTY(&prober->asked)) {
		lower(next_ms, TAILQ_FIRST(&prober->asked)->due_ms);
	}
}

void prober_work(struct prober *prober, int64_t *next_ms)
{
	struct dnsq_answer answer;

	while (dnsq_next(prober->dnsq, 0, &answer)) {
		take_answer(prober, &answer);
	}
	if (!prober->away && prober->silent_since_ms != 0 &&
	    clock_ms() - prober->silent_since_ms >= SILENT_MS) {
		go_away(prober);
	}
	if (prober->away) {
		try_again(prober, next_ms);
		return;
	}
	find_lost(prober, next_ms);
	ask_due(prober, next_ms);
	if (prober->silent_since_ms != 0) {
		lower(next_ms, prober->silent_since_ms + SILENT_MS);
	}
}
