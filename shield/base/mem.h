/* SPDX-License-Identifier: MIT */
/*
 * mem: allocation that cannot fail, and the cleanup attribute.
 *
 * When memory runs out the process says so and exits with status 5
 * (ERR_INCOMPLETE: it is unknown whether anything is left). That is safe at any
 * instruction because it is the same as SIGKILL: every change of the
 * kernel is in the state file before it is made, and the next writing command
 * (or the guard) finishes or undoes it. That holds for the allocations of the
 * libraries too: malloc.c, and for jansson mem_init().
 */
#ifndef SHIELD_BASE_MEM_H
#define SHIELD_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Hand jansson our allocator. Call once, first thing in main(). */
void mem_init(void);

/* Print "out of memory" to stderr and _exit(5). */
_Noreturn void mem_exhausted(void);

/* As malloc/calloc/realloc/strdup/asprintf, but they never return NULL.
 * The caller owns the result and frees it with free(). */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list ap) _printf_(1, 0);

/* For _cleanup_(freep): frees what a pointer variable holds. */
static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)

/* For _cleanup_(closep): closes a file descriptor unless it is negative. */
void closep(int *fd);

/* Give up ownership: returns the value, leaves NULL (or -1) behind. */
#define take_ptr(p)                        \
	({                                 \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})
#define take_fd(fd)               \
	({                        \
		int take_ = (fd); \
		(fd) = -1;        \
		take_;            \
	})

/*
 * Make room for one more element in a growing array:
 *	struct x *items; size_t n, cap;   GROW(items, n, cap);
 * The new elements are zeroed; the index n is then free to use.
 */
#define GROW(items, n, cap)                                                             \
	do {                                                                            \
		if ((n) == (cap)) {                                                     \
			size_t grow_ = (cap) ? 2 * (cap) : 16;                          \
			(items) = xrealloc((items), grow_, sizeof(*(items)));           \
			memset((items) + (cap), 0, (grow_ - (cap)) * sizeof(*(items))); \
			(cap) = grow_;                                                  \
		}                                                                       \
	} while (0)

#endif
