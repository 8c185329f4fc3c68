/* SPDX-License-Identifier: MIT */
#include "profiles/profile.h"

#include "profiles/advise.h"
#include "profiles/chain.h"
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

/* Evaluate the CPU expression at place. */
static int evaluate(struct load *load, const struct document *doc,
		    const struct json_position *place, const json_t *value, bool guest,
		    struct cpuset *set)
{
	_cleanup_strv_ struct strv notes = { 0 };
	struct expr_env env = { .sys = load->sys,
				.topo = load->topo,
				.housekeeping = guest ? NULL : &load->housekeeping,
				.split = load->profile->smt_split,
				.foreign = load->foreign,
				.keep_first = guest };
	struct err why = { 0 };

	if (expr_eval(&env, json_string_value(value), set, &notes, &why) < 0)
		return document_string_error(doc, place, env.at, load->err, "%s", why.text);
	for (size_t i = 0; i < notes.n && load->warnings->n < WARNINGS_MAX; i++) {
		_cleanup_free_ char *where = document_where(doc, place);

		strv_addf(load->warnings, "%s: %s", where, notes.items[i]);
	}
	return 0;
}

/* The same for threads of QEMU that are not the guest's. */
static int evaluate_beside(struct load *load, const struct document *doc,
			   const struct json_position *place, const json_t *value,
			   struct cpuset *set)
{
	_cleanup_cpuset_ struct cpuset both = { 0 };
	_cleanup_free_ char *list = NULL;

	if (evaluate(load, doc, place, value, false, set) < 0)
		return -1;
	cpuset_copy(&both, set);
	cpuset_and(&both, &load->profile->guest);
	if (cpuset_empty(&both) || load->foreign)
		return 0;
	list = cpulist_format(&both);
	return document_error(doc, place, load->err,
			      "CPU %s belongs to the guest as well; choose others, or "
			      "\"housekeeping\"",
			      list);
}

static int check_housekeeping(struct load *load)
{
	struct json_position place = { .key = "housekeeping_cores" };
	const struct document *doc;
	json_t *value = chain_get(load->chain, place.key, &doc);
	unsigned have = topology_whole_cores(load->topo, &load->housekeeping);

	load->profile->housekeeping_cores = (unsigned)json_integer_value(value);
	if (!value || have >= load->profile->housekeeping_cores)
		return 0;
	return document_error(
		doc, &place, load->err,
		"%u whole cores are left to the host, not %u; take fewer for the guest", have,
		load->profile->housekeeping_cores);
}

static int read_guest(struct load *load)
{
	struct json_position place = { .key = "guest" };
	const struct document *doc;
	json_t *value = chain_get(load->chain, place.key, &doc);
	_cleanup_free_ char *list = NULL;

	if (!value)
		return document_error(doc, &place, load->err,
				      "is missing; say which CPUs the guest gets, like \"2-5\"");
	if (evaluate(load, doc, &place, value, true, &load->profile->guest) < 0)
		return -1;
	cpuset_copy(&load->housekeeping, &load->topo->online);
	if (load->foreign)
		return 0;
	cpuset_andnot(&load->housekeeping, &load->profile->guest);
	if (!cpuset_empty(&load->housekeeping))
		return check_housekeeping(load);
	list = cpulist_format(&load->topo->online);
	return document_error(
		doc, &place, load->err,
		"takes every CPU of this machine (%s); leave the host a core at least", list);
}

static int read_emulator(struct load *load)
{
	struct json_position place = { .key = "emulator" };
	const struct document *doc;
	json_t *value = chain_get(load->chain, place.key, &doc);

	if (!value || strcmp(json_string_value(value), "housekeeping") == 0)
		return 0;
	return evaluate_beside(load, doc, &place, value, &load->profile->emulator);
}

static int read_iothreads(struct load *load)
{
	struct json_position place = { .key = "iothreads" };
	const struct document *doc;
	json_t *array = chain_get(load->chain, place.key, &doc), *value;
	struct profile *p = load->profile;
	size_t i;

	p->iothreads = xcalloc(json_array_size(array), sizeof(*p->iothreads));
	p->n_iothreads = json_array_size(array);
	json_array_foreach (array, i, value) {
		struct json_position inner = { .in = &place, .index = i };

		if (evaluate_beside(load, doc, &inner, value, &p->iothreads[i]) < 0)
			return -1;
	}
	return 0;
}

