/* SPDX-License-Identifier: Apache-2.0 */
#include "common/dnsq.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/zone.h"

#define WIRE_NAME_MAX 255
#define HEADER_BYTES 12
#define QUESTION_MAX (HEADER_BYTES + WIRE_NAME_MAX + 4 + 11)
#define UDP_BYTES 1232 /* what we offer by EDNS: fits any path */
#define TRANSFER_MAX (64 << 20)
#define CONNECT_MS 3000

#define TYPE_SOA 6
#define TYPE_AXFR 252
#define CLASS_IN 1
#define RCODE_SERVFAIL 2

struct wire_name {
	uint8_t len;
	uint8_t bytes[WIRE_NAME_MAX]; /* uncompressed, lower case */
};

struct question {
	uint16_t id;
	uint32_t tag;
	struct wire_name name;
};

struct dnsq {
	struct address server;
	int udp;
	int tcp;
	uint16_t next_id;
	struct question *pending; /* oldest first */
	size_t pending_count;
	size_t pending_size;
};

/* --- messages ----------------------------------------------------------------------------------
 */

struct reader {
	const uint8_t *data;
	size_t len;
	size_t at;
};

static bool read_u16(struct reader *reader, uint16_t *out)
{
	if (reader->len - reader->at < 2) {
		return false;
	}
	*out = (uint16_t)(reader->data[reader->at] << 8 | reader->data[reader->at + 1]);
	reader->at += 2;
	return true;
}

static bool read_u32(struct reader *reader, uint32_t *out)
{
	uint16_t high;
	uint16_t low;

	if (!read_u16(reader, &high) || !read_u16(reader, &low)) {
		return false;
	}
	*out = (uint32_t)high << 16 | low;
	return true;
}

static bool pass(struct reader *reader, size_t count)
{
	if (reader->len - reader->at < count) {
		return false;
	}
	reader->at += count;
	return true;
}

