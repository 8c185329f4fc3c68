/* SPDX-License-Identifier: MIT */
#include "profiles/domain.h"

#include "profiles/libxml.h"
#include "profiles/profile.h"
#include "profiles/xml_scan.h"
#include "shield/base/pci_address.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define BLANKS " \t\r\n"

static const char namespace[] = "urn:shield:domain";

static void freedoc(xmlDocPtr *doc)
{
	xmlFreeDoc(*doc);
}

static void freexml(xmlChar **text)
{
	xmlFree(*text);
}

static bool is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *child(xmlNode *parent, const char *name)
{
	for (xmlNode *n = parent ? parent->children : NULL; n; n = n->next)
		if (is(n, name))
			return n;
	return NULL;
}

/* A number of at most max; text may be NULL. */
static int number(const xmlChar *text, size_t max, size_t *ret)
{
	char *end;
	unsigned long long n;

	if (!text)
		return -1;
	text += strspn((const char *)text, BLANKS);
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoull((const char *)text, &end, 10);
	if (errno || n > max || end[strspn(end, BLANKS)])
		return -1;
	*ret = (size_t)n;
	return 0;
}

static int content(xmlNode *node, size_t max, size_t *ret)
{
	_cleanup_(freexml)
	xmlChar *text = xmlNodeGetContent(node);

	return number(text, max, ret);
}

/* The attribute cpuset="1-4,^3"; empty when there is none. */
static int cpuset(xmlNode *node, struct cpuset *set, struct err *err)
{
	_cleanup_(freexml)
	xmlChar *text = xmlGetProp(node, (const xmlChar *)"cpuset");
	_cleanup_cpuset_ struct cpuset out = { 0 };
	size_t at;

	cpuset_clear(set);
	if (!text)
		return 0;
	if (strchr((const char *)text, ':'))
		return err_set(err, ERR_USAGE,
			       "line %ld: <%s>: cpuset has a stride, which libvirt's lists of CPUs "
			       "do not have",
			       xmlGetLineNo(node), (const char *)node->name);
	if (cpulist_parse_parts((const char *)text, set, &out, &at, err) < 0) {
		err->kind = ERR_USAGE;
		return err_wrap(err, "line %ld: <%s>: cpuset", xmlGetLineNo(node),
				(const char *)node->name);
	}
	cpuset_andnot(set, &out);
	return 0;
}

/* The attribute key="N". */
static int attribute(xmlNode *node, const char *key, size_t max, size_t *ret, struct err *err)
{
	_cleanup_(freexml)
	xmlChar *text = xmlGetProp(node, (const xmlChar *)key);

	if (number(text, max, ret) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "line %ld: <%s>: %s is not a number from 0 to %zu",
		       xmlGetLineNo(node), (const char *)node->name, key, max);
}

/* <vcpupin vcpu='N'>; one for a vCPU that the domain does not have is allowed. */
static int read_vcpupin(xmlNode *node, struct domain *d, struct err *err)
{
	size_t i;

	if (attribute(node, "vcpu", DOMAIN_VCPUS_MAX, &i, err) < 0)
		return -1;
	return i < d->n_vcpus ? cpuset(node, &d->vcpus[i], err) : 0;
}

