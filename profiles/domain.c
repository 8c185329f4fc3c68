#include "profiles/domain.h"

#include "profiles/libxml.h"
#include "profiles/profile.h"

#include <errno.h>
#include <string.h>

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

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoull((const char *)text, &end, 10);
	if (errno || *end || n > max)
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

/* The attribute cpuset="1-4,^3"; 1 when there is none. */
static int cpuset(xmlNode *node, struct cpuset *set, struct err *err)
{
	_cleanup_(freexml)
	xmlChar *text = xmlGetProp(node, (const xmlChar *)"cpuset");
	_cleanup_cpuset_ struct cpuset out = { 0 };
	size_t at;

	cpuset_clear(set);
	if (!text)
		return 1;
	if (cpulist_parse_parts((const char *)text, set, &out, &at, err) < 0) {
		err->kind = ERR_USAGE;
		return err_wrap(err, "line %ld: <%s>: cpuset", xmlGetLineNo(node),
				(const char *)node->name);
	}
	cpuset_andnot(set, &out);
	return 0;
}

/* <vcpupin vcpu='N'> or <iothreadpin iothread='N'>, N from first. */
static int pin(xmlNode *node, const char *key, size_t first, struct cpuset *sets, size_t n,
	       struct err *err)
{
	_cleanup_(freexml)
	xmlChar *text = xmlGetProp(node, (const xmlChar *)key);
	size_t i;

	if (number(text, DOMAIN_VCPUS_MAX, &i) < 0)
		return err_set(err, ERR_USAGE, "line %ld: <%s>: %s is not a number",
			       xmlGetLineNo(node), (const char *)node->name, key);
	/* Pins for vCPUs that the domain does not have are allowed. */
	if (i < first || i - first >= n)
		return 0;
	return cpuset(node, &sets[i - first], err) < 0 ? -1 : 0;
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

static int read_domain(xmlNode *root, struct domain *d, struct err *err)
{
	xmlNode *name = child(root, "name"), *vcpu = child(root, "vcpu"),
		*tune = child(root, "cputune");
	xmlNode *iothreads = child(root, "iothreads");
	_cleanup_cpuset_ struct cpuset all = { 0 };
	xmlChar *text;

	if (!is(root, "domain") || !name)
		return err_set(err, ERR_USAGE,
			       "no <domain> with a <name>; 'virsh dumpxml DOMAIN' "
			       "prints one");
	text = xmlNodeGetContent(name);
	d->name = xstrdup((const char *)text);
	xmlFree(text);
	d->n_vcpus = 1;
	if (vcpu && (content(vcpu, DOMAIN_VCPUS_MAX, &d->n_vcpus) < 0 || !d->n_vcpus))
		return err_set(err, ERR_USAGE, "line %ld: <vcpu> is no number of vCPUs",
			       xmlGetLineNo(vcpu));
	if (iothreads && content(iothreads, DOMAIN_VCPUS_MAX, &d->n_iothreads) < 0)
		return err_set(err, ERR_USAGE, "line %ld: <iothreads> is not a number",
			       xmlGetLineNo(iothreads));
	d->vcpus = xcalloc(d->n_vcpus, sizeof(*d->vcpus));
	d->iothreads = xcalloc(d->n_iothreads, sizeof(*d->iothreads));
	if (vcpu && cpuset(vcpu, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < d->n_vcpus; i++)
		cpuset_copy(&d->vcpus[i], &all);
	for (xmlNode *n = tune ? tune->children : NULL; n; n = n->next) {
		int rc = 0;

		if (is(n, "vcpupin"))
			rc = pin(n, "vcpu", 0, d->vcpus, d->n_vcpus, err);
		else if (is(n, "iothreadpin"))
			rc = pin(n, "iothread", 1, d->iothreads, d->n_iothreads, err);
		else if (is(n, "emulatorpin"))
			rc = cpuset(n, &d->emulator, err);
		if (rc < 0)
			return -1;
	}
	return read_wish(child(root, "metadata"), d, err);
}

char *domain_shield_name(const char *name)
{
	char *text = xstrndup(name, strnlen(name, 64));

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
	xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
				      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	if (!root) {
		const xmlError *e = xmlGetLastError();

		return err_set(err, ERR_USAGE, "line %d: not XML", e ? e->line : 0);
	}
	if (read_domain(root, domain, err) == 0)
		return 0;
	domain_clear(domain);
	return -1;
}

int domain_parse(const char *xml, struct domain *domain, struct err *err)
{
	*domain = (struct domain){ 0 };
	return libxml_load(err) < 0 ? -1 : parse(xml, domain, err);
}

void domain_clear(struct domain *domain)
{
	for (size_t i = 0; i < domain->n_vcpus && domain->vcpus; i++)
		cpuset_clear(&domain->vcpus[i]);
	for (size_t i = 0; i < domain->n_iothreads && domain->iothreads; i++)
		cpuset_clear(&domain->iothreads[i]);
	cpuset_clear(&domain->emulator);
	free(domain->vcpus);
	free(domain->iothreads);
	free(domain->name);
	*domain = (struct domain){ 0 };
}
