/* SPDX-License-Identifier: MIT */
/* shield profile import: a profile from libvirt's description of a domain. */
#include "shield/cmd/import.h"

#include "profiles/domain.h"
#include "profiles/profile.h"

#include <string.h>

static json_t *list(const struct cpuset *cpus)
{
	_cleanup_free_ char *text = cpulist_format(cpus);

	return json_string(text);
}

/* Are these CPUs of this machine? Else *text says which are not. */
static bool here(const struct topology *topo, const struct cpuset *cpus, char **text)
{
	_cleanup_cpuset_ struct cpuset missing = { 0 };

	cpuset_copy(&missing, cpus);
	cpuset_andnot(&missing, &topo->online);
	*text = cpuset_empty(&missing) ? NULL : cpulist_format(&missing);
	return !*text;
}

static int check_guest(const struct topology *topo, const struct domain *d,
		       const struct cpuset *guest, struct err *err)
{
	_cleanup_free_ char *missing = NULL, *have = cpulist_format(&topo->online);

	if (cpuset_empty(guest))
		return err_set(err, ERR_USAGE,
			       "domain %s pins no vCPU; say which CPUs are its own with "
			       "<cputune><vcpupin vcpu='0' cpuset='2'/>…, or see 'shield profile "
			       "suggest'",
			       d->name);
	if (!here(topo, guest, &missing))
		return err_set(
			err, ERR_USAGE,
			"domain %s pins vCPUs to CPU %s, which this machine does not have, or "
			"not online; it has %s",
			d->name, missing, have);
	if (cpuset_equal(guest, &topo->online))
		return err_set(err, ERR_USAGE,
			       "domain %s pins vCPUs to every CPU of this machine (%s); leave the "
			       "host a core at least",
			       d->name, have);
	return 0;
}

/* The vCPUs that the domain has, or may get, and where they are pinned. */
struct vcpus {
	json_t *map; /* the CPU of each that it starts with, in order; NULL: not one each */
	size_t n, unpinned;
};

/* Those to be plugged in may have pins, or not. */
static void count_vcpus(const struct domain *d, struct cpuset *guest, struct vcpus *v)
{
	bool single = true, shared = false;

	v->map = json_array();
	for (size_t i = 0; i < d->n_vcpus; i++) {
		const struct cpuset *pins = &d->vcpus[i];

		if (d->off[i] && cpuset_empty(pins))
			continue;
		/* The map is for the vCPUs in their order: one that is plugged in has its
		 * place in it only behind the others. */
		if (!d->off[i] || json_array_size(v->map) == i) {
			single = single && cpuset_count(pins) == 1;
			json_array_append_new(v->map, json_integer(cpuset_next(pins, -1)));
		}
		v->n++;
		v->unpinned += cpuset_empty(pins);
		shared = shared || cpuset_intersects(guest, pins);
		cpuset_or(guest, pins);
	}
	if (single && !shared)
		return;
	json_decref(v->map);
	v->map = NULL;
}

static void warn_vcpus(const struct domain *d, const struct cpuset *guest, const struct vcpus *v,
		       struct strv *warnings)
{
	unsigned cpus = cpuset_count(guest);

	if (cpus < v->n)
		strv_addf(
			warnings,
			"domain %s has %zu vCPUs on %u CPUs, which 'shield run' refuses, for each "
			"needs one of its own: start it with -smp %u, or give it more CPUs",
			d->name, v->n, cpus, cpus);
	else if (v->unpinned)
		strv_addf(warnings,
			  "%zu of the vCPUs of domain %s are not pinned; the shield will "
			  "place them",
			  v->unpinned, d->name);
	else if (!v->map)
		strv_addf(warnings,
			  "domain %s does not give each vCPU one CPU of its own; the "
			  "shield will",
			  d->name);
}

static int guest_of(const struct topology *topo, const struct domain *d, struct cpuset *guest,
		    json_t **map, struct strv *warnings, struct err *err)
{
	struct vcpus v = { 0 };

	count_vcpus(d, guest, &v);
	if (check_guest(topo, d, guest, err) < 0) {
		json_decref(v.map);
		return -1;
	}
	warn_vcpus(d, guest, &v, warnings);
	*map = v.map;
	return 0;
}

/* CPUs of other threads, if a profile may have them. */
static bool beside(const struct topology *topo, const struct cpuset *guest,
		   const struct cpuset *cpus, const char *element, const char *instead,
		   struct strv *warnings)
{
	_cleanup_free_ char *missing = NULL;
	const char *wrong = cpuset_intersects(cpus, guest) ? "shares CPUs with vCPUs" : NULL;

