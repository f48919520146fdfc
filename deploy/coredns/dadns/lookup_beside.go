// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"fmt"

	"github.com/miekg/dns"
)

// What stands beside the answer: the sections authority and additional.

// deny says by the SOA record how long it may be remembered that nothing is there (RFC 2308 3). Who asks for the SOA
// record of a name that does not exist is looking for the zone: not at all, as in named.
func (l *lookup) deny() {
	soa := dns.Copy(l.zone.file.SOA).(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	if l.kind == dns.TypeSOA && l.reply.Rcode == dns.RcodeNameError {
		soa.Hdr.Ttl = 0
	}
	l.reply.Ns = append(l.reply.Ns, soa)
}

// refer names the servers of a delegation, with the addresses that nobody can have without (RFC 9471). Nothing else
// is added. AA is about the name that was asked for: an alias to there is an answer (RFC 1035 4.1.1).
func (l *lookup) refer(found place) {
	servers := found.records(dns.TypeNS)
	l.reply.Authoritative = len(l.reply.Answer) > 0
	l.reply.Ns = append(l.reply.Ns, servers...)
	l.bare = true
	for _, server := range servers {
		host := respell(server.(*dns.NS).Ns)
		glue, exists := l.zone.file.Search(host)
		if exists && dns.IsSubDomain(found.name, host) {
			l.reply.Extra = append(l.reply.Extra, glue.Type(dns.TypeA)...)
			l.reply.Extra = append(l.reply.Extra, glue.Type(dns.TypeAAAA)...)
		}
	}
}

// addServers names the servers of the zone beside an answer. Who desires recursion is no resolver and has no use for
// them (named: minimal-responses no-auth-recursive).
func (l *lookup) addServers() {
	servers := l.zone.file.NS
	if l.reply.RecursionDesired || isKeyMaterial(l.kind) || len(servers) == 0 || has(l.reply.Answer, servers[0]) {
		return
	}
	l.reply.Ns = append(l.reply.Ns, servers...)
}

// isKeyMaterial: big enough, and asked for by those who know where the zone is.
func isKeyMaterial(kind uint16) bool {
	switch kind {
	case dns.TypeDS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		return true
	}
	return false
}

// For more records of a type than this nothing is looked for: a short question shall not make that much work.
const maxHosts = 13

// addUseful adds what the asker will want next of hosts that the other sections name, if they are in this zone, as it
// knows them, even if another one is below it (RFC 1034 4.3.2 step 6): their addresses, and by which key a mail server or a service is known (RFC 7671).
func (l *lookup) addUseful() {
	asked := map[string]bool{}
	for _, section := range [][]dns.RR{l.reply.Answer, l.reply.Ns} {
		count := map[uint16]int{}
		for _, record := range section {
			count[record.Header().Rrtype]++
		}
		for _, record := range section {
			if count[record.Header().Rrtype] > maxHosts {
				continue
			}
			host, keys := hostOf(record)
			l.addOnce(asked, host, dns.TypeA, dns.TypeAAAA)
			l.addOnce(asked, keys, dns.TypeTLSA)
		}
	}
}

func (l *lookup) addOnce(asked map[string]bool, name string, kinds ...uint16) {
	if name == "" {
		return
	}
	if name = respell(name); asked[name] || !dns.IsSubDomain(l.zone.name, name) {
		return
	}
	asked[name] = true
	found := l.zone.locate(name, kinds[0])
	if found.what != present {
		return
	}
	for _, kind := range kinds {
		if records := found.records(kind); len(records) > 0 && !has(l.reply.Answer, records[0]) {
			l.reply.Extra = append(l.reply.Extra, records...)
		}
	}
}

// hostOf returns the name of the host that a record names, and where its TLSA records are; or nothing.
func hostOf(record dns.RR) (host, keys string) {
	switch record := record.(type) {
	case *dns.NS:
		return record.Ns, ""
	case *dns.MX:
		return record.Mx, "_25._tcp." + record.Mx
	case *dns.SRV:
		return record.Target, fmt.Sprintf("_%d._tcp.%s", record.Port, record.Target)
	case *dns.SVCB:
		return record.Target, ""
	case *dns.HTTPS:
		return record.Target, ""
	case *dns.AFSDB:
		return record.Hostname, ""
	case *dns.KX:
		return record.Exchanger, ""
	case *dns.RT:
		return record.Host, ""
	case *dns.MB:
		return record.Mb, ""
	}
	return "", ""
}
