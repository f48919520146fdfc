// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"strings"

	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// How often a name is asked for again because an alias points to it: as often as named does it. What is longer is a
// loop, or as good as one.
const maxRestarts = 11

// A lookup is one question on its way through one zone (RFC 1034 4.3.2). Aliases are followed as far as they stay in
// the zone; what another one says its own servers shall be asked for, even if we are those.
//
// Names are found in the tree of file.Zone. Its method Lookup is not what named does: it takes aliases past
// delegations and DNAMEs, gives empty non-terminals what a wildcard has, ends loops without an answer, knows no ANY.
type lookup struct {
	zones *zones
	zone  *zone
	kind  uint16
	bare  bool // nothing goes into additional
	reply *dns.Msg
}

// answer is the complete reply to a question, or nil when no zone is at or above its name.
func (z *zones) answer(_ context.Context, state request.Request) *dns.Msg {
	l := &lookup{zones: z, kind: state.QType(), reply: new(dns.Msg)}
	l.reply.SetReply(state.Req)
	if l.reply.Rcode = refusal(state.Req.Opcode, l.kind); l.reply.Rcode != dns.RcodeSuccess {
		return l.reply
	}
	name := state.Name()
	if state.QClass() == dns.ClassINET {
		l.zone = z.responsible(name, l.kind)
	}
	if l.zone == nil {
		return nil
	}
	l.reply.Authoritative = true
	l.bare = l.kind == dns.TypeANY || isKeyMaterial(l.kind)
	l.walk(name)
	if !l.bare {
		l.addUseful()
	}
	return l.reply
}

// refusal says no to what is no question for data: other opcodes, and types that no record has (RFC 6895 3.1).
func refusal(opcode int, kind uint16) int {
	switch {
	case opcode != dns.OpcodeQuery || kind == dns.TypeMAILA || kind == dns.TypeMAILB:
		return dns.RcodeNotImplemented
	case kind == dns.TypeAXFR || kind == dns.TypeIXFR: // the plugin transfer had nothing to give
		return dns.RcodeRefused
	case kind == dns.TypeOPT || kind >= 128 && kind < dns.TypeANY:
		return dns.RcodeFormatError
	}
	return dns.RcodeSuccess
}

// responsible returns the closest zone, and for DS records the one above it, if that is here too (RFC 4035 3.1.4.1).
func (z *zones) responsible(name string, kind uint16) *zone {
	closest := z.find(name)
	if closest == nil || kind != dns.TypeDS || closest.name != name {
		return closest
	}
	at, _ := dns.NextLabel(name, 0)
	if above := z.find(name[at:]); above != nil {
		return above
	}
	return closest
}

// walk goes from alias to alias. AA and the referral of a delegation belong to the first name (RFC 1035 4.1.1).
func (l *lookup) walk(name string) {
	for restarts := 0; ; restarts++ {
		if name = l.step(name); name == "" || !l.stays(name) {
			return
		}
		if restarts == maxRestarts {
			l.reply.Rcode = dns.RcodeServerFailure
			return
		}
	}
}

func (l *lookup) stays(name string) bool {
	return l.ours(name, l.zones.find(name)) || l.ours(name, l.zones.responsible(name, l.kind))
}

// ours: the zone that we began with has the name, unless the closest one now is below it. A newer version of it that
// came meanwhile is another answer's.
func (l *lookup) ours(name string, closest *zone) bool {
	return dns.IsSubDomain(l.zone.name, name) && (closest == nil || len(closest.name) <= len(l.zone.name))
}

// step adds what the zone has to say about a name, and returns the next one when that was an alias.
func (l *lookup) step(name string) string {
	found := l.zone.locate(name, l.kind)
	switch found.what {
	case delegated:
		l.refer(found)
		return ""
	case renamed:
		return l.substitute(found, name)
	case missing:
		l.reply.Rcode = dns.RcodeNameError
		l.deny()
		return ""
	}
	if l.kind == dns.TypeANY {
		l.everything(found)
		return ""
	}
	if alias := found.records(dns.TypeCNAME); len(alias) > 0 && !standsBesideAlias(l.kind) {
		l.add(alias[:1])
		return respell(alias[0].(*dns.CNAME).Target)
	}
	records := found.records(l.kind)
	if len(records) == 0 {
		l.deny()
		return ""
	}
	l.add(records)
	l.addServers()
	return ""
}

// standsBesideAlias: these are of the alias itself, not of what it points to (RFC 4035 2.4, 2.5; KEY: RFC 2535 2.3.5).
func standsBesideAlias(kind uint16) bool {
	switch kind {
	case dns.TypeCNAME, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeSIG, dns.TypeKEY:
		return true
	}
	return false
}

// substitute replaces the end of a name by what a DNAME says, with the same TTL (RFC 6672 2.2, 3.1).
func (l *lookup) substitute(found place, name string) string {
	dname := found.records(dns.TypeDNAME)[0].(*dns.DNAME)
	l.add([]dns.RR{dname})
	target := respell(strings.TrimSuffix(name, dname.Hdr.Name) + strings.TrimPrefix(dname.Target, "."))
	if target == "" {
		l.reply.Rcode = dns.RcodeYXDomain
		return ""
	}
	header := dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl}
	l.add([]dns.RR{&dns.CNAME{Hdr: header, Target: target}})
	if l.kind == dns.TypeCNAME || l.kind == dns.TypeANY { // the alias is the answer
		l.addServers()
		return ""
	}
	return target
}

// everything answers ANY. As in named the records of DNSSEC belong to it in signed zones only.
func (l *lookup) everything(found place) {
	if found.isEmpty() {
		l.deny()
		return
	}
	signed := l.zone.isSigned()
	for _, kind := range found.kinds() {
		if signed || !isDNSSEC(kind) {
			l.add(found.records(kind))
		}
	}
	if len(l.reply.Answer) > 0 {
		l.addServers()
	}
}

// add puts an RRset into the answer, once.
func (l *lookup) add(records []dns.RR) {
	if !has(l.reply.Answer, records[0]) {
		l.reply.Answer = append(l.reply.Answer, records...)
	}
}

// has tells whether the RRset of a record is there.
func has(records []dns.RR, record dns.RR) bool {
	for _, other := range records {
		if other.Header().Rrtype == record.Header().Rrtype && other.Header().Name == record.Header().Name {
			return true
		}
	}
	return false
}

// respell is spell for names that were read before; empty when it became too long.
func respell(name string) string {
	name, err := spell(name)
	if err != nil {
		return ""
	}
	return name
}