static int read_vcpus(struct load *load)
{
	struct json_position place = { .key = "vcpus" };
	const struct document *doc;
	json_t *array = chain_get(load->chain, place.key, &doc), *value;
	_cleanup_cpuset_ struct cpuset seen = { 0 };
	struct profile *p = load->profile;
	size_t i;

	if (!json_is_array(array))
		return 0;
	p->vcpus = xcalloc(json_array_size(array), sizeof(*p->vcpus));
	json_array_foreach (array, i, value) {
		struct json_position inner = { .in = &place, .index = i };
		unsigned cpu = (unsigned)json_integer_value(value);

		if (!load->foreign && !cpuset_has(&p->guest, cpu)) {
			_cleanup_free_ char *list = cpulist_format(&p->guest);

			return document_error(doc, &inner, load->err,
					      "CPU %u is not one of the guest's, which are %s", cpu,
					      list);
		}
		if (cpuset_has(&seen, cpu))
			return document_error(
				doc, &inner, load->err,
				"CPU %u has a vCPU already; give each vCPU another one", cpu);
		cpuset_add(&seen, cpu);
		p->vcpus[p->n_vcpus++] = cpu;
	}
	return 0;
}

static const char *const vfio_names[] = { PROFILE_VFIO(NAMES_TEXT) };

const char *profile_vfio_name(enum profile_vfio vfio)
{
	return vfio_names[vfio];
}

int profile_vfio_parse(const char *name)
{
	return names_find(vfio_names, ARRAY_SIZE(vfio_names), name);
}

static int read_irq(struct load *load)
{
	struct json_position irq = { .key = "irq" }, rules = { .in = &irq, .key = "rules" };
	const struct document *doc;
	json_t *object = chain_get(load->chain, irq.key, &doc), *value;
	json_t *array = json_object_get(object, "rules");
	const char *vfio = json_string_value(json_object_get(object, "vfio"));
	struct profile *p = load->profile;
	size_t i;

	if (vfio) /* one of the names, says fields.c */
		p->vfio = (enum profile_vfio)profile_vfio_parse(vfio);
	json_array_foreach (json_object_get(object, "devices"), i, value)
		strv_take(&p->devices, pci_address_parse(json_string_value(value)));
	p->rules = xcalloc(json_array_size(array), sizeof(*p->rules));
	json_array_foreach (array, i, value) {
		struct json_position rule = { .in = &rules, .index = i };
		struct json_position cpus = { .in = &rule, .key = "cpus" };
		struct profile_rule *r = &p->rules[p->n_rules++];

		r->match = xstrdup(json_string_value(json_object_get(value, "match")));
		if (evaluate(load, doc, &cpus, json_object_get(value, "cpus"), false, &r->cpus) < 0)
			return -1;
	}
	return 0;
}

static const char *get_string(const struct load *load, const char *key)
{
	const struct document *doc;

	return json_string_value(chain_get(load->chain, key, &doc));
}

static void read_words(struct load *load)
{
	const struct document *profile_doc = &load->chain->docs[0], *doc;
	const char *user = get_string(load, "user"), *smt = get_string(load, "smt");
	struct profile *p = load->profile;
	json_t *word;
	size_t i;

	p->name = xstrdup(json_string_value(json_object_get(profile_doc->root, "name")));
	p->path = xstrdup(profile_doc->path);
	p->text = chain_text(load->chain);
	p->user = user ? xstrdup(user) : NULL;
	p->smt_split = smt && strcmp(smt, "split") == 0;
	p->flush = json_is_true(chain_get(load->chain, "flush", &doc));
	p->host = json_incref(chain_get(load->chain, "host", &doc));
	json_array_foreach (chain_get(load->chain, "command", &doc), i, word)
		strv_add(&p->command, json_string_value(word));
}

static int read_all(struct load *load)
{
	read_words(load);
	if (read_guest(load) < 0 || read_emulator(load) < 0 || read_iothreads(load) < 0 ||
	    read_vcpus(load) < 0)
		return -1;
	return read_irq(load);
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
