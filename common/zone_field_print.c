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

static void print_address(const char *address, int family, struct buf *text)
{
	char out[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(family, address, out, sizeof(out)); /* fits, family is known */
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

static enum outcome print_by_ldns(const ldns_rdf *rdf, struct buf *text, struct reason *why)
{
	bool parameters = ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_SVCPARAMS;
	char *printed = ldns_rdf2str(rdf);
	enum outcome outcome;

	if (printed == NULL) {
		return because(PERMFAIL, why, "its data cannot be printed");
	}
	outcome = add_plain(printed, parameters, text, why);
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

enum outcome field_print(const struct ldns_struct_rdf *rdf, struct buf *text, struct reason *why)
{
	const char *data = (const char *)ldns_rdf_data(rdf);
	size_t len = ldns_rdf_size(rdf);

	switch ((int)ldns_rdf_get_type(rdf)) {
	case LDNS_RDF_TYPE_DNAME:
		dname_print((struct span){data, len}, text);
		return OK;
	case LDNS_RDF_TYPE_A:
		print_address(data, AF_INET, text);
		return OK;
	case LDNS_RDF_TYPE_AAAA:
		print_address(data, AF_INET6, text);
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
		print_string((struct span){data, len}, text);
		return OK;
	default:
		return print_by_ldns(rdf, text, why);
	}
}
