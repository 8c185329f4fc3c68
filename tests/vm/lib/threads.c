/* SPDX-License-Identifier: MIT */
/* threads N SECONDS: N busy threads, each with a name, and then an end. */
#include <pthread.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

static void *burn(void *arg)
{
	char name[16];

	snprintf(name, sizeof(name), "burner %d", *(int *)arg);
	pthread_setname_np(pthread_self(), name);
	for (volatile unsigned long i = 0;; i++)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc == 3 ? atoi(argv[1]) : 0;
	int numbers[64];

	for (int i = 0; i < n && i < 64; i++) {
		pthread_t thread;

		numbers[i] = i;
		if (pthread_create(&thread, NULL, burn, &numbers[i]) != 0)
			return 1;
	}
	sleep((unsigned)(argc == 3 ? atoi(argv[2]) : 0));
	return 0;
}