/* Reads a name that may be compressed; each pointer must lead further back, so it ends. */
static bool read_name(struct reader *reader, struct wire_name *out)
{
	size_t at = reader->at;
	size_t lowest = reader->at;
	bool jumped = false;
	size_t len = 0;

	for (;;) {
		uint8_t byte;

		if (at >= reader->len) {
			return false;
		}
		byte = reader->data[at];
		if ((byte & 0xc0) == 0xc0) {
			if (at + 1 >= reader->len) {
				return false;
			}
			if (!jumped) {
				reader->at = at + 2;
				jumped = true;
			}
			at = (size_t)(byte & 0x3f) << 8 | reader->data[at + 1];
			if (at >= lowest) {
				return false;
			}
			lowest = at;
			continue;
		}
		if (byte > 63 || at + 1 + byte > reader->len || len + 1 + byte > WIRE_NAME_MAX) {
			return false;
		}
		out->bytes[len++] = byte;
		at++;
		for (uint8_t i = 0; i < byte; i++, at++) {
			uint8_t c = reader->data[at];

			out->bytes[len++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
		}
		if (byte == 0) {
			break;
		}
	}
	if (!jumped) {
		reader->at = at;
	}
	out->len = (uint8_t)len;
	return true;
}

static bool wire_name_equal(const struct wire_name *a, const struct wire_name *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void wire_name_make(const struct name *zone, struct wire_name *out)
{
	size_t label = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i <= zone->len; i++) {
		if (i == zone->len || zone->text[i] == '.') {
			out->bytes[label] = (uint8_t)(i - label);
			label = i + 1;
		} else {
			out->bytes[i + 1] = (uint8_t)zone->text[i];
		}
	}
	out->len = (uint8_t)(zone->len + 2);
}

static size_t question_print(uint8_t *out, uint16_t id, const struct wire_name *name, uint16_t type)
{
	static const uint8_t edns[11] = {0, 0, 41, UDP_BYTES >> 8, UDP_BYTES & 0xff, 0, 0, 0,
					 0, 0, 0};
	uint8_t *at = out;

	memset(out, 0, HEADER_BYTES);
	at[0] = (uint8_t)(id >> 8);
	at[1] = (uint8_t)id;
	at[5] = 1;
	at += HEADER_BYTES;
	memcpy(at, name->bytes, name->len);
	at += name->len;
	*at++ = (uint8_t)(type >> 8);
	*at++ = (uint8_t)type;
	*at++ = 0;
	*at++ = CLASS_IN;
	if (type == TYPE_SOA) {
		out[11] = 1;
		memcpy(at, edns, sizeof(edns));
		at += sizeof(edns);
	}
	return (size_t)(at - out);
}

struct message_head {
	uint16_t id;
	bool authoritative;
	uint8_t rcode;
	uint16_t questions;
	uint16_t answers;
};

static bool read_head(struct reader *reader, struct message_head *out)
{
	uint16_t flags;
	uint16_t unused;

	if (!read_u16(reader, &out->id) || !read_u16(reader, &flags) ||
	    !read_u16(reader, &out->questions) || !read_u16(reader, &out->answers) ||
	    !read_u16(reader, &unused) || !read_u16(reader, &unused)) {
		return false;
	}
	out->authoritative = (flags & 0x0400) != 0;
	out->rcode = flags & 0x000f;
	return (flags & 0x8000) != 0;
}

struct record {
	struct wire_name owner;
	uint16_t type;
	size_t data_at;
	size_t data_len;
};

static bool read_record(struct reader *reader, struct record *out)
{
	uint16_t class;
	uint16_t len;
	uint32_t ttl;

	if (!read_name(reader, &out->owner) || !read_u16(reader, &out->type) ||
	    !read_u16(reader, &class) || !read_u32(reader, &ttl) || !read_u16(reader, &len)) {
		return false;
	}
	out->data_at = reader->at;
	out->data_len = len;
	return pass(reader, len);
}

static bool soa_serial(const struct reader *message, const struct record *record, uint32_t *serial)
{
	struct reader reader = {message->data, record->data_at + record->data_len, record->data_at};
	struct wire_name unused;

	return read_name(&reader, &unused) && read_name(&reader, &unused) &&
	       read_u32(&reader, serial);
}

/* --- SOA by UDP --------------------------------------------------------------------------------
 */

enum outcome dnsq_create(struct dnsq **out, const char *server, struct reason *why)
{
	struct address address;
	struct dnsq *dnsq;
	enum outcome outcome;

	outcome = address_parse(server, 53, &address, why);
	if (outcome != OK) {
		return outcome;
	}
	dnsq = xcalloc(1, sizeof(*dnsq));
	dnsq->server = address;
	dnsq->udp = -1;
	dnsq->tcp = -1;
	*out = dnsq;
	return OK;
}

static void close_fd(int *fd)
{
	if (*fd >= 0) {
		(void)close(*fd);
	}
	*fd = -1;
}

void dnsq_destroy(struct dnsq *dnsq)
{
	if (dnsq == NULL) {
		return;
	}
	close_fd(&dnsq->udp);
	close_fd(&dnsq->tcp);
	free(dnsq->pending);
	free(dnsq);
}

/* Ids need not be secret from a server that we drive ourselves, but a late answer to an earlier
 * process on the same port must not fit. */
static uint16_t take_id(struct dnsq *dnsq)
{
	if (dnsq->next_id == 0 &&
	    getrandom(&dnsq->next_id, sizeof(dnsq->next_id), GRND_NONBLOCK) < 0) {
		dnsq->next_id = (uint16_t)clock_us();
	}
	return ++dnsq->next_id;
}

static void drop_pending(struct dnsq *dnsq, size_t i)
{
	dnsq->pending_count--;
	memmove(&dnsq->pending[i], &dnsq->pending[i + 1],
		(dnsq->pending_count - i) * sizeof(dnsq->pending[0]));
}

static void drop_tag(struct dnsq *dnsq, uint32_t tag)
{
	for (size_t i = 0; i < dnsq->pending_count; i++) {
		if (dnsq->pending[i].tag == tag) {
			drop_pending(dnsq, i);
			return;
		}
	}
}

enum outcome dnsq_ask_soa(struct dnsq *dnsq, const struct name *zone, uint32_t tag,
			  struct reason *why)
{
	uint8_t message[QUESTION_MAX];
	struct question question = {.tag = tag};
	enum outcome outcome;
	size_t len;

	if (dnsq->udp < 0) {
		outcome = address_connect(&dnsq->server, SOCK_DGRAM, CONNECT_MS, &dnsq->udp, why);
		if (outcome != OK) {
			return outcome;
		}
	}
	question.id = take_id(dnsq);
	wire_name_make(zone, &question.name);
	len = question_print(message, question.id, &question.name, TYPE_SOA);
	/* A refusal of an earlier question (ICMP) is told by the next send: try twice. */
	if (send(dnsq->udp, message, len, 0) < 0 && send(dnsq->udp, message, len, 0) < 0) {
		because(TEMPFAIL, why, "DNS question to %s port %s: %s", dnsq->server.host,
			dnsq->server.port, strerror(errno));
		close_fd(&dnsq->udp); /* the name may mean another address by now */
		dnsq->pending_count = 0;
		return TEMPFAIL;
	}
	drop_tag(dnsq, tag);
	if (dnsq->pending_count == dnsq->pending_size) {
		dnsq->pending_size = dnsq->pending_size == 0 ? 64 : dnsq->pending_size * 2;
		dnsq->pending =
			xrealloc(dnsq->pending, dnsq->pending_size * sizeof(dnsq->pending[0]));
	}
	dnsq->pending[dnsq->pending_count++] = question;
	return OK;
}

/* Fits the datagram one of our questions? Then it is answered. */
static bool take_answer(struct dnsq *dnsq, struct reader *reader, struct dnsq_answer *out)
{
	struct message_head head;
	struct wire_name name;
	struct record record;
	uint16_t type;
	uint16_t class;
	size_t i;

	if (!read_head(reader, &head) || head.questions != 1 || !read_name(reader, &name) ||
	    !read_u16(reader, &type) || !read_u16(reader, &class) || type != TYPE_SOA) {
		return false;
	}
	for (i = 0; i < dnsq->pending_count; i++) {
		if (dnsq->pending[i].id == head.id &&
		    wire_name_equal(&dnsq->pending[i].name, &name)) {
			break;
		}
	}
	if (i == dnsq->pending_count) {
		return false;
	}
	*out = (struct dnsq_answer){.tag = dnsq->pending[i].tag, .state = DNSQ_NOT_SERVED};
	drop_pending(dnsq, i);
	if (head.rcode == RCODE_SERVFAIL) {
		out->state = DNSQ_BROKEN;
	} else if (head.rcode == 0 && head.authoritative) {
		for (uint16_t n = 0; n < head.answers && read_record(reader, &record); n++) {
			if (record.type == TYPE_SOA && wire_name_equal(&record.owner, &name) &&
			    soa_serial(reader, &record, &out->serial)) {
				out->state = DNSQ_SERVED;
				break;
			}
		}
	}
	return true;
}

bool dnsq_next(struct dnsq *dnsq, int timeout_ms, struct dnsq_answer *out)
{
	int64_t deadline = clock_ms() + timeout_ms;
	uint8_t message[UDP_BYTES];
	ssize_t len;

	while (dnsq->udp >= 0) {
		struct pollfd poll_fd = {.fd = dnsq->udp, .events = POLLIN};
		int64_t left;

		len = recv(dnsq->udp, message, sizeof(message), 0);
		if (len >= 0) {
			struct reader reader = {message, (size_t)len, 0};

			if (take_answer(dnsq, &reader, out)) {
				return true;
			}
			continue;
		}
		left = deadline - clock_ms();
		if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) {
			return false;
		}
		if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0) {
			return false;
		}
	}
	return false;
}

