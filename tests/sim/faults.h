/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h: everything that may go wrong in a history, by kind, and how often each did.
 *
 * A history draws which kinds it has (a few kinds, often, find more than all kinds at once). After
 * faults_end everything is healed and stays so.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
	FAULT_KILL,           /* a process, anywhere */
	FAULT_KILL_AT_MARK,   /* a process, between two steps that a mark names */
	FAULT_FREEZE,         /* a process is stopped for a while: a zombie */
	FAULT_CUT_OFF,        /* the broker does not hear a process */
	FAULT_RESTART,        /* SIGTERM, and up again */
	FAULT_BROKER_FROZEN,  /* requests lie on the wire until it goes on */
	FAULT_BROKER_DOWN,    /* requests are lost with it */
	FAULT_LOST_ACK,       /* appended, but the answer did not come: repeated, de-duplicated */
	FAULT_LATE_RECORD,    /* given up by its producer, appended long after */
	FAULT_PRODUCER_FATAL, /* an error that a producer cannot survive */
	FAULT_REBALANCE,      /* a member's heartbeat comes too late */
	FAULT_OFFSETS_LOST,   /* the group's committed offsets expire */
	FAULT_COMPACTION,
	FAULT_RETENTION, /* old pushes are deleted */
	FAULT_GARBAGE,   /* a record that nobody can read */
	FAULT_STALE_HEAL,
	FAULT_BACKEND_AWAY,
	FAULT_BACKEND_LOST_ANSWER, /* done, but it looks as if not */
	FAULT_BACKEND_REFUSES,     /* a zone, for a while */
	FAULT_BACKEND_WIPED,
	FAULT_BACKEND_RESTORED, /* an older state comes back */
	FAULT_NOT_SERVED,       /* stored, but its readers do not show it */
	FAULT_CLOCK,            /* a process's time of day is wrong */
	FAULT_REDIS_AWAY,
	FAULT_REDIS_SLOW,
	FAULT_REDIS_FORGETS,
	FAULT_REDIS_OLD, /* an older state comes back */
	FAULTS
};

const char *fault_name(enum fault fault);
/* Draws the kinds of this history; they are on from now. */
void faults_begin(void);
/* Kafka and Redis may both be out of reach: the one case in which a held push may lose its place
 * (I12). Everything else is promised even then. */
bool faults_are_double(void);
void faults_end(void);
/* Shall this one happen here and now? Counts it and says so if it does. */
bool fault_strikes(enum fault fault, int64_t percent);
bool fault_is_on(enum fault fault);
void fault_note(enum fault fault); /* it has happened */
uint32_t fault_count(enum fault fault);

#endif
