/* SPDX-License-Identifier: MIT */
#include "profiles/profile.h"

#include "profiles/advise.h"
#include "profiles/chain.h"
#include "profiles/fields.h"
#include "profiles/machine.h"
#include "shield/base/pci_address.h"
#include "shield/base/text.h"
#include "shield/topology/expr.h"

#include <string.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+"
#define NAME_MAX_LENGTH 64
/* The name of a unit may have 255 characters: "shield-guard-" NAME ".service". */
#define UNIT_MAX_LENGTH 234

int profile_check_name(const char *name, struct err *err)
{
	size_t n = strlen(name), good = strspn(name, NAME_CHARS), unit = 0;
	_cleanup_free_ char *shown = text_escape(name);

	if (n == 0)
		return err_set(err, ERR_USAGE, "a name cannot be empty");
	if (name[good]) {
		_cleanup_free_ char *bad = xstrndup(name + good, 1);
		_cleanup_free_ char *escaped = text_escape(bad);

		return err_set(err, ERR_USAGE,
			       "the name \"%.80s\" has a \"%s\"; use A-Z a-z 0-9 . _ - @ +", shown,
			       escaped);
	}
	if (n > NAME_MAX_LENGTH)
		return err_set(err, ERR_USAGE,
			       "the name \"%.20s...\" has %zu characters; use %d at most", shown, n,
			       NAME_MAX_LENGTH);
	for (const char *c = name; *c; c++)
		unit += strchr("-@+", *c) ? strlen("\\x2d") : 1;
	if (unit > UNIT_MAX_LENGTH)
		return err_set(
			err, ERR_USAGE,
			"the name \"%.20s...\" is too long for a unit of systemd, where each - @ "
			"and + takes four characters; use fewer of them",
			shown);
	if (*name == '.' || *name == '-')
		return err_set(err, ERR_USAGE,
			       "the name \"%s\" starts with a \"%c\"; start it with "
			       "a letter or a digit",
			       shown, *name);
	return 0;
}

/* More are not read; to find the place of each takes a look through the whole file. */
#define WARNINGS_MAX 64

/* What the evaluation of one profile needs. */
struct load {
	struct sys *sys;
	const struct topology *topo;
	const struct chain *chain;
	struct profile *profile;
	struct cpuset housekeeping;
	struct strv *warnings;
	struct err *err;
	bool foreign; /* for another machine: which CPUs it comes to is unknown */
};

/* Evaluate the CPU expression of a value. */
static int evaluate(struct load *load, const struct field_value *v, bool guest, struct cpuset *set)
{
	_cleanup_strv_ struct strv notes = { 0 };
	struct expr_env env = { .sys = load->sys,
				.topo = load->topo,
				.housekeeping = guest ? NULL : &load->housekeeping,
				.split = load->profile->smt_split,
				.foreign = load->foreign,
				.keep_first = guest };
	struct err why = { 0 };

	if (expr_eval(&env, json_string_value(v->json), set, &notes, &why) < 0)
		return document_string_error(v->doc, v->place, env.at, load->err, "%s", why.text);
	for (size_t i = 0; i < notes.n && load->warnings->n < WARNINGS_MAX; i++) {
		_cleanup_free_ char *where = document_where(v->doc, v->place);

		strv_addf(load->warnings, "%s: %s", where, notes.items[i]);
	}
	return 0;
}

/* The same for threads of QEMU that are not the guest's. */
static int evaluate_beside(struct load *load, const struct field_value *v, struct cpuset *set)
{
	_cleanup_cpuset_ struct cpuset both = { 0 };
	_cleanup_free_ char *list = NULL;

	if (evaluate(load, v, false, set) < 0)
		return -1;
	cpuset_copy(&both, set);
	cpuset_and(&both, &load->profile->guest);
	if (cpuset_empty(&both) || load->foreign)
		return 0;
	list = cpulist_format(&both);
	return document_error(v->doc, v->place, load->err,
			      "CPU %s belongs to the guest as well; choose others, or "
			      "\"housekeeping\"",
			      list);
}