int dnsq_fd(const struct dnsq *dnsq)
{
	return dnsq->udp;
}

size_t dnsq_pending(const struct dnsq *dnsq)
{
	return dnsq->pending_count;
}

void dnsq_forget(struct dnsq *dnsq)
{
	dnsq->pending_count = 0;
}

/* --- AXFR by TCP -------------------------------------------------------------------------------
 */

/* One transfer: the bytes as they came, each message with its two bytes of length. */
struct transfer {
	struct buf bytes;
	size_t parsed; /* of `bytes`: whole messages before this were looked at */
	size_t messages;
	size_t soas;
	bool complete;
};

static enum outcome server_says(const struct dnsq *dnsq, const struct name *zone, uint8_t rcode,
				struct reason *why)
{
	static const char *const words[] = {"no error", "format error",    "SERVFAIL",
					    "NXDOMAIN", "not implemented", "REFUSED"};

	return because(PERMFAIL, why, "%s is not transferred by %s port %s: %s (code %u)",
		       zone->text, dnsq->server.host, dnsq->server.port,
		       rcode < sizeof(words) / sizeof(words[0]) ? words[rcode] : "refused", rcode);
}

static enum outcome look_at_message(const struct dnsq *dnsq, struct transfer *transfer,
				    struct reader *reader, uint16_t id, const struct name *zone,
				    struct reason *why)
{
	struct message_head head;
	struct record record;
	uint16_t unused;

