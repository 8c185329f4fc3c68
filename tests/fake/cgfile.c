/* SPDX-License-Identifier: MIT */
/* The files of a cgroup. */
#include "tests/fake/internal.h"

enum cg_file {
	F_CONTROLLERS,
	F_CONTROL,
	F_PROCS,
	F_THREADS,
	F_EVENTS,
	F_TYPE,
	F_EFF,
	F_ISOLATED,
	F_CPUS,
	F_PARTITION,
	F_EXCL,
	F_XCPUS,
	F_MEMS
};

/* clang-format off */
static const struct {
	const char *name;
	enum cg_file file;
	bool root, others, cpuset, later; /* later: not on 6.1 */
} files[] = {
	{ "cgroup.controllers",			F_CONTROLLERS,	true,	true,	false,	false },
	{ "cgroup.subtree_control",		F_CONTROL,	true,	true,	false,	false },
	{ "cgroup.procs",			F_PROCS,	true,	true,	false,	false },
	{ "cgroup.threads",			F_THREADS,	true,	true,	false,	false },
	{ "cgroup.events",			F_EVENTS,	false,	true,	false,	false },
	{ "cgroup.type",			F_TYPE,		false,	true,	false,	false },
	{ "cpuset.cpus.effective",		F_EFF,		true,	true,	true,	false },
	{ "cpuset.cpus.isolated",		F_ISOLATED,	true,	false,	true,	true },
	{ "cpuset.cpus",			F_CPUS,		false,	true,	true,	false },
	{ "cpuset.mems",			F_MEMS,		false,	true,	true,	false },
	{ "cpuset.cpus.partition",		F_PARTITION,	false,	true,	true,	false },
	{ "cpuset.cpus.exclusive",		F_EXCL,		false,	true,	true,	true },
	{ "cpuset.cpus.exclusive.effective",	F_XCPUS,	false,	true,	true,	true },
};
/* clang-format on */

static bool has_file(const struct fake *fake, const struct cg *cg, size_t i)
{
	return (cg->parent ? files[i].others : files[i].root) &&
	       (!files[i].cpuset || has_cpuset(cg)) &&
	       (!files[i].later || fake->flavour != FAKE_6_1);
}

/* Which cgroup and file is it? FAKE_NOT_MINE, -ENOENT, or 0 with *ret_file -1
 * for the directory. */
static int locate(struct fake *fake, const char *path, struct cg **ret_cg, int *ret_file)
{
	_cleanup_free_ char *dir = NULL;
	const char *name;

	if (strncmp(path, FAKE_MOUNT, strlen(FAKE_MOUNT)) != 0)
		return FAKE_NOT_MINE;
	path += strlen(FAKE_MOUNT);
	if (*path && *path != '/')
		return FAKE_NOT_MINE;
	*ret_file = -1;
	*ret_cg = cg_find(fake, path);
	if (*ret_cg)
		return 0;
	name = strrchr(path, '/');
	dir = xstrndup(path, (size_t)(name - path));
	*ret_cg = cg_find(fake, dir);
	for (size_t i = 0; *ret_cg && i < ARRAY_SIZE(files); i++)
		if (strcmp(files[i].name, name + 1) == 0 && has_file(fake, *ret_cg, i)) {
			*ret_file = (int)i;
			return 0;
		}
	return -ENOENT;
}

static char *members(const struct fake *fake, const struct cg *cg, bool threads)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < fake->n_tasks; i++) {
		const struct ftask *t = fake->tasks[i];
		char *more;

		if (threads ? t->cg != cg : t->tid != t->tgid || cg_domain(t->cg) != cg)
			continue;
		more = xasprintf("%s%d\n", text, (int)t->tid);
		free(text);
		text = more;
	}
	return text;
}

