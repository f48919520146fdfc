/* SPDX-License-Identifier: Apache-2.0 */
/* mains.h: the product's mains, as functions: ingest's own main.c (compiled with -Dmain=…) and
 * writer_main with a model of a backend.
 */
#ifndef TESTS_SIM_MAINS_H
#define TESTS_SIM_MAINS_H

int ingest_main(int argc, char **argv);

int run_ingest(void);
int run_writer(const char *backend);

#endif