	if (!read_head(reader, &head) || head.id != id) {
		return because(TEMPFAIL, why, "AXFR of %s: the answer is not to our question",
			       zone->text);
	}
	if (head.rcode != 0) {
		return server_says(dnsq, zone, head.rcode, why);
	}
	for (uint16_t i = 0; i < head.questions; i++) {
		if (!read_name(reader, &record.owner) || !read_u16(reader, &unused) ||
		    !read_u16(reader, &unused)) {
			return because(TEMPFAIL, why, "AXFR of %s: broken message", zone->text);
		}
	}
	for (uint16_t i = 0; i < head.answers; i++) {
		if (!read_record(reader, &record)) {
			return because(TEMPFAIL, why, "AXFR of %s: broken message", zone->text);
		}
		transfer->soas += record.type == TYPE_SOA;
	}
	if (transfer->soas == 0) {
		return because(PERMFAIL, why, "%s is not transferred: no SOA", zone->text);
	}
	transfer->messages++;
	transfer->complete = transfer->soas >= 2;
	return OK;
}

/* Looks at the messages that are whole by now. */
static enum outcome look(const struct dnsq *dnsq, struct transfer *transfer, uint16_t id,
			 const struct name *zone, struct reason *why)
{
	while (!transfer->complete && transfer->bytes.len - transfer->parsed >= 2) {
		const uint8_t *at = (const uint8_t *)transfer->bytes.data + transfer->parsed;
		size_t len = (size_t)at[0] << 8 | at[1];
		struct reader reader = {at + 2, len, 0};
		enum outcome outcome;

		if (transfer->bytes.len - transfer->parsed - 2 < len) {
			break;
		}
		outcome = look_at_message(dnsq, transfer, &reader, id, zone, why);
		if (outcome != OK) {
			return outcome;
		}
		transfer->parsed += 2 + len;
	}
	return OK;
}

static enum outcome ask_transfer(struct dnsq *dnsq, const struct name *zone, uint16_t id,
				 struct reason *why)
{
	uint8_t message[2 + QUESTION_MAX];
	struct wire_name name;
	enum outcome outcome;
	size_t len;

