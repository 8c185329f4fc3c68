/* SPDX-License-Identifier: MIT */
/*
 * domain: what libvirt's description of a virtual machine says about CPUs.
 *
 *	<name>win11</name>
 *	<vcpu cpuset='2-5'>4</vcpu>
 *	<cputune>
 *	  <vcpupin vcpu='0' cpuset='2'/>		…
 *	  <emulatorpin cpuset='0-1'/>
 *	  <iothreadpin iothread='1' cpuset='1'/>
 *	</cputune>
 *	<vcpus><vcpu id='0' enabled='yes'/> … </vcpus>
 *	<devices><hostdev type='pci'><source><address bus='0x01' …
 *	<metadata>
 *	  <shield:domain xmlns:shield='urn:shield:domain' on-error='fail'/>
 *	</metadata>
 *
 * The XML is untrusted: at most DOMAIN_XML_MAX bytes are parsed, nothing is
 * fetched, what libvirt never writes is refused beforehand (xml_scan.h), and the
 * time for it grows with its length, not with the square of it.
 * (https://libvirt.org/formatdomain.html, "CPU Tuning")
 */
#ifndef SHIELD_PROFILES_DOMAIN_H
#define SHIELD_PROFILES_DOMAIN_H

#include "shield/base/cpuset.h"
#include "shield/base/strv.h"

#define DOMAIN_VCPUS_MAX 4096
#define DOMAIN_XML_MAX (1 << 20)
#define DOMAIN_OTHERS_MAX 32

struct domain {
	char *name;
	size_t n_vcpus;		/* at most, with those to be plugged in */
	bool *off;		/* which of them it starts without */
	struct cpuset *vcpus;	/* where each may run; empty: not pinned */
	struct cpuset emulator; /* likewise */
	size_t n_iothreads;
	struct cpuset *iothreads; /* likewise, in the order of their ids */
	struct strv devices;	  /* PCI addresses of <hostdev> */
	struct strv others;	  /* the elements that say more, "vcpusched"; the first 32 */
	bool shielded;		  /* <metadata> asks for a shield, */
	bool required;		  /* and the domain is not to run without (on-error='fail') */
};

/* -1 with ERR_USAGE, naming the element, when it is not such a description. */
int domain_parse(const char *xml, struct domain *domain, struct err *err);
/* Whether a description that could not be read or parsed, or only in part, asks not to be
 * started without a shield: by its text. */
bool domain_demands(const char *xml);
/* The name of its shield and profile: its own, with "_" for what these may not
 * have; the caller frees it. */
char *domain_shield_name(const char *name);
void domain_clear(struct domain *domain);
#define _cleanup_domain_ _cleanup_(domain_clear)

#endif