	if (!here(topo, cpus, &missing))
		wrong = "names CPUs that this machine does not have";
	if (wrong)
		strv_addf(warnings, "<%s> %s, so %s", element, wrong, instead);
	return !wrong;
}

/* One list each; but all of them, or none (NULL). */
static json_t *iothreads_of(const struct topology *topo, const struct domain *d,
			    const struct cpuset *guest, struct strv *warnings)
{
	static const char instead[] = "I/O threads run where the emulator does";
	json_t *lists = json_array();
	size_t pinned = 0;
	bool good = true;

	for (size_t i = 0; i < d->n_iothreads && good; i++) {
		if (cpuset_empty(&d->iothreads[i]))
			continue;
		pinned++;
		good = beside(topo, guest, &d->iothreads[i], "iothreadpin", instead, warnings);
		json_array_append_new(lists, list(&d->iothreads[i]));
	}
	if (good && pinned && pinned < d->n_iothreads)
		strv_addf(warnings, "%zu of the %zu I/O threads are pinned, not all, so %s", pinned,
			  d->n_iothreads, instead);
	if (good && pinned && pinned == d->n_iothreads)
		return lists;
	json_decref(lists);
	return NULL;
}

static void warn_others(const struct domain *d, struct strv *warnings)
{
	for (size_t i = 0; i < d->others.n; i++)
		strv_addf(warnings,
			  "<%s> is not carried over: a profile only says which CPUs are whose",
			  d->others.items[i]);
}

/* Would a set of the profile become larger, were its cores taken whole? */
static bool needs_split(const struct topology *topo, const struct domain *d,
			const struct cpuset *guest)
{
	_cleanup_cpuset_ struct cpuset whole = { 0 };

	for (size_t i = 0; i < d->n_iothreads + 2; i++) {
		const struct cpuset *set = i == 0   ? guest
					   : i == 1 ? &d->emulator
						    : &d->iothreads[i - 2];

		cpuset_copy(&whole, set);
		topology_complete(topo, &whole);
		if (!cpuset_equal(&whole, set))
			return true;
	}
	return false;
}

static json_t *profile_of(const struct topology *topo, const struct domain *d,
			  struct strv *warnings, struct err *err)
{
	_cleanup_cpuset_ struct cpuset guest = { 0 };
	_cleanup_free_ char *name = domain_shield_name(d->name);
	json_t *vcpus = NULL, *profile, *iothreads;

	if (guest_of(topo, d, &guest, &vcpus, warnings, err) < 0)
		return NULL;
	if (strcmp(name, d->name) != 0)
		strv_addf(warnings,
			  "the profile is called %s: a shield cannot have the domain's name", name);
	profile = json_pack("{s:i, s:s, s:o}", "version", 1, "name", name, "guest", list(&guest));
	if (vcpus)
		json_object_set_new(profile, "vcpus", vcpus);
	if (needs_split(topo, d, &guest))
		json_object_set_new(profile, "smt", json_string("split"));
	if (!cpuset_empty(&d->emulator) &&
	    beside(topo, &guest, &d->emulator, "emulatorpin",
		   "the emulator gets the housekeeping CPUs", warnings))
		json_object_set_new(profile, "emulator", list(&d->emulator));
	iothreads = iothreads_of(topo, d, &guest, warnings);
	if (iothreads)
		json_object_set_new(profile, "iothreads", iothreads);
	if (d->devices.n)
		json_object_set_new(profile, "irq",
				    json_pack("{s:o}", "devices", cmd_json_strings(&d->devices)));
	warn_others(d, warnings);
	return profile;
}

int import_print(struct app *app, const struct topology *topo, const char *path)
{
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *xml = NULL;
	struct err err = { 0 };
	struct sys real;
	json_t *profile;
	int rc;

	/* A path is one of this machine, whichever machine the profile is for. */
	sys_open_real(&real, "");
	rc = sys_read(&real, strcmp(path, "-") == 0 ? "/dev/stdin" : path, DOMAIN_XML_MAX, &xml);
	sys_close_real(&real);

	if (rc < 0)
		err_set(&err, ERR_USAGE, "%s: %s", path, err_errno(rc));
	else if (domain_parse(xml, &domain, &err) < 0)
		err_wrap(&err, "%s", path);
	if (err.kind)
		return cmd_fail(&err);
	profile = profile_of(topo, &domain, &warnings, &err);
	cmd_warn(app, &warnings);
	return profile ? cmd_print_json(profile) : cmd_fail(&err);
}
