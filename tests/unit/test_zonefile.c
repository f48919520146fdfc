/* SPDX-License-Identifier: Apache-2.0 */
/* services/writer-bind: zonefile.c, zonedir.c, positions.c, held.c in a folder of their own. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "services/writer-bind/held.h"
#include "services/writer-bind/positions.h"
#include "services/writer-bind/zonefile.h"

#define DIGEST_A                                                                                   \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaa"                                                                                     \
	"aaaa"

static char folder[64];
static struct zonedir dir;

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_zonefile.XXXXXX");
	if (mkdtemp(folder) == NULL) {
		return -1;
	}
	dir = (struct zonedir)ZONEDIR_INIT;
	dir.fd = open(folder, O_RDONLY | O_DIRECTORY);
	clock_set(1000, 1700000000000);
	return 0;
}

static void drop(const char *file)
{
	(void)unlinkat(dir.fd, file, 0);
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < dir.next_spare; i++) {
		char name[SPARE_NAME_SIZE];

		spare_name(i, name);
		drop(name);
	}
	drop("example.com.zone");
	drop(".example.com.prev");
	drop(".positions");
	drop("backup");
	close(dir.fd);
	return rmdir(folder);
}

static struct zone_event event(int64_t offset, uint32_t serial)
{
	static const char *const rdata[] = {"192.0.2.1"};
	static const struct rrset rrsets[] = {{"www.example.com.", "A", 300, 1, rdata}};
	struct zone_event value = {.version = {3, offset},
				   .owner = "da 1%;\n",
				   .serial = serial,
				   .digest = DIGEST_A,
				   .rrsets = rrsets,
				   .rrset_count = 1};
	struct reason why;

	assert_int_equal(name_parse(span_of("example.com"), &value.zone, &why), OK);
	return value;
}

static bool write_and_publish(const struct zone_event *value, bool keep)
{
	struct reason why = {0};
	unsigned int spare;
	bool kept;

	assert_int_equal(zonefile_write(&dir, value, true, &spare, &why), OK);
	assert_int_equal(zonefile_publish(&dir, &value->zone, spare, keep, &kept, &why), OK);
	return kept;
}

static int64_t offset_in(const char *file)
{
	struct zonefile_head head;

	if (strcmp(file, "example.com.zone") == 0) {
		return zonefile_read_head(&dir, file, &head) ? head.version.offset : -1;
	}
	return zonefile_read_previous(&dir, file, &head) ? head.version.offset : -1;
}

static int64_t mtime_ns(void)
{
	struct stat file;

	assert_int_equal(fstatat(dir.fd, "example.com.zone", &file, 0), 0);
	return file.st_mtim.tv_sec * 1000000000LL + file.st_mtim.tv_nsec;
}

static void first_line_gives_back_what_was_written(void **state)
{
	struct zone_event value = event(42, 4294967295U);
	struct buf text = BUF_INIT(4096);
	struct zonefile_head head;

	(void)state;
	zonefile_print_head(&value, &text);
	assert_non_null(strstr(buf_text(&text), "owner=da%201%25;%0a "));
	assert_true(zonefile_parse_head(buf_span(&text), &head));
	assert_string_equal(head.zone.text, "example.com");
	assert_int_equal(version_compare(head.version, value.version), 0);
	assert_string_equal(head.digest, DIGEST_A);
	assert_int_equal(head.serial, 4294967295U);
	assert_false(head.deleted);
	buf_clear(&text);
	value.deleted = true;
	zonefile_print_head(&value, &text);
	assert_true(zonefile_parse_head(buf_span(&text), &head));
	assert_true(head.deleted);
	buf_finish(&text);
}

static void first_line_that_is_not_ours_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"; dadns/1 zone=a.test version=1-1 state=deleted", /* no end of line */
		"; dadns/2 zone=a.test version=1-1 state=deleted\n",
		"; dadns/1 version=1-1 state=deleted\n",
		"; dadns/1 zone=../etc version=1-1 state=deleted\n",
		"; dadns/1 zone=a.test version=x state=deleted\n",
		"; dadns/1 zone=a.test version=1-1 state=zone serial=1\n",
		"; dadns/1 zone=a.test version=1-1 state=other\n",
		"; dadns/1 zone=a.test version=1-1 state=zone serial=4294967296 digest=" DIGEST_A
		"\n",
		"$TTL 300\n",
	};
	struct zonefile_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(zonefile_parse_head(span_of(texts[i]), &head));
	}
}

