/* SPDX-License-Identifier: Apache-2.0 */
/* One PowerDNS server and the zones whose caches it shall flush: those that have changed first,
 * then what it missed while it was away or what looks old all the same, then those that a job only
 * verified. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/writer-mysql/readers_parts.h"

#define FLUSH_TIMEOUT_MS 3000
#define ANSWER_MAX 4096
#define MISSED_MAX 65536
#define URL_MAX 2048

TAILQ_HEAD(flushes, flush);

struct flusher {
	struct readers *readers;
	struct fetch *fetch;
	char *url;                          /* without a slash at its end */
	char *key_line;                     /* never logged */
	struct flushes lists[FLUSH_PLACES]; /* while it is away those of jobs are empty */
	size_t counts[FLUSH_PLACES];
	bool newest; /* is next, not the oldest */

	bool away;
	bool key_refused; /* said since it went away */
	int64_t away_since_ms;
	int64_t next_try_ms;
	int64_t pause_ms;
};

enum outcome flusher_create(struct flusher **out, struct readers *readers, struct fetch *fetch,
			    struct span url, const char *key, struct reason *why)
{
	struct buf line = BUF_INIT(4096);
	struct flusher *flusher;
	struct reason because_of;
	enum outcome outcome;
	char *text;

	while (url.len != 0 && url.data[url.len - 1] == '/') {
		url.len--;
	}
	text = xstrndup(url.data, url.len);
	outcome = fetch_check(text, &because_of);
	if (outcome == OK && strpbrk(text, "?#") != NULL) {
		outcome = because(PERMFAIL, &because_of, "a base URL has no ? and no #");
	}
	if (outcome == OK && url.len > URL_MAX / 2) {
		outcome = because(PERMFAIL, &because_of, "the URL is too long");
	}
	if (outcome != OK) {
		free(text);
		return because(outcome, why, "api: %s", because_of.text);
	}
	flusher = xcalloc(1, sizeof(*flusher));
	flusher->readers = readers;
	flusher->fetch = fetch;
	flusher->url = text;
	buf_addf(&line, "X-API-Key: %s", key);
	flusher->key_line = buf_take(&line);
	for (size_t i = 0; i < FLUSH_PLACES; i++) {
		TAILQ_INIT(&flusher->lists[i]);
	}
	*out = flusher;
	return OK;
}

void flusher_destroy(struct flusher *flusher)
{
	if (flusher->away) {
		readers_count(READERS_AWAY_API, -1);
	}
	explicit_bzero(flusher->key_line, strlen(flusher->key_line));
	free(flusher->key_line);
	free(flusher->url);
	free(flusher);
}

const char *flusher_away(const struct flusher *flusher)
{
	return flusher->away ? flusher->url : NULL;
}

/* --- the lists ---------------------------------------------------------------------------------
 */

static struct flush *first_of(const struct flusher *flusher, enum flush_place where)
{
	return TAILQ_FIRST(&flusher->lists[where]);
}

static void put(struct flush *flush, enum flush_place where)
{
	struct flusher *flusher = flush->flusher;

	if (flush->where != FLUSH_NOWHERE) {
		TAILQ_REMOVE(&flusher->lists[flush->where], flush, link);
		flusher->counts[flush->where]--;
	}
	flush->where = where;
	if (where != FLUSH_NOWHERE) {
		TAILQ_INSERT_TAIL(&flusher->lists[where], flush, link);
		flusher->counts[where]++;
	}
	if (where == FLUSH_MISSED) {
		flush->second = false;
	}
}

static void limit_missed(struct flusher *flusher)
{
	while (flusher->counts[FLUSH_MISSED] > MISSED_MAX) {
		struct flush *oldest = first_of(flusher, FLUSH_MISSED);

		put(oldest, FLUSH_NOWHERE);
		readers_count(READERS_DROPPED, 1);
		task_free_if_idle(flusher->readers, oldest->task);
	}
}

/* Before all that waits. */
static void put_first(struct flush *flush)
{
	struct flushes *waiting = &flush->flusher->lists[FLUSH_WAITING];

	put(flush, FLUSH_WAITING);
	TAILQ_REMOVE(waiting, flush, link);
	TAILQ_INSERT_HEAD(waiting, flush, link);
}

/* Where a job waits for it; what is not yet flushed after a change stays one that has changed. */
static enum flush_place place_of(const struct flush *flush)
{
	bool changed = flush->where == FLUSH_WAITING || flush->where == FLUSH_MISSED;

	return flush->task->job.unchanged && !changed ? FLUSH_UNCHANGED : FLUSH_WAITING;
}