/*
 * The readers of the keys, in the order of the table. The value is what fields.h has
 * checked, or not there.
 */
static int read_name(struct load *load, const struct field_value *v)
{
	load->profile->name = xstrdup(json_string_value(v->json));
	return 0;
}

static int read_smt(struct load *load, const struct field_value *v)
{
	load->profile->smt_split = v->json && strcmp(json_string_value(v->json), "split") == 0;
	return 0;
}

static int read_guest(struct load *load, const struct field_value *v)
{
	_cleanup_free_ char *list = NULL;

	if (!v->json)
		return document_error(v->doc, v->place, load->err,
				      "is missing; say which CPUs the guest gets, like \"2-5\"");
	if (evaluate(load, v, true, &load->profile->guest) < 0)
		return -1;
	cpuset_copy(&load->housekeeping, &load->topo->online);
	if (load->foreign)
		return 0;
	cpuset_andnot(&load->housekeeping, &load->profile->guest);
	if (!cpuset_empty(&load->housekeeping))
		return 0;
	list = cpulist_format(&load->topo->online);
	return document_error(
		v->doc, v->place, load->err,
		"takes every CPU of this machine (%s); leave the host a core at least", list);
}

static int read_housekeeping_cores(struct load *load, const struct field_value *v)
{
	unsigned have = topology_whole_cores(load->topo, &load->housekeeping);

	load->profile->housekeeping_cores = (unsigned)json_integer_value(v->json);
	if (load->foreign || have >= load->profile->housekeeping_cores)
		return 0;
	return document_error(
		v->doc, v->place, load->err,
		"%u whole cores are left to the host, not %u; take fewer for the guest", have,
		load->profile->housekeeping_cores);
}

static int read_emulator(struct load *load, const struct field_value *v)
{
	if (!v->json || strcmp(json_string_value(v->json), "housekeeping") == 0)
		return 0;
	return evaluate_beside(load, v, &load->profile->emulator);
}

static int read_iothreads(struct load *load, const struct field_value *v)
{
	struct profile *p = load->profile;
	json_t *element;
	size_t i;

	p->iothreads = xcalloc(json_array_size(v->json), sizeof(*p->iothreads));
	p->n_iothreads = json_array_size(v->json);
	json_array_foreach (v->json, i, element) {
		struct json_position place = { .in = v->place, .index = i };
		struct field_value inner = { v->doc, &place, element };

		if (evaluate_beside(load, &inner, &p->iothreads[i]) < 0)
			return -1;
	}
	return 0;
}

static int read_vcpus(struct load *load, const struct field_value *v)
{
	_cleanup_cpuset_ struct cpuset seen = { 0 };
	struct profile *p = load->profile;
	json_t *element;
	size_t i;

	if (!json_is_array(v->json))
		return 0;
	p->vcpus = xcalloc(json_array_size(v->json), sizeof(*p->vcpus));
	json_array_foreach (v->json, i, element) {
		struct json_position inner = { .in = v->place, .index = i };
		unsigned cpu = (unsigned)json_integer_value(element);

		if (!load->foreign && !cpuset_has(&p->guest, cpu)) {
			_cleanup_free_ char *list = cpulist_format(&p->guest);

			return document_error(v->doc, &inner, load->err,
					      "CPU %u is not one of the guest's, which are %s", cpu,
					      list);
		}
		if (cpuset_has(&seen, cpu))
			return document_error(
				v->doc, &inner, load->err,
				"CPU %u has a vCPU already; give each vCPU another one", cpu);
		cpuset_add(&seen, cpu);
		p->vcpus[p->n_vcpus++] = cpu;
	}
	return 0;
}

static const char *const vfio_names[] = { PROFILE_VFIO(NAMES_TEXT) };