static int by_value(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool listed(const size_t *ids, size_t n, size_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* The ids of all I/O threads, in order: those that <iothreadids> lists, and the
 * lowest ones that are left for the rest. The caller frees *ret. */
static int read_ids(xmlNode *root, struct domain *d, size_t **ret, struct err *err)
{
	xmlNode *count = child(root, "iothreads"), *list = child(root, "iothreadids");
	_cleanup_free_ size_t *ids = xcalloc(DOMAIN_VCPUS_MAX, sizeof(*ids));
	size_t n = 0, next = 1;

	if (count && content(count, DOMAIN_VCPUS_MAX, &d->n_iothreads) < 0)
		return err_set(err, ERR_USAGE,
			       "line %ld: <iothreads> is not a number of I/O threads",
			       xmlGetLineNo(count));
	for (xmlNode *i = list ? list->children : NULL; i && n < DOMAIN_VCPUS_MAX; i = i->next)
		if (is(i, "iothread") && attribute(i, "id", INT32_MAX, &ids[n++], err) < 0)
			return -1;
	if (d->n_iothreads < n)
		d->n_iothreads = n;
	for (; n < d->n_iothreads; n++) {
		while (listed(ids, n, next))
			next++;
		ids[n] = next;
	}
	qsort(ids, n, sizeof(*ids), by_value);
	*ret = take_ptr(ids);
	return 0;
}

static int read_iothreadpin(xmlNode *node, const size_t *ids, struct domain *d, struct err *err)
{
	const size_t *found;
	size_t id;

	if (attribute(node, "iothread", INT32_MAX, &id, err) < 0)
		return -1;
	found = bsearch(&id, ids, d->n_iothreads, sizeof(*ids), by_value);
	return found ? cpuset(node, &d->iothreads[found - ids], err) : 0;
}

static int read_wish(xmlNode *metadata, struct domain *d, struct err *err)
{
	for (xmlNode *n = metadata ? metadata->children : NULL; n; n = n->next) {
		_cleanup_(freexml)
		xmlChar *text = NULL;

		if (!is(n, "domain") || !n->ns || strcmp((const char *)n->ns->href, namespace) != 0)
			continue;
		d->shielded = true;
		text = xmlGetProp(n, (const xmlChar *)"on-error");
		d->required = text && strcmp((const char *)text, "fail") == 0;
		if (text && !d->required && strcmp((const char *)text, "ignore") != 0)
			return err_set(err, ERR_USAGE,
				       "line %ld: <domain>: on-error is \"fail\" or \"ignore\"",
				       xmlGetLineNo(n));
	}
	return 0;
}

/* <vcpu id='N' enabled='no'/>: each may be switched off, those in the middle too. */
static int read_states(xmlNode *vcpus, struct domain *d, struct err *err)
{
	for (xmlNode *n = vcpus ? vcpus->children : NULL; n; n = n->next) {
		_cleanup_(freexml)
		xmlChar *enabled = NULL;
		size_t id;

		if (!is(n, "vcpu"))
			continue;
		if (attribute(n, "id", DOMAIN_VCPUS_MAX, &id, err) < 0)
			return -1;
		enabled = xmlGetProp(n, (const xmlChar *)"enabled");
		if (enabled && id < d->n_vcpus)
			d->off[id] = strcmp((const char *)enabled, "no") == 0;
	}
	return 0;
}

static int read_counts(xmlNode *root, struct domain *d, struct err *err)
{
	size_t n_current;
	xmlNode *vcpu = child(root, "vcpu");
	_cleanup_cpuset_ struct cpuset all = { 0 };
	_cleanup_(freexml)
	xmlChar *current = vcpu ? xmlGetProp(vcpu, (const xmlChar *)"current") : NULL;

	d->n_vcpus = 1;
	if (vcpu && (content(vcpu, DOMAIN_VCPUS_MAX, &d->n_vcpus) < 0 || !d->n_vcpus))
		return err_set(err, ERR_USAGE, "line %ld: <vcpu> is not a number of vCPUs",
			       xmlGetLineNo(vcpu));
	n_current = d->n_vcpus;
	if (current && (number(current, d->n_vcpus, &n_current) < 0 || !n_current))
		return err_set(err, ERR_USAGE,
			       "line %ld: <vcpu>: current is not a number from 1 to %zu",
			       xmlGetLineNo(vcpu), d->n_vcpus);
	d->vcpus = xcalloc(d->n_vcpus, sizeof(*d->vcpus));
	d->off = xcalloc(d->n_vcpus, sizeof(*d->off));
	for (size_t i = n_current; i < d->n_vcpus; i++)
		d->off[i] = true;
	if (vcpu && cpuset(vcpu, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < d->n_vcpus; i++)
		cpuset_copy(&d->vcpus[i], &all);
	return read_states(child(root, "vcpus"), d, err);
}

/* A part of an address, which libvirt writes as 0x1f, people also as 31. */
static bool part(xmlNode *address, const char *key, unsigned long max, unsigned long *ret)
{
	_cleanup_(freexml)
	xmlChar *text = xmlGetProp(address, (const xmlChar *)key);
	char *end;

	*ret = 0;
	if (!text)
		return true;
	if (*text < '0' || *text > '9')
		return false;
	*ret = strtoul((const char *)text, &end, 0);
	return !*end && *ret <= max;
}

/* The host's PCI devices that the domain is given. */
static void read_hostdev(xmlNode *hostdev, struct domain *d)
{
	xmlNode *address = child(child(hostdev, "source"), "address");
	_cleanup_(freexml)
	xmlChar *type = xmlGetProp(hostdev, (const xmlChar *)"type");
	_cleanup_free_ char *text = NULL;
	unsigned long domain, bus, slot, function;
	char *canonical;

	if (!type || strcmp((const char *)type, "pci") != 0 || !address ||
	    !part(address, "domain", UINT32_MAX, &domain) || !part(address, "bus", 0xff, &bus) ||
	    !part(address, "slot", 0x1f, &slot) || !part(address, "function", 7, &function))
		return;
	text = xasprintf("%04lx:%02lx:%02lx.%lx", domain, bus, slot, function);
	canonical = pci_address_parse(text);
	if (canonical)
		strv_take(&d->devices, canonical);
}

static void read_devices(xmlNode *devices, struct domain *d)
{
	for (xmlNode *n = devices ? devices->children : NULL; n; n = n->next)
		if (is(n, "hostdev"))
			read_hostdev(n, d);
}

static int read_tune(xmlNode *tune, const size_t *ids, struct domain *d, struct err *err)
{
	for (xmlNode *n = tune ? tune->children : NULL; n; n = n->next) {
		const char *name = (const char *)n->name;
		int rc = 0;

		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (is(n, "vcpupin"))
			rc = read_vcpupin(n, d, err);
		else if (is(n, "iothreadpin"))
			rc = read_iothreadpin(n, ids, d, err);
		else if (is(n, "emulatorpin"))
			rc = cpuset(n, &d->emulator, err);
		else if (d->others.n < DOMAIN_OTHERS_MAX && !strv_contains(&d->others, name))
			strv_add(&d->others, name);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int read_domain(xmlNode *root, struct domain *d, struct err *err)
{
	_cleanup_free_ size_t *ids = NULL;
	xmlNode *name = child(root, "name");
	xmlChar *text;

	if (!is(root, "domain") || !name)
		return err_set(err, ERR_USAGE,
			       "no <domain> with a <name>; 'virsh dumpxml DOMAIN' "
			       "prints one");
	text = xmlNodeGetContent(name);
	d->name = xstrdup(text ? (const char *)text : "");
	xmlFree(text);
	if (!*d->name)
		return err_set(err, ERR_USAGE, "line %ld: <name> is empty", xmlGetLineNo(name));
	if (read_counts(root, d, err) < 0 || read_ids(root, d, &ids, err) < 0)
		return -1;
	d->iothreads = xcalloc(d->n_iothreads, sizeof(*d->iothreads));
	if (read_tune(child(root, "cputune"), ids, d, err) < 0)
		return -1;
	read_devices(child(root, "devices"), d);
	if (child(root, "numatune"))
		strv_add(&d->others, "numatune");
	return read_wish(child(root, "metadata"), d, err);
}

char *domain_shield_name(const char *name)
{
	char *text = *name ? xstrndup(name, strnlen(name, 64)) : xstrdup("_");

	if (profile_check_name(text, NULL) == 0)
		return text;
	for (char *c = text; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+",
			    *c) ||
		    (c == text && strchr(".-", *c)))
			*c = '_';
	return text;
}

static int parse(const char *xml, struct domain *domain, struct err *err)
{
	_cleanup_(freedoc)
	xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, "UTF-8",
				      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
					      XML_PARSE_IGNORE_ENC);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	if (!root) {
		const xmlError *e = xmlGetLastError();
		const char *why = e && e->message ? e->message : "it is empty";

		return err_set(err, ERR_USAGE, "line %d: not XML: %.*s", e ? e->line : 0,
			       (int)strcspn(why, "\n"), why);
	}
	if (read_domain(root, domain, err) == 0)
		return 0;
	domain_clear(domain);
	return -1;
}

int domain_parse(const char *xml, struct domain *domain, struct err *err)
{
	*domain = (struct domain){ 0 };
	if (xml_scan(xml, err) < 0 || libxml_load(err) < 0)
		return -1;
	return parse(xml, domain, err);
}

/* At the value of on-error, of which `at` is the name's end. */
static bool says_fail(const char *at)
{
	at += strspn(at, BLANKS "=");
	return strncmp(at, "\"fail\"", 6) == 0 || strncmp(at, "'fail'", 6) == 0;
}

bool domain_demands(const char *xml)
{
	if (!strstr(xml, namespace))
		return false;
	while ((xml = strstr(xml, "on-error"))) {
		xml += strlen("on-error");
		if (says_fail(xml))
			return true;
	}
	return false;
}

void domain_clear(struct domain *domain)
{
	for (size_t i = 0; i < domain->n_vcpus && domain->vcpus; i++)
		cpuset_clear(&domain->vcpus[i]);
	for (size_t i = 0; i < domain->n_iothreads && domain->iothreads; i++)
		cpuset_clear(&domain->iothreads[i]);
	cpuset_clear(&domain->emulator);
	strv_clear(&domain->others);
	strv_clear(&domain->devices);
	free(domain->vcpus);
	free(domain->off);
	free(domain->iothreads);
	free(domain->name);
	*domain = (struct domain){ 0 };
}
