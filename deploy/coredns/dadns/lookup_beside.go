// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"fmt"
	"strings"

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
	asked := map[asking]bool{}
	for _, section := range [][]dns.RR{l.reply.Answer, l.reply.Ns} {
		count := map[uint16]int{}
		for _, record := range section {
			count[record.Header().Rrtype]++
		}
		for _, record := range section {
			if count[record.Header().Rrtype] > maxHosts {
				continue
			}
			for _, wish := range wishesOf(record) {
				l.addOnce(asked, wish)
			}
		}
	}
}

func (l *lookup) addOnce(asked map[asking]bool, wish wish) {
	name := respell(wish.name)
	key := asking{name, wish.kinds[0]}
	if asked[key] || !dns.IsSubDomain(l.zone.name, name) {
		return
	}
	asked[key] = true
	found := l.zone.locate(name, wish.kinds[0])
	if found.what != present {
		return
	}
	for _, kind := range wish.kinds {
		if records := found.records(kind); len(records) > 0 && !has(l.reply.Answer, records[0]) {
			l.reply.Extra = append(l.reply.Extra, records...)
			if kind == dns.TypeSRV { // a service is of no use without its hosts
				for _, record := range records {
					for _, wish := range wishesOf(record) {
						l.addOnce(asked, wish)
					}
				}
			}
		}
	}
}

type asking struct {
	name string
	kind uint16
}

// wish is what the asker will want next.
type wish struct {
	name  string
	kinds []uint16
}

var addresses = []uint16{dns.TypeA, dns.TypeAAAA}

func wishesOf(record dns.RR) []wish {
	switch record := record.(type) {
	case *dns.NS:
		return []wish{{record.Ns, addresses}}
	case *dns.MX:
		return []wish{{record.Mx, addresses}, {"_25._tcp." + record.Mx, []uint16{dns.TypeTLSA}}}
	case *dns.SRV:
		keys := fmt.Sprintf("_%d._tcp.%s", record.Port, record.Target)
		return []wish{{record.Target, addresses}, {keys, []uint16{dns.TypeTLSA}}}
	case *dns.SVCB:
		return []wish{{record.Target, addresses}}
	case *dns.HTTPS:
		return []wish{{record.Target, addresses}}
	case *dns.AFSDB:
		return []wish{{record.Hostname, addresses}}
	case *dns.KX:
		return []wish{{record.Exchanger, addresses}}
	case *dns.MB:
		return []wish{{record.Mb, addresses}}
	case *dns.RT: // RFC 1183 3.3
		return []wish{{record.Host, []uint16{dns.TypeX25, dns.TypeISDN}}, {record.Host, addresses}}
	case *dns.LP: // RFC 6742 2.4.2
		return []wish{{record.Fqdn, []uint16{dns.TypeL32, dns.TypeL64}}}
	case *dns.NAPTR: // RFC 3403 4.1
		if at := strings.IndexAny(record.Flags, "aAsS"); at >= 0 {
			if record.Flags[at]|0x20 == 's' {
				return []wish{{record.Replacement, []uint16{dns.TypeSRV}}}
			}
			return []wish{{record.Replacement, addresses}}
		}
	}
	return nil
}
