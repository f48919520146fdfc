/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/dice.h"

#include <stddef.h>
#include <string.h>
#include <sys/types.h>

static uint64_t state;

/* splitmix64 */
static uint64_t next(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void dice_seed(uint64_t seed)
{
	state = seed;
	(void)next();
}

uint64_t dice_roll(uint64_t sides)
{
	return sides < 2 ? 0 : next() % sides;
}

int64_t dice_between(int64_t low, int64_t high)
{
	return low + (int64_t)dice_roll((uint64_t)(high - low) + 1);
}

bool dice_percent(int64_t percent)
{
	return (int64_t)dice_roll(100) < percent;
}

int64_t dice_delay_us(int64_t usual)
{
	int64_t longest = usual;
	uint64_t luck = dice_roll(100);

	if (luck == 0) {
		longest = usual * 100;
	} else if (luck < 5) {
		longest = usual * 10;
	}
	return dice_between(usual / 4, longest + usual / 4);
}

/* The product's ids: --wrap=getrandom. */
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags)
{
	uint8_t *bytes = out;

	(void)flags;
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t word = next();

		memcpy(bytes + i, &word, size - i < sizeof(word) ? size - i : sizeof(word));
	}
	return (ssize_t)size;
}