int profile_vfio_parse(const char *name)
{
	return names_find(vfio_names, ARRAY_SIZE(vfio_names), name);
}

static int read_vfio(struct load *load, const struct field_value *v)
{
	if (v->json) /* one of the names: it was checked */
		load->profile->vfio =
			(enum profile_vfio)profile_vfio_parse(json_string_value(v->json));
	return 0;
}

static int read_devices(struct load *load, const struct field_value *v)
{
	json_t *element;
	size_t i;

	json_array_foreach (v->json, i, element)
		strv_take(&load->profile->devices, pci_address_parse(json_string_value(element)));
	return 0;
}

static int read_rules(struct load *load, const struct field_value *v)
{
	struct profile *p = load->profile;
	json_t *element;
	size_t i;

	p->rules = xcalloc(json_array_size(v->json), sizeof(*p->rules));
	json_array_foreach (v->json, i, element) {
		struct json_position rule = { .in = v->place, .index = i };
		struct json_position place = { .in = &rule, .key = "cpus" };
		struct field_value cpus = { v->doc, &place, json_object_get(element, "cpus") };
		struct profile_rule *r = &p->rules[p->n_rules++];

		r->match = xstrdup(json_string_value(json_object_get(element, "match")));
		if (evaluate(load, &cpus, false, &r->cpus) < 0)
			return -1;
	}
	return 0;
}

static int read_host(struct load *load, const struct field_value *v)
{
	load->profile->host = json_incref(v->json);
	return 0;
}

static int read_flush(struct load *load, const struct field_value *v)
{
	load->profile->flush = json_is_true(v->json);
	return 0;
}

static int read_user(struct load *load, const struct field_value *v)
{
	load->profile->user = v->json ? xstrdup(json_string_value(v->json)) : NULL;
	return 0;
}

static int read_command(struct load *load, const struct field_value *v)
{
	json_t *word;
	size_t i;

	json_array_foreach (v->json, i, word)
		strv_add(&load->profile->command, json_string_value(word));
	return 0;
}

/*
 * The table of all keys. It is what documents are checked against (fields.h), what is
 * read, and what the schema and the list of shield-profile(5) are made of: after a
 * change run `scripts/generate`. Members stand before what has them.
 */
/* Of what is held against each interrupt, or looked up on the machine. */
#define ITEMS_MAX 1024

static const struct field word = FIELD(NULL, field_string, NULL, "a string", "a word");
static const struct field iothread =
	FIELD(NULL, field_cpus, NULL, "an I/O thread's CPUs as a string like \"0-1\"",
	      "the CPUs of one I/O thread");
static const struct field vcpu = FIELD(NULL, field_integer, NULL, "the number of a vCPU's CPU",
				       "the CPU of one vCPU", .max = CPUSET_MAX_CPU);
static const struct field device =
	FIELD(NULL, field_pci, NULL, "a PCI address like \"0000:01:00.0\"", "a PCI address");

static const struct field machine[] = {
	FIELD("cpu", field_text, NULL, "a glob like \"*i9-9900K*\"",
	      "the model name of /proc/cpuinfo"),
	FIELD("board", field_text, NULL, "a glob like \"Z390*\"",
	      "the name of the board or product (DMI), or the device tree's model"),
	FIELD("vendor", field_text, NULL, "a glob like \"Gigabyte*\"",
	      "the board's or the system's vendor (DMI)"),
	{ 0 },
};

static const struct field rule_members[] = {
	FIELD("match", field_match, NULL,
	      "action:, chip:, driver: or pci: and a glob, like \"driver:nvme\"",
	      "`action:`, `chip:`, `driver:` or `pci:` and a glob (of an address with or without "
	      "its domain 0000); `shield irq --json` shows all four",
	      .required = true),
	FIELD("cpus", field_cpus, NULL, "CPUs as a string like \"0-1\"",
	      "CPU expression: where they go", .required = true),
	{ 0 },
};
static const struct field rule = FIELD(
	NULL, field_object, NULL, "a rule like { \"match\": \"driver:nvme\", \"cpus\": \"0-1\" }",
	"interrupts, and their CPUs", .members = rule_members);