	if (dnsq->tcp < 0) {
		outcome = address_connect(&dnsq->server, SOCK_STREAM, CONNECT_MS, &dnsq->tcp, why);
		if (outcome != OK) {
			return outcome;
		}
	}
	wire_name_make(zone, &name);
	len = question_print(message + 2, id, &name, TYPE_AXFR);
	message[0] = (uint8_t)(len >> 8);
	message[1] = (uint8_t)len;
	if (send(dnsq->tcp, message, len + 2, MSG_NOSIGNAL) != (ssize_t)len + 2) {
		return because(TEMPFAIL, why, "AXFR of %s: cannot ask: %s", zone->text,
			       strerror(errno));
	}
	return OK;
}

static enum outcome receive_transfer(struct dnsq *dnsq, const struct name *zone, uint16_t id,
				     int64_t deadline, struct transfer *transfer,
				     struct reason *why)
{
	static _Thread_local char chunk[65536];
	enum outcome outcome;

	while (!transfer->complete) {
		struct pollfd poll_fd = {.fd = dnsq->tcp, .events = POLLIN};
		ssize_t len = recv(dnsq->tcp, chunk, sizeof(chunk), 0);
		int64_t left = deadline - clock_ms();

		if (len == 0) {
			return because(TEMPFAIL, why, "AXFR of %s: connection closed", zone->text);
		}
		if (len < 0 && errno != EAGAIN && errno != EINTR) {
			return because(TEMPFAIL, why, "AXFR of %s: %s", zone->text,
				       strerror(errno));
		}
		if (len < 0) {
			if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0) {
				return because(TEMPFAIL, why, "AXFR of %s: no answer in time",
					       zone->text);
			}
			continue;
		}
		buf_add(&transfer->bytes, (struct span){chunk, (size_t)len});
		if (transfer->bytes.overflow) {
			return because(PERMFAIL, why, "AXFR of %s: larger than %d bytes",
				       zone->text, TRANSFER_MAX);
		}
		outcome = look(dnsq, transfer, id, zone, why);
		if (outcome != OK) {
			return outcome;
		}
	}
	return OK;
}

static enum outcome digest_of(const struct transfer *transfer, char digest[DIGEST_HEX_SIZE],
			      uint32_t *serial, struct reason *why)
{
	struct span *messages = xcalloc(transfer->messages, sizeof(*messages));
	const uint8_t *data = (const uint8_t *)transfer->bytes.data;
	enum outcome outcome;
	size_t at = 0;

	for (size_t i = 0; i < transfer->messages; i++) {
		size_t len = (size_t)data[at] << 8 | data[at + 1];

		messages[i] = (struct span){transfer->bytes.data + at + 2, len};
		at += 2 + len;
	}
	outcome = zone_digest_transfer(messages, transfer->messages, digest, serial, why);
	free(messages);
	return outcome;
}

enum outcome dnsq_digest(struct dnsq *dnsq, const struct name *zone, int timeout_ms,
			 char digest[DIGEST_HEX_SIZE], uint32_t *serial, struct reason *why)
{
	struct transfer transfer = {.bytes = BUF_INIT(TRANSFER_MAX)};
	int64_t deadline = clock_ms() + timeout_ms;
	bool was_open = dnsq->tcp >= 0;
	enum outcome outcome;
	uint16_t id;

again:
	id = take_id(dnsq);
	outcome = ask_transfer(dnsq, zone, id, why);
	if (outcome == OK) {
		outcome = receive_transfer(dnsq, zone, id, deadline, &transfer, why);
	}
	if (outcome == TEMPFAIL && was_open && transfer.bytes.len == 0 &&
	    clock_ms() < deadline) { /* the server may have closed it while it was idle */
		close_fd(&dnsq->tcp);
		was_open = false;
		goto again;
	}
	/* What was not read to its end would be taken for the next answer. */
	if (outcome != OK || transfer.parsed != transfer.bytes.len) {
		close_fd(&dnsq->tcp);
	}
	if (outcome == OK) {
		outcome = digest_of(&transfer, digest, serial, why);
	}
	buf_finish(&transfer.bytes);
	return outcome;
}
