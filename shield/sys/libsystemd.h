/* SPDX-License-Identifier: MIT */
/*
 * libsystemd, opened where there is a systemd to talk to (shield/base/library.h):
 * with what is below it it is two thirds of all that would have to be linked.
 *
 * Include this in place of its headers, and call libsystemd_load() first; then its
 * functions are called by their own names.
 */
#ifndef SHIELD_SYS_LIBSYSTEMD_H
#define SHIELD_SYS_LIBSYSTEMD_H

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#define LIBSYSTEMD_FUNCTIONS(X)           \
	X(sd_bus_open_system)             \
	X(sd_bus_match_signal)            \
	X(sd_bus_call_method)             \
	X(sd_bus_call)                    \
	X(sd_bus_get_property_string)     \
	X(sd_bus_process)                 \
	X(sd_bus_wait)                    \
	X(sd_bus_slot_unref)              \
	X(sd_bus_flush_close_unref)       \
	X(sd_bus_error_has_name)          \
	X(sd_bus_error_free)              \
	X(sd_bus_message_unref)           \
	X(sd_bus_message_new_method_call) \
	X(sd_bus_message_read)            \
	X(sd_bus_message_append)          \
	X(sd_bus_message_append_array)    \
	X(sd_bus_message_append_strv)     \
	X(sd_bus_message_open_container)  \
	X(sd_bus_message_close_container) \
	X(sd_notify)                      \
	X(sd_journal_send)

#define LIBSYSTEMD_MEMBER(name) __typeof__(name) *fn_##name;
struct libsystemd {
	LIBSYSTEMD_FUNCTIONS(LIBSYSTEMD_MEMBER)
};
extern struct libsystemd libsystemd;

/* 0, or -ELIBACC when it is not installed. */
int libsystemd_load(void);

#define sd_bus_open_system libsystemd.fn_sd_bus_open_system
#define sd_bus_match_signal libsystemd.fn_sd_bus_match_signal
#define sd_bus_call_method libsystemd.fn_sd_bus_call_method
#define sd_bus_call libsystemd.fn_sd_bus_call
#define sd_bus_get_property_string libsystemd.fn_sd_bus_get_property_string
#define sd_bus_process libsystemd.fn_sd_bus_process
#define sd_bus_wait libsystemd.fn_sd_bus_wait
#define sd_bus_slot_unref libsystemd.fn_sd_bus_slot_unref
#define sd_bus_flush_close_unref libsystemd.fn_sd_bus_flush_close_unref
#define sd_bus_error_has_name libsystemd.fn_sd_bus_error_has_name
#define sd_bus_error_free libsystemd.fn_sd_bus_error_free
#define sd_bus_message_unref libsystemd.fn_sd_bus_message_unref
#define sd_bus_message_new_method_call libsystemd.fn_sd_bus_message_new_method_call
#define sd_bus_message_read libsystemd.fn_sd_bus_message_read
#define sd_bus_message_append libsystemd.fn_sd_bus_message_append
#define sd_bus_message_append_array libsystemd.fn_sd_bus_message_append_array
#define sd_bus_message_append_strv libsystemd.fn_sd_bus_message_append_strv
#define sd_bus_message_open_container libsystemd.fn_sd_bus_message_open_container
#define sd_bus_message_close_container libsystemd.fn_sd_bus_message_close_container
#define sd_notify libsystemd.fn_sd_notify
#define sd_journal_send libsystemd.fn_sd_journal_send

#endif