static const struct field irq[] = {
	FIELD("vfio", field_choice, read_vfio, NULL,
	      "where interrupts of the guest's devices go" PROFILE_VFIO(NAMES_ABOUT),
	      .choices = &("" PROFILE_VFIO(NAMES_CHOICE))[1]),
	FIELD("devices", field_array, read_devices,
	      "the guest's PCI devices as an array of addresses", "the guest's PCI addresses",
	      .members = &device, .max = ITEMS_MAX),
	FIELD("rules", field_array, read_rules, "an array of rules",
	      "an array of objects like { \"match\": \"driver:nvme\", \"cpus\": \"0-1\" }; the first "
	      "that matches counts",
	      .members = &rule, .max = ITEMS_MAX),
	{ 0 },
};

static int read_irq(struct load *load, const struct field_value *v)
{
	for (const struct field *m = irq; m->key; m++) {
		struct json_position place = { .in = v->place, .key = m->key };
		struct field_value inner = { v->doc, &place, json_object_get(v->json, m->key) };

		if (m->read(load, &inner) < 0)
			return -1;
	}
	return 0;
}

static const struct field keys[] = {
	FIELD("version", field_integer, NULL, "the number 1", "the number 1; needed",
	      .required = true, .min = 1, .max = 1),
	FIELD("name", field_name, read_name, "the profile's name as a string",
	      "1 to 64 of A-Z a-z 0-9 . _ - @ +, not beginning with a dot or dash; needed",
	      .required = true),
	FIELD("description", field_string, NULL, "a text", "a text for people"),
	FIELD("extends", field_name, NULL, "the name of a profile",
	      "the name of another profile: each key that is missing here is taken from there, "
	      "whole. At most 8 deep, no cycles"),
	FIELD("machine", field_object, NULL, "an object with \"cpu\", \"board\" or \"vendor\"",
	      "the machines that this profile is for: globs for one or more of the names below, and "
	      "all that are given must match. Without a name the profile with most of them is taken; "
	      "two with equally many are an error",
	      .members = machine, .min = 1),
	FIELD("smt", field_choice, read_smt, NULL,
	      "\"whole\" completes SMT siblings, \"split\" takes CPUs as they are named",
	      .choices = "whole|split"),
	FIELD("guest", field_cpus, read_guest,
	      "the guest's CPUs as a string like \"2-5\" or \"cores:6\"",
	      "CPU expression (below): the CPUs of the vCPU threads. Needed, here or in a profile "
	      "that is extended"),
	FIELD("housekeeping_cores", field_integer, read_housekeeping_cores,
	      "how many whole cores the host keeps, at least 1",
	      "how many whole cores the host keeps at least", .min = 1, .max = CPUSET_MAX_CPU),
	FIELD("emulator", field_cpus, read_emulator,
	      "\"housekeeping\" or CPUs as a string like \"0-1\"",
	      "CPU expression: where QEMU's other threads run. \"housekeeping\", all that the guest "
	      "leaves, if missing"),
	FIELD("iothreads", field_array, read_iothreads,
	      "CPUs for each I/O thread, as an array of strings",
	      "CPU expressions, one for each I/O thread in the order of their ids (io2 comes before "
	      "io10). They are told by QMP, or by their names (`IO io2`). Where `emulator` names "
	      "CPUs, these are added to it",
	      .members = &iothread, .max = ITEMS_MAX),
	FIELD("vcpus", field_vcpus, read_vcpus,
	      "\"auto\", or the CPU of each vCPU as an array of numbers",
	      "\"auto\": threads of one core of the guest, as QMP reports it, get siblings of one core; "
	      "where the guest has no siblings, each vCPU gets a core of its own while there are "
	      "enough. Or the CPU of each vCPU as an array of numbers",
	      .members = &vcpu, .min = 1),
	FIELD("irq", field_object, read_irq, "an object with \"vfio\", \"devices\" or \"rules\"",
	      "where interrupts go", .members = irq),
	FIELD("host", field_host, read_host, "an object of host settings",
	      "an object of host settings; see below"),
	FIELD("flush", field_bool, read_flush, "true or false",
	      "if true, before its partition is made each guest CPU goes offline and online once, one "
	      "after the other, which pushes away timers and work that it carries. Left out, with a "
	      "warning, while any other partition stands, since kernels damage one when CPUs go "
	      "offline. Drivers may set their interrupts anew then"),
	FIELD("user", field_text, read_user, "the name of a user",
	      "who runs the command of `shield run`, where the command line does not say otherwise"),
	FIELD("command", field_array, read_command, "the command's words as an array of strings",
	      "what `shield run` starts, as an array of its words, where the command line does not "
	      "say otherwise",
	      .members = &word, .min = 1),
	{ 0 },
};