int cg_read(struct fake *fake, const char *path, char **ret)
{
	struct cg *cg;
	int i, rc = locate(fake, path, &cg, &i);

	if (rc || i < 0)
		return rc;
	switch (files[i].file) {
	case F_CONTROLLERS:
		*ret = xstrdup(!cg->parent	? "cpuset cpu memory pids\n"
			       : has_cpuset(cg) ? "cpuset memory pids\n"
						: "memory pids\n");
		break;
	case F_CONTROL:
		*ret = xasprintf("%s%s\n", cg->control ? "cpuset" : "",
				 cg->parent    ? ""
				 : cg->control ? " memory pids"
					       : "memory pids");
		break;
	case F_PROCS:
		if (cg->threaded)
			return -EOPNOTSUPP;
		*ret = members(fake, cg, false);
		break;
	case F_THREADS:
		*ret = members(fake, cg, true);
		break;
	case F_EVENTS:
		*ret = xasprintf("populated %d\nfrozen 0\n", cg_populated(fake, cg));
		break;
	case F_TYPE:
		*ret = xasprintf("%s\n", cg->threaded		      ? "threaded"
					 : !cg_valid_domain(fake, cg) ? "domain invalid"
					 : cg_thread_root(fake, cg)   ? "domain threaded"
								      : "domain");
		break;
	case F_ISOLATED:
		*ret = fake_list_text(&fake->isolated);
		break;
	case F_EFF:
		*ret = fake_list_text(&cg->eff);
		break;
	case F_CPUS:
		*ret = fake_list_text(&cg->cpus);
		break;
	case F_EXCL:
		*ret = fake_list_text(&cg->excl);
		break;
	case F_XCPUS:
		*ret = fake_list_text(&cg->xcpus);
		break;
	case F_MEMS:
		*ret = xstrdup("\n");
		break;
	case F_PARTITION:
		*ret = cpuset_partition_text(cg);
		break;
	}
	return 0;
}

static int write_control(struct fake *fake, struct cg *cg, const char *text)
{
	if (strncmp(text, "+cpuset", 7) == 0 || strncmp(text, "-cpuset", 7) == 0)
		return cg_control(fake, cg, *text == '+');
	return -EINVAL;
}

static int write_type(struct fake *fake, struct cg *cg, const char *text)
{
	if (strcmp(text, "threaded") != 0 && strcmp(text, "threaded\n") != 0)
		return -EINVAL;
	if (cg->threaded)
		return 0;
	if (cg_populated(fake, cg) || !cg_valid_domain(fake, cg_domain(cg->parent)) ||
	    !cg_may_be_thread_root(fake, cg_domain(cg->parent)))
		return -EOPNOTSUPP;
	cg->threaded = true;
	return 0;
}

int cg_write(struct fake *fake, const char *path, const char *text)
{
	struct cg *cg;
	int i, rc = locate(fake, path, &cg, &i);

	if (rc)
		return rc;
	if (i < 0)
		return -EISDIR;
	switch (files[i].file) {
	case F_CONTROL:
		return write_control(fake, cg, text);
	case F_PROCS:
		return cg_attach(fake, cg, (pid_t)strtol(text, NULL, 10), true);
	case F_THREADS:
		return cg_attach(fake, cg, (pid_t)strtol(text, NULL, 10), false);
	case F_TYPE:
		return write_type(fake, cg, text);
	case F_CPUS:
		return cpuset_write_cpus(fake, cg, text);
	case F_EXCL:
		return cpuset_write_exclusive(fake, cg, text);
	case F_PARTITION:
		return cpuset_write_partition(fake, cg, text);
	case F_MEMS:
		return 0;
	default:
		return -EINVAL;
	}
}

int cg_list(struct fake *fake, const char *path, struct strv *names)
{
	struct cg *cg;
	int i, rc = locate(fake, path, &cg, &i);

	if (rc)
		return rc;
	if (i >= 0)
		return -ENOTDIR;
	for (size_t f = 0; f < ARRAY_SIZE(files); f++)
		if (has_file(fake, cg, f))
			strv_add(names, files[f].name);
	for (struct cg *c = cg->children; c; c = c->next)
		strv_add(names, c->name);
	return 0;
}
