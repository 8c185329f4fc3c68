/* shield profile import: a profile from libvirt's description of a domain. */
#include "shield/cmd/import.h"

#include "profiles/domain.h"
#include "profiles/profile.h"

#include <string.h>

#define XML_MAX (1 << 20)

static json_t *list(const struct cpuset *cpus)
{
	_cleanup_free_ char *text = cpulist_format(cpus);

	return json_string(text);
}

/* All vCPUs together; and, if each has one CPU that no other has, in order. */
static int guest_of(const struct domain *d, struct cpuset *guest, json_t **vcpus,
		    struct strv *warnings, struct err *err)
{
	bool single = true, shared = false;
	size_t unpinned = 0;

	for (size_t i = 0; i < d->n_vcpus; i++) {
		unpinned += cpuset_empty(&d->vcpus[i]);
		single = single && cpuset_count(&d->vcpus[i]) == 1;
		shared = shared || cpuset_intersects(guest, &d->vcpus[i]);
		cpuset_or(guest, &d->vcpus[i]);
	}
	if (cpuset_empty(guest))
		return err_set(err, ERR_USAGE,
			       "domain %s pins no vCPU; say which CPUs are its own with "
			       "<cputune><vcpupin vcpu='0' cpuset='2'/>…, or see 'shield profile "
			       "suggest'",
			       d->name);
	if (cpuset_count(guest) < d->n_vcpus)
		strv_addf(warnings, "domain %s has %zu vCPUs on %u CPUs; each needs one of its own",
			  d->name, d->n_vcpus, cpuset_count(guest));
	if (unpinned)
		strv_addf(warnings,
			  "%zu of the vCPUs of domain %s are not pinned; the shield will "
			  "place them",
			  unpinned, d->name);
	if (single && !shared) {
		*vcpus = json_array();
		for (size_t i = 0; i < d->n_vcpus; i++)
			json_array_append_new(*vcpus, json_integer(cpuset_next(&d->vcpus[i], -1)));
	} else if (!unpinned) {
		strv_addf(warnings,
			  "domain %s does not give each vCPU one CPU of its own; the "
			  "shield will",
			  d->name);
	}
	return 0;
}

static json_t *profile_of(const struct topology *topo, const struct domain *d,
			  struct strv *warnings, struct err *err)
{
	_cleanup_cpuset_ struct cpuset guest = { 0 }, whole = { 0 };
	_cleanup_free_ char *name = domain_shield_name(d->name);
	json_t *vcpus = NULL, *profile, *iothreads = json_array();

	if (guest_of(d, &guest, &vcpus, warnings, err) < 0) {
		json_decref(iothreads);
		return NULL;
	}
	if (strcmp(name, d->name) != 0)
		strv_addf(warnings,
			  "the profile is called %s: a shield cannot have the domain's name", name);
	profile = json_pack("{s:i, s:s, s:o}", "version", 1, "name", name, "guest", list(&guest));
	if (vcpus)
		json_object_set_new(profile, "vcpus", vcpus);
	cpuset_copy(&whole, &guest);
	topology_complete(topo, &whole);
	if (!cpuset_equal(&whole, &guest))
		json_object_set_new(profile, "smt", json_string("split"));
	if (cpuset_intersects(&d->emulator, &guest))
		strv_addf(warnings,
			  "<emulatorpin> shares CPUs with vCPUs, so the emulator gets the "
			  "housekeeping CPUs");
	else if (!cpuset_empty(&d->emulator))
		json_object_set_new(profile, "emulator", list(&d->emulator));
	for (size_t i = 0; i < d->n_iothreads; i++)
		if (!cpuset_empty(&d->iothreads[i]))
			json_array_append_new(iothreads, list(&d->iothreads[i]));
	if (json_array_size(iothreads) && json_array_size(iothreads) == d->n_iothreads)
		json_object_set_new(profile, "iothreads", iothreads);
	else
		json_decref(iothreads);
	return profile;
}

int import_print(struct app *app, const struct topology *topo, const char *path)
{
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *xml = NULL;
	struct err err = { 0 };
	json_t *profile;
	int rc = sys_read(&app->sys, strcmp(path, "-") == 0 ? "/dev/stdin" : path, XML_MAX, &xml);

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
