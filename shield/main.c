/* SPDX-License-Identifier: MIT */
/* The command table. */
#include "shield/cmd/cmd.h"
#include "shield/base/text.h"
#include "shield/cmd/tool.h"
#include "shield/vm/child.h"

#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	cmd_fn *fn;	     /* NULL: a tool, a program of its own (tool.h) */
	const char *summary; /* NULL: not shown */
} commands[] = {
	{ "run", cmd_run, "run a VM on CPUs of its own, and restore the host afterwards" },
	{ "on", cmd_on, "take a profile's guest CPUs away from the host" },
	{ "off", cmd_off, "end a shield, and restore the host" },
	{ "attach", cmd_attach, "put a running QEMU under an active shield" },
	{ "status", cmd_status, "what is active, and whether the kernel agrees" },
	{ "plan", cmd_plan, "every write that 'on' would make (does not need root)" },
	{ "recover", cmd_recover, "finish or undo what was interrupted" },
	{ "irq", cmd_irq, "every interrupt: where it goes, and what it is" },
	{ "topology", NULL, "the machine's CPUs and who owns them" },
	{ "profile", cmd_profile, "list, show and check profiles" },
	{ "doctor", cmd_doctor, "can this host do it, and what to change if not" },
	{ "guard", cmd_guard, NULL },
	{ "hook", cmd_hook, NULL },
};

static void usage(FILE *out)
{
	text_put(out, "Usage: shield COMMAND [OPTION…] [ARGUMENT…]\n\n"
		      "Gives a virtual machine its CPUs, whole: no host task, kernel thread or\n"
		      "interrupt runs on them until it ends, and everything is put back then.\n\n"
		      "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].summary)
			text_print(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	text_put(
		out,
		"\n'shield COMMAND --help' explains one. Options for all of them: --dry-run (-n),\n"
		"--json (-J), --verbose (-v), --quiet (-q), --color=WHEN, --sysroot=DIR,\n"
		"--help (-h), --version (-V).\n");
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Options before the command count as if they stood after it. */
static int command_index(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (*argv[i] != '-')
			return i;
		if (strcmp(argv[i], "--color") == 0 || strcmp(argv[i], "--sysroot") == 0)
			i++;
	}
	return argc;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int at = command_index(argc, argv);

	child_std_fds();
	mem_init();
	cmd_open_stderr();
	for (int i = 1; i < at; i++) {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			return cmd_finish(0);
		}
		if (strcmp(argv[i], "-V") == 0 || strcmp(argv[i], "--version") == 0) {
			text_print(stdout, "shield %s\n", SHIELD_VERSION);
			return cmd_finish(0);
		}
	}
	if (at >= argc) {
		usage(stderr);
		return ERR_USAGE;
	}
	command = find(argv[at]);
	if (!command) {
		text_print(stderr, "shield: unknown command \"%s\"; 'shield --help' lists them\n",
			   argv[at]);
		return ERR_USAGE;
	}
	/* argv[0] of the command is its name: move the options behind it. */
	for (int i = at; i > 0; i--)
		argv[i] = argv[i - 1];
	argv[0] = (char *)command->name;
	memmove(argv + 1, argv + 2, (size_t)(argc - 1) * sizeof(*argv));
	argc--;
	return cmd_start(command->fn ? command->fn : tool_run, argc, argv);
}