static void published_file_holds_the_records_and_may_be_read_by_all(void **state)
{
	struct zone_event value = event(1, 1);
	struct stat file;
	char text[1024];
	ssize_t len;
	int fd;

	(void)state;
	umask(077);
	assert_false(write_and_publish(&value, true));
	umask(022);
	fd = openat(dir.fd, "example.com.zone", O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	assert_true(len > 0);
	text[len] = '\0';
	assert_int_equal(fstat(fd, &file), 0);
	close(fd);
	assert_int_equal(file.st_mode & 0777, 0644);
	assert_string_equal(strchr(text, '\n') + 1, "www.example.com.\t300\tIN\tA\t192.0.2.1\n");
}

static void time_of_a_file_always_rises(void **state)
{
	struct zone_event value = event(1, 1);
	int64_t before;

	(void)state;
	write_and_publish(&value, false);
	assert_int_equal(mtime_ns(), 1700000000000000000);
	write_and_publish(&value, false); /* the clock stands still */
	assert_int_equal(mtime_ns(), 1700000000000000001);
	clock_set(1000, 1600000000000); /* the clock was set back */
	write_and_publish(&value, false);
	assert_int_equal(mtime_ns(), 1700000000000000002);
	before = mtime_ns();
	for (unsigned int i = 0; i < 5; i++) {
		zonefile_touch(&dir, &value.zone, i);
		assert_true(mtime_ns() > before);
		before = mtime_ns();
	}
}

static void previous_content_is_kept_until_settled_or_put_back(void **state) /* I4 */
{
	struct zone_event first = event(1, 1);
	struct zone_event second = event(2, 2);
	struct zone_event third = event(3, 3);

	(void)state;
	assert_false(write_and_publish(&first, true));
	assert_true(write_and_publish(&second, true));
	assert_int_equal(offset_in("example.com.zone"), 2);
	assert_int_equal(offset_in(".example.com.prev"), 1);
	zonefile_settle(&dir, &first.zone);
	assert_int_equal(offset_in(".example.com.prev"), -1);
	assert_true(write_and_publish(&third, true));
	assert_true(zonefile_put_back(&dir, &first.zone));
	assert_int_equal(offset_in("example.com.zone"), 2);
	assert_false(zonefile_put_back(&dir, &first.zone));
}

static void spare_with_another_name_is_never_written_over(void **state)
{
	struct zone_event value = event(1, 1);
	struct stat backup;

	(void)state;
	write_and_publish(&value, true);
	assert_int_equal(linkat(dir.fd, "example.com.zone", dir.fd, "backup", 0), 0);
	for (int64_t i = 2; i < 3 * ZONEDIR_SPARES_RESTING; i++) {
		value.version.offset = i;
		assert_true(write_and_publish(&value, true));
		zonefile_settle(&dir, &value.zone);
	}
	assert_int_equal(fstatat(dir.fd, "backup", &backup, 0), 0);
	assert_int_equal(backup.st_nlink, 1);
	assert_true(dir.count <= ZONEDIR_SPARES_RESTING + 2); /* they are used again */
}

static void longer_spare_is_cut_to_length(void **state)
{
	struct zone_event value = event(1, 1);
	char owner[500];
	struct stat file;

	(void)state;
	memset(owner, 'x', sizeof(owner) - 1);
	owner[sizeof(owner) - 1] = '\0';
	value.owner = owner;
	for (int i = 0; i < 2 * ZONEDIR_SPARES_RESTING; i++) {
		write_and_publish(&value, true);
		zonefile_settle(&dir, &value.zone);
	}
	value.owner = "x";
	write_and_publish(&value, true);
	assert_int_equal(fstatat(dir.fd, "example.com.zone", &file, 0), 0);
	assert_true(file.st_size < 400);
}

static void positions_come_back_and_half_a_file_means_none(void **state) /* I4 */
{
	struct positions positions = {0};
	struct positions again = {0};
	int32_t partitions[] = {3, 0};
	int64_t next[] = {70, 5};
	struct reason why;
	int fd;

	(void)state;
	positions_read(dir.fd, &positions);
	assert_true(positions_are_ours(dir.fd, &positions)); /* none, as we think */
	assert_int_equal(positions_store(dir.fd, &positions, partitions, next, 2, &why), OK);
	assert_true(positions_are_ours(dir.fd, &positions));
	positions_read(dir.fd, &again);
	assert_int_equal(positions_get(&again, 3), 70);
	assert_int_equal(positions_get(&again, 0), 5);
	assert_int_equal(positions_get(&again, 1), 0);
	assert_int_equal(positions_get(&again, 99), 0);
	fd = openat(dir.fd, ".positions", O_WRONLY);
	assert_int_equal(ftruncate(fd, 20), 0);
	close(fd);
	assert_false(positions_are_ours(dir.fd, &positions));
	positions_read(dir.fd, &again);
	assert_int_equal(positions_get(&again, 3), 0);
	positions_finish(&again);
	positions_finish(&positions);
}

static void table_finds_every_zone_again(void **state)
{
	struct held_table table = {0};
	struct name name;
	struct reason why;
	char text[32];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			struct held *held;

			snprintf(text, sizeof(text), "z%d.test", i);
			assert_int_equal(name_parse(span_of(text), &name, &why), OK);
			held = held_of(&table, &name);
			assert_string_equal(held->zone, text);
			assert_int_equal(held->serial, round == 0 ? 0 : i);
			held->serial = (uint32_t)i;
		}
	}
	assert_int_equal(table.count, 5000);
	held_clear(&table);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_line_gives_back_what_was_written),
		cmocka_unit_test(first_line_that_is_not_ours_is_refused),
		IN_A_FOLDER(published_file_holds_the_records_and_may_be_read_by_all),
		IN_A_FOLDER(time_of_a_file_always_rises),
		IN_A_FOLDER(previous_content_is_kept_until_settled_or_put_back),
		IN_A_FOLDER(spare_with_another_name_is_never_written_over),
		IN_A_FOLDER(longer_spare_is_cut_to_length),
		IN_A_FOLDER(positions_come_back_and_half_a_file_means_none),
		cmocka_unit_test(table_finds_every_zone_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