bool flusher_tell(struct flusher *flusher, struct flush *flush)
{
	flush->second = false;
	if (flush->where == FLUSH_FLYING) {
		flush->again = true;
	} else if (!flusher->away) {
		if (flush->task->job.now) {
			put_first(flush);
		} else {
			put(flush, place_of(flush));
		}
	} else if (flush->where == FLUSH_NOWHERE) {
		put(flush, FLUSH_MISSED);
		limit_missed(flusher);
	}
	flush->awaited = !flusher->away;
	return flush->awaited;
}

void flusher_repeat(struct flusher *flusher, struct flush *flush)
{
	if (flush->where == FLUSH_FLYING) {
		flush->again = true;
	} else if (flush->where == FLUSH_NOWHERE) {
		put(flush, FLUSH_MISSED);
		limit_missed(flusher);
	}
}

void flush_forget(struct flush *flush)
{
	flush->awaited = false;
}

/* --- there and away ----------------------------------------------------------------------------
 */

/* Nobody waits for it any longer. */
static void excuse(struct flush *flush)
{
	if (flush->awaited) {
		flush->awaited = false;
		task_flushed(flush->flusher->readers, flush->task);
	}
}

static void go_away(struct flusher *flusher, const struct reason *why)
{
	struct flush *flush;

	flusher->away = true;
	flusher->away_since_ms = clock_ms();
	flusher->pause_ms = FIRST_TRY_MS;
	flusher->next_try_ms = flusher->away_since_ms + FIRST_TRY_MS;
	readers_count(READERS_AWAY_API, 1);
	log_warn("reader is away", F("api", flusher->url), F("reason", why->text));
	while ((flush = first_of(flusher, FLUSH_WAITING)) != NULL ||
	       (flush = first_of(flusher, FLUSH_UNCHANGED)) != NULL) {
		put(flush, FLUSH_MISSED);
		excuse(flush);
	}
	for (flush = first_of(flusher, FLUSH_FLYING); flush != NULL;
	     flush = TAILQ_NEXT(flush, link)) {
		excuse(flush);
	}
}

static void come_back(struct flusher *flusher)
{
	int64_t back_ms = flusher->readers->back_ms;

	flusher->away = false;
	flusher->key_refused = false;
	if (back_ms != INT64_MAX) { /* what it missed is flushed now */
		(void)atomic_compare_exchange_strong(&flusher->readers->back_ms, &back_ms,
						     clock_ms());
	}
	readers_count(READERS_AWAY_API, -1);
	log_info("reader is back", F("api", flusher->url),
		 F("away_ms", clock_ms() - flusher->away_since_ms),
		 F("missed", flusher->counts[FLUSH_MISSED]));
}

/* --- requests ----------------------------------------------------------------------------------
 */

enum verdict { FLUSHED, REFUSED, AWAY };

/* Only 422 is about the zone (PowerDNS: its name); all else will be the same for the next one. */
static enum verdict judge(const struct fetch_answer *answer, struct reason *why)
{
	if (answer->outcome != OK) {
		*why = answer->why;
		return AWAY;
	}
	if (answer->status == 200) {
		return FLUSHED;
	}
	if (answer->status == 401) {
		because(TEMPFAIL, why,
			"HTTP 401: api_key of this stanza is not the api-key of its pdns.conf");
		return AWAY;
	}
	because(TEMPFAIL, why, "HTTP %d: %s", answer->status, name_quote(answer->body).text);
	return answer->status == 422 ? REFUSED : AWAY;
}

/* PowerDNS says `"count": N`, the number of entries that it threw away. */
static bool found_some(const struct fetch_answer *answer)
{
	static const char field[] = "\"count\":";
	const char *end = answer->body.data + answer->body.len;
	const char *at = memmem(answer->body.data, answer->body.len, field, sizeof(field) - 1);

	if (at == NULL) {
		return true; /* of another kind: better once too often */
	}
	at += sizeof(field) - 1;
	while (at < end && *at == ' ') {
		at++;
	}
	return at == end || *at != '0';
}

static void settle(struct flush *flush, enum verdict verdict, bool more, const struct reason *why)
{
	struct flusher *flusher = flush->flusher;
	struct reason text;
	bool again = flush->again;

	readers_count(verdict == FLUSHED ? READERS_FLUSHED : READERS_FLUSH_FAILED, 1);
	flush->again = false;
	if (verdict == AWAY) {
		if (!flusher->away) {
			go_away(flusher, why);
		}
		put(flush, FLUSH_MISSED);
		excuse(flush);
		limit_missed(flusher);
		return;
	}
	if (flusher->away) {
		come_back(flusher);
	}
	if (again) {
		if (flush->awaited && flush->task->job.now) {
			put_first(flush);
		} else {
			put(flush, flush->awaited ? place_of(flush) : FLUSH_MISSED);
		}
		return;
	}
	if (more && !flush->second) {
		flush->second = true;
		put_first(flush);
		return;
	}
	put(flush, FLUSH_NOWHERE);
	if (!flush->awaited) {
		task_free_if_idle(flusher->readers, flush->task);
	} else if (verdict == FLUSHED) {
		excuse(flush);
	} else {
		because(TEMPFAIL, &text, "%s does not flush its caches of it: %s", flusher->url,
			why->text);
		task_failed(flusher->readers, flush->task, &text);
	}
}

