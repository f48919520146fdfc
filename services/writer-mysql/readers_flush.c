/* SPDX-License-Identifier: Apache-2.0 */
/* One PowerDNS server and the zones whose caches it shall flush: those that a job waits for first,
 * then what it missed while it was away. */
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
	char *url;              /* without a slash at its end */
	char *key_line;         /* never logged */
	struct flushes waiting; /* of jobs; empty while it is away */
	struct flushes missed;
	size_t missed_count;
	struct flushes flying;
	size_t flying_count;

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
	TAILQ_INIT(&flusher->waiting);
	TAILQ_INIT(&flusher->missed);
	TAILQ_INIT(&flusher->flying);
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

static void put(struct flush *flush, enum flush_place where)
{
	struct flusher *flusher = flush->flusher;

	switch (flush->where) {
	case FLUSH_WAITING:
		TAILQ_REMOVE(&flusher->waiting, flush, link);
		break;
	case FLUSH_MISSED:
		TAILQ_REMOVE(&flusher->missed, flush, link);
		flusher->missed_count--;
		break;
	case FLUSH_FLYING:
		TAILQ_REMOVE(&flusher->flying, flush, link);
		flusher->flying_count--;
		break;
	case FLUSH_NOWHERE:
		break;
	}
	flush->where = where;
	switch (where) {
	case FLUSH_WAITING:
		TAILQ_INSERT_TAIL(&flusher->waiting, flush, link);
		break;
	case FLUSH_MISSED:
		flush->second = false;
		TAILQ_INSERT_TAIL(&flusher->missed, flush, link);
		flusher->missed_count++;
		break;
	case FLUSH_FLYING:
		TAILQ_INSERT_TAIL(&flusher->flying, flush, link);
		flusher->flying_count++;
		break;
	case FLUSH_NOWHERE:
		break;
	}
}

static void limit_missed(struct flusher *flusher)
{
	while (flusher->missed_count > MISSED_MAX) {
		struct flush *oldest = TAILQ_FIRST(&flusher->missed);

		put(oldest, FLUSH_NOWHERE);
		readers_count(READERS_DROPPED, 1);
		task_free_if_idle(flusher->readers, oldest->task);
	}
}

/* Before all that waits. */
static void put_first(struct flush *flush)
{
	put(flush, FLUSH_WAITING);
	TAILQ_REMOVE(&flush->flusher->waiting, flush, link);
	TAILQ_INSERT_HEAD(&flush->flusher->waiting, flush, link);
}

bool flusher_tell(struct flusher *flusher, struct flush *flush)
{
	flush->second = false;
	if (flush->where == FLUSH_FLYING) {
		flush->again = true;
	} else if (!flusher->away) {
		if (flush->task->job.now) {
			put_first(flush);
		} else if (flush->where != FLUSH_WAITING) { /* else it keeps its place */
			put(flush, FLUSH_WAITING);
		}
	} else if (flush->where == FLUSH_NOWHERE) {
		put(flush, FLUSH_MISSED);
		limit_missed(flusher);
	}
	flush->awaited = !flusher->away;
	return flush->awaited;
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
	while ((flush = TAILQ_FIRST(&flusher->waiting)) != NULL) {
		put(flush, FLUSH_MISSED);
		excuse(flush);
	}
	for (flush = TAILQ_FIRST(&flusher->flying); flush != NULL;
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
		 F("missed", flusher->missed_count));
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
			put(flush, flush->awaited ? FLUSH_WAITING : FLUSH_MISSED);
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
	struct flush *flush = TAILQ_FIRST(&flusher->missed);
	int64_t now = clock_ms();

	if (flusher->flying_count != 0 || flush == NULL) {
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

/* How many may fly now; `first` is the next one. */
static size_t allowed(const struct flusher *flusher, const struct flush *first, int64_t *next_ms)
{
	int64_t now = clock_ms();
	int64_t until_ms = flusher->readers->busy_until_ms;
	int64_t waited_ms = flusher->readers->busy_since_ms + BUSY_WAIT_MS;

	if (now >= until_ms) {
		return FLUSHES_AT_ONCE;
	}
	if (now >= waited_ms || first->task->job.now || first->second) {
		return 1;
	}
	until_ms = until_ms < waited_ms ? until_ms : waited_ms;
	*next_ms = until_ms < *next_ms ? until_ms : *next_ms;
	return 0;
}

void flusher_work(struct flusher *flusher, int64_t *next_ms)
{
	size_t at_once = FLUSHES_AT_ONCE;

	if (flusher->away) {
		try_again(flusher, next_ms);
		return;
	}
	if (!TAILQ_EMPTY(&flusher->waiting)) {
		at_once = allowed(flusher, TAILQ_FIRST(&flusher->waiting), next_ms);
	}
	while (flusher->flying_count < at_once) {
		struct flush *flush = TAILQ_FIRST(&flusher->waiting);

		if (flush == NULL) {
			flush = TAILQ_FIRST(&flusher->missed);
		}
		if (flush == NULL) {
			return;
		}
		fly(flusher, flush);
	}
}
