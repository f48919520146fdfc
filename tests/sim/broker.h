/* SPDX-License-Identifier: Apache-2.0 */
/* broker.h: the model of Kafka: topics as arrays of records, who can reach it, what compaction and
 * retention take, groups with their members and committed offsets.
 *
 * Nothing that was ever appended is forgotten here: `gone` records are those that no consumer gets
 * any more, the checker still sees them.
 *
 * bus_producer and bus_consumer are common/bus.h's own structs; broker_producer.c,
 * broker_consumer.c and broker_look.c are what stands in for bus_*.c at link time.
 */
#ifndef TESTS_SIM_BROKER_H
#define TESTS_SIM_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/bus.h"
#include "tests/sim/stage.h"

#define PARTITIONS 2

struct record {
	struct span key;
	struct span value;
	bool is_null;
	struct header *headers;
	size_t header_count;
	int64_t timestamp_ms;
	int64_t visible_us; /* consumers get it from then on */
	bool gone;
};

struct partition {
	const char *topic;
	int32_t number;
	struct record **records; /* by offset */
	int64_t low;
	int64_t high;
};

/* NULL: no such topic. */
struct partition *broker_partition(const char *topic, int32_t number);
int32_t broker_partition_of(struct span key);
struct record *record_copy(const struct bus_record *record);
/* First header of that name; data NULL: absent. */
struct span record_header(const struct record *record, const char *name);
/* Takes the record; its offset. */
int64_t broker_append(struct partition *partition, struct record *record);

bool broker_hears(const struct process *process);
int64_t broker_hears_again_us(const struct process *process);
bool broker_is_frozen(void); /* away, but what is on the wire is not lost */
void broker_go_away(int64_t until_us, bool frozen);
int64_t broker_wall_ms(void);

/* What a consumer gets; bus_message_destroy frees it. */
struct bus_message *broker_message(const struct partition *partition, int64_t offset);

/* Keeps the last record of each key among those older than `lag_ms`. */
void broker_compact(struct partition *partition, int64_t lag_ms);
void broker_delete_below(struct partition *partition, int64_t offset);
/* An election that was not clean, a disk of yesterday: what lay from `offset` on never was. */
void broker_cut(struct partition *partition, int64_t offset);

/* --- groups (broker_group.c) ------------------------------------------------------------------ */

struct group;
struct group *group_named(const char *name);
int64_t group_committed(const struct group *group, const char *topic, int32_t partition);
bool group_is_stable(const struct group *group);
/* Its committed offsets are no more. */
void group_forget(struct group *group);
/* As if a member's heartbeat had come too late. */
void group_expel_somebody(struct group *group);

struct part {
	struct partition *partition;
	int64_t position; /* -1: not known yet: the committed offset, when the broker tells */
	int64_t stored;   /* -1: nothing */
	bool paused;
	bool at_end;
};

struct bus_consumer {
	struct process *process;
	struct group *group; /* NULL: none */
	struct bus_listener listener;
	const char *topics[4];
	size_t topic_count;
	struct part parts[8 * PARTITIONS];
	size_t part_count;
	struct thread *poller; /* waits in bus_poll */
	int64_t slow_until_us; /* it gets nothing before */
	struct reason trouble;
	bool closed;
	/* what the coordinator knows */
	bool member;
	bool rejoined; /* in the rebalance that is under way */
	int64_t seen_us;
	/* what it knows itself */
	int64_t heard_us;
	int64_t generation;
	bool must_revoke, lost; /* at the next poll */
	bool must_assign;
	struct partition *given[8 * PARTITIONS];
	size_t given_count;
	bool commits; /* a commit is on the agenda */
};

void group_join(struct bus_consumer *consumer);
void group_leave(struct bus_consumer *consumer);
/* The member has given up its partitions. */
void group_revoked(struct bus_consumer *consumer);
/* False: refused, it is of an older generation, or not a member. */
bool group_commit(struct bus_consumer *consumer, const struct partition *partition, int64_t offset);

void broker_add_consumer(struct bus_consumer *consumer);
void broker_wake_consumers(void);

#endif
