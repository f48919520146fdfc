/* SPDX-License-Identifier: Apache-2.0 */
/* rndc_wire.h: messages of named's control channel as bytes, and the key that signs them. Pure: no
 * socket, no clock.
 *
 * A frame is a 4-byte length and then what is handled here: a 4-byte protocol version and a table
 * (1-byte key length, key, 1-byte type, 4-byte value length, value) of _auth, _ctrl and _data. The
 * MAC in _auth covers the bytes of everything after _auth.
 *
 * Threads: values.
 */
#ifndef COMMON_RNDC_WIRE_H
#define COMMON_RNDC_WIRE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"

#define RNDC_SECRET_MAX 128
#define RNDC_NONCE_SIZE 24
#define RNDC_REQUEST_MAX 32768 /* named reads no more */
#define RNDC_REPLY_MAX 65536   /* of what we read; our commands get a few hundred bytes */

struct rndc_key {
	char name[128];
	uint8_t secret[RNDC_SECRET_MAX];
	size_t secret_len;
};

/* Reads the first `key NAME { algorithm hmac-sha256; secret "..."; };` of a file as rndc-confgen
 * writes it. PERMFAIL: there is none, or it is of another algorithm. Never quotes the text. */
MUST_CHECK enum outcome rndc_key_parse(struct span text, struct rndc_key *out, struct reason *why);

struct rndc_request {
	uint32_t serial;
	int64_t now_s;     /* Unix time; named refuses what is far from its own */
	const char *nonce; /* NULL in the first message of a connection */
	struct span command;
};

/* Appends a whole frame with its length. */
void rndc_request_print(const struct rndc_request *request, const struct rndc_key *key,
			struct buf *out);

struct rndc_reply {
	uint32_t serial; /* of the request */
	char nonce[RNDC_NONCE_SIZE];
	int result; /* 0 = success */
	char err[120];
	char text[800]; /* cut */
};

/* `frame` without its length. TEMPFAIL: broken, or not signed with our key. err and text hold
 * printable ASCII only. */
MUST_CHECK enum outcome rndc_reply_parse(struct span frame, const struct rndc_key *key,
					 struct rndc_reply *out, struct reason *why);

#endif
