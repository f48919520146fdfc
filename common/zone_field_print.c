/* SPDX-License-Identifier: Apache-2.0 */
/* The way back of zone_field.h: octets -> text. */
#include "common/zone_field.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

static void print_string(struct span octets, struct buf *text)
{
	size_t plain = 0; /* where a run of bytes that need no escape began */
	size_t i;

	buf_add_byte(text, '"');
	for (i = 0; i < octets.len; i++) {
		unsigned char byte = (unsigned char)octets.data[i];

		if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
			continue;
		}
		buf_add(text, (struct span){octets.data + plain, i - plain});
		plain = i + 1;
		if (byte == '"' || byte == '\\') {
			buf_add_byte(text, '\\');
			buf_add_byte(text, (char)byte);
		} else {
			buf_addf(text, "\\%03u", byte);
		}
	}
	buf_add(text, (struct span){octets.data + plain, octets.len - plain});
	buf_add_byte(text, '"');
}

static void print_ipv4(const char *address, struct buf *text)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0) {
			buf_add_byte(text, '.');
		}
		buf_add_number(text, (unsigned char)address[i]);
	}
}

static void print_ipv6(const char *address, struct buf *text)
{
	char out[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(AF_INET6, address, out, sizeof(out)); /* fits, family is known */
	buf_add_text(text, out);
}

/* What ldns prints is taken only where no byte of it means anything to a zone file. */
static enum outcome add_plain(const char *printed, bool parameters, struct buf *text,
			      struct reason *why)
{
	const char *last;

	while (*printed == ' ') {
		printed++;
	}
	last = printed + strlen(printed);
	while (last > printed && last[-1] == ' ') {
		last--;
	}
	for (const char *at = printed; at < last; at++) {
		bool special = strchr("$@;()", *at) != NULL;

		if (*at < ' ' || *at == 0x7f ||
		    (!parameters && (special || *at == '"' || *at == '\\'))) {
			return because(PERMFAIL, why,
				       "its data holds bytes that cannot be printed safely");
		}
	}
	buf_add(text, (struct span){printed, (size_t)(last - printed)});
	return OK;
}

static enum outcome print_by_ldns(int kind, struct span octets, struct buf *text,
				  struct reason *why)
{
	ldns_rdf *rdf = ldns_rdf_new_frm_data((ldns_rdf_type)kind, octets.len, octets.data);
	char *printed = rdf == NULL ? NULL : ldns_rdf2str(rdf);
	enum outcome outcome;

	ldns_rdf_deep_free(rdf);
	if (printed == NULL) {
		return because(PERMFAIL, why, "its data cannot be printed");
	}
	outcome = add_plain(printed, kind == LDNS_RDF_TYPE_SVCPARAMS, text, why);
	free(printed);
	return outcome;
}

static uint32_t number_of(const unsigned char *octets, size_t count)
{
	uint32_t number = 0;

	while (count-- > 0) {
		number = number << 8 | *octets++;
	}
	return number;
}

static enum outcome print_tag(struct span tag, struct buf *text, struct reason *why)
{
	size_t i;

	for (i = 0; i < tag.len; i++) {
		char c = tag.data[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
			break;
		}
	}
	if (i < tag.len || tag.len == 0) {
		return because(PERMFAIL, why, "its data cannot be printed");
	}
	buf_add(text, tag);
	return OK;
}

/* Of a name that is not compressed; 0: it is none. */
static size_t dname_size(struct span wire)
{
	size_t at = 0;

	while (at < wire.len && at < DNAME_MAX) {
		unsigned char label = (unsigned char)wire.data[at];

		if (label == 0) {
			return at + 1;
		}
		if (label > DNAME_LABEL_MAX) {
			return 0;
		}
		at += (size_t)label + 1;
	}
	return 0;
}

size_t field_size(int kind, struct span wire)
{
	size_t size = 0;

	switch (kind) {
	case LDNS_RDF_TYPE_DNAME:
		return dname_size(wire);
	case LDNS_RDF_TYPE_INT8:
		size = 1;
		break;
	case LDNS_RDF_TYPE_INT16:
		size = 2;
		break;
	case LDNS_RDF_TYPE_A:
	case LDNS_RDF_TYPE_INT32:
	case LDNS_RDF_TYPE_PERIOD:
		size = 4;
		break;
	case LDNS_RDF_TYPE_AAAA:
		size = 16;
		break;
	case LDNS_RDF_TYPE_STR:
	case LDNS_RDF_TYPE_TAG:
		size = wire.len == 0 ? 0 : 1 + (size_t)(unsigned char)wire.data[0];
		break;
	case LDNS_RDF_TYPE_LONG_STR:
		size = wire.len;
		break;
	default:
		break;
	}
	return size <= wire.len ? size : 0;
}

enum outcome field_print(int kind, struct span octets, struct buf *text, struct reason *why)
{
	const char *data = octets.data;
	size_t len = octets.len;

	switch (kind) {
	case LDNS_RDF_TYPE_DNAME:
		dname_print(octets, text);
		return OK;
	case LDNS_RDF_TYPE_A:
		print_ipv4(data, text);
		return OK;
	case LDNS_RDF_TYPE_AAAA:
		print_ipv6(data, text);
		return OK;
	case LDNS_RDF_TYPE_INT8:
	case LDNS_RDF_TYPE_INT16:
	case LDNS_RDF_TYPE_INT32:
	case LDNS_RDF_TYPE_PERIOD:
		buf_add_number(text, number_of((const unsigned char *)data, len));
		return OK;
	case LDNS_RDF_TYPE_STR:
		print_string((struct span){data + 1, len - 1}, text);
		return OK;
	case LDNS_RDF_TYPE_LONG_STR:
		print_string(octets, text);
		return OK;
	case LDNS_RDF_TYPE_TAG:
		return print_tag((struct span){data + 1, len - 1}, text, why);
	default:
		return print_by_ldns(kind, octets, text, why);
	}
}