void flusher_take(const struct fetch_answer *answer)
{
	struct flush *flush = answer->ticket;
	struct flusher *flusher = flush->flusher;
	bool was_away = flusher->away;
	struct reason why = {0};
	enum verdict verdict;

	verdict = judge(answer, &why);
	if (answer->status == 401 && !flusher->key_refused) {
		flusher->key_refused = true;
		if (was_away) { /* for another reason, which is the one that was logged */
			log_warn("reader refuses our key", F("api", flusher->url),
				 F("reason", why.text));
		}
	}
	settle(flush, verdict, verdict == FLUSHED && found_some(answer), &why);
}

static void fly(struct flusher *flusher, struct flush *flush)
{
	const char *const headers[] = {flusher->key_line, NULL};
	struct buf url = BUF_INIT(URL_MAX);
	struct fetch_request request = {.method = "PUT",
					.headers = headers,
					.timeout_ms = FLUSH_TIMEOUT_MS,
					.answer_max = ANSWER_MAX,
					.ticket = flush};
	struct reason why;

	/* Nothing in a struct name needs escaping; a / may stand in a query. */
	buf_addf(&url, "%s/api/v1/servers/localhost/cache/flush?domain=%s.", flusher->url,
		 flush->task->job.zone.text);
	request.url = buf_text(&url);
	put(flush, FLUSH_FLYING);
	if (fetch_start(flusher->fetch, &request, &why) != OK) {
		settle(flush, REFUSED, false, &why);
	}
	buf_finish(&url);
}

/* While it is away one flush at a time is its test. */
static void try_again(struct flusher *flusher, int64_t *next_ms)
{
	struct flush *flush = first_of(flusher, FLUSH_MISSED);
	int64_t now = clock_ms();

	if (flusher->counts[FLUSH_FLYING] != 0 || flush == NULL) {
		return;
	}
	if (now >= flusher->next_try_ms) {
		flusher->pause_ms =
			flusher->pause_ms * 2 > LAST_TRY_MS ? LAST_TRY_MS : flusher->pause_ms * 2;
		flusher->next_try_ms = now + flusher->pause_ms;
		fly(flusher, flush);
	} else if (flusher->next_try_ms < *next_ms) {
		*next_ms = flusher->next_try_ms;
	}
}

static bool is_urgent(const struct flush *flush)
{
	return flush->task->job.now || flush->second;
}

/* Of those that have changed, in turn the newest and the oldest. Thousands may wait, at some
 * hundred a second: a database was restored, a sender pushes all it has. What is pushed now is
 * flushed at once all the same, and each of the others has its turn. */
static struct flush *next_of(const struct flusher *flusher)
{
	struct flush *first = first_of(flusher, FLUSH_WAITING);

	if (first != NULL && flusher->newest && !is_urgent(first)) {
		return TAILQ_LAST(&flusher->lists[FLUSH_WAITING], flushes);
	}
	if (first == NULL) {
		first = first_of(flusher, FLUSH_MISSED);
	}
	return first != NULL ? first : first_of(flusher, FLUSH_UNCHANGED);
}

/* How many may fly now; `next` is the next one. */
static size_t allowed(const struct flusher *flusher, const struct flush *next, int64_t *next_ms)
{
	int64_t now = clock_ms();
	int64_t until_ms = flusher->readers->busy_until_ms;
	int64_t waited_ms = flusher->readers->busy_since_ms + BUSY_WAIT_MS;

	if (now >= until_ms) {
		return FLUSHES_AT_ONCE;
	}
	if (now >= waited_ms || is_urgent(next)) {
		return 1;
	}
	until_ms = until_ms < waited_ms ? until_ms : waited_ms;
	*next_ms = until_ms < *next_ms ? until_ms : *next_ms;
	return 0;
}

void flusher_work(struct flusher *flusher, int64_t *next_ms)
{
	size_t at_once = FLUSHES_AT_ONCE;
	struct flush *next;

	if (flusher->away) {
		try_again(flusher, next_ms);
		return;
	}
	next = next_of(flusher);
	if (next != NULL && next->where != FLUSH_MISSED) {
		at_once = allowed(flusher, next, next_ms);
	}
	while (next != NULL && flusher->counts[FLUSH_FLYING] < at_once) {
		flusher->newest = is_urgent(next) ? flusher->newest : !flusher->newest;
		fly(flusher, next);
		next = next_of(flusher);
	}
}