const struct field *const profile_keys = keys;

static int read_all(struct load *load)
{
	load->profile->path = xstrdup(load->chain->docs[0].path);
	load->profile->text = chain_text(load->chain);
	for (const struct field *key = keys; key->key; key++) {
		struct json_position place = { .key = key->key };
		struct field_value v = { .place = &place };

		v.json = chain_get(load->chain, key->key, &v.doc);
		if (key->read && key->read(load, &v) < 0)
			return -1;
	}
	return 0;
}

int profile_load(struct sys *sys, const struct topology *topo, const char *which,
		 struct profile *profile, struct strv *warnings, struct err *err)
{
	_cleanup_chain_ struct chain chain = { 0 };
	_cleanup_profile_ struct profile p = { 0 };
	_cleanup_free_ char *found = NULL;
	struct load load = { sys, topo, &chain, &p, { 0 }, warnings, err, false };
	int rc;

	if (!which) {
		found = machine_find(sys, &p.why, warnings, err);
		if (!found)
			return -1;
		/* The user did not name it: say which it is, and why, wherever
		 * it is used. */
		strv_addf(warnings, "no profile was named; %s is for this machine: %s", found,
			  p.why);
	}
	if (chain_load(sys, which ? which : found, &chain, err) < 0)
		return -1;
	rc = read_all(&load);
	cpuset_clear(&load.housekeeping);
	if (rc < 0)
		return -1;
	advise(sys, topo, &p, warnings);
	*profile = p;
	p = (struct profile){ 0 };
	return 0;
}

int profile_check_foreign(struct sys *sys, const struct topology *topo, const char *which,
			  struct err *err)
{
	_cleanup_chain_ struct chain chain = { 0 };
	_cleanup_profile_ struct profile p = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	struct load load = { sys, topo, &chain, &p, { 0 }, &warnings, err, true };
	int rc = chain_load(sys, which, &chain, err);

	if (rc == 0)
		rc = read_all(&load);
	cpuset_clear(&load.housekeeping);
	return rc;
}

void profile_clear(struct profile *profile)
{
	for (size_t i = 0; i < profile->n_iothreads; i++)
		cpuset_clear(&profile->iothreads[i]);
	for (size_t i = 0; i < profile->n_rules; i++) {
		free(profile->rules[i].match);
		cpuset_clear(&profile->rules[i].cpus);
	}
	free(profile->iothreads);
	free(profile->vcpus);
	free(profile->rules);
	json_decref(profile->host);
	strv_clear(&profile->devices);
	free(profile->name);
	free(profile->path);
	free(profile->why);
	free(profile->text);
	free(profile->user);
	cpuset_clear(&profile->guest);
	cpuset_clear(&profile->emulator);
	strv_clear(&profile->command);
	*profile = (struct profile){ 0 };
}
