// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"

	"github.com/coredns/coredns/plugin/file/tree"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

const maxRestarts = 11

// A lookup is one question on its way through a zone.
type lookup struct {
	zones    *zones
	zone     *zone
	kind     uint16
	lean     bool
	referred bool
	reply    *dns.Msg
}

func (z *zones) answer(_ context.Context, state request.Request) *dns.Msg {
	l := &lookup{zones: z, kind: state.QType(), lean: state.Req.RecursionDesired, reply: new(dns.Msg)}
	l.reply.SetReply(state.Req)
	if rcode := refuses(l.kind); rcode != dns.RcodeSuccess {
		l.reply.Rcode = rcode
		return l.reply
	}
	name := state.Name()
	if l.zone = z.holding(name, l.kind); l.zone == nil {
		return nil
	}
	l.reply.Authoritative = true
	for restarts := 0; ; restarts++ {
		if name = l.step(name, restarts == 0); name == "" {
			break
		}
		if z.holding(name, l.kind) != l.zone {
			break
		}
		if restarts == maxRestarts {
			l.reply.Rcode = dns.RcodeServerFailure
			break
		}
	}
	if !l.referred && !minimal(l.kind) {
		l.additional()
	}
	return l.reply
}

func refuses(kind uint16) int {
	switch {
	case kind == dns.TypeANY:
		return dns.RcodeSuccess
	case kind == dns.TypeMAILA || kind == dns.TypeMAILB:
		return dns.RcodeNotImplemented
	case kind == dns.TypeOPT || kind >= 128 && kind <= 255 || kind == 0:
		return dns.RcodeFormatError
	}
	return dns.RcodeSuccess
}

// holding: the DS records of a zone stand in the one above it (RFC 4035 3.1.4.1).
func (z *zones) holding(name string, kind uint16) *zone {
	zone := z.find(name)
	if zone != nil && kind == dns.TypeDS && zone.name == name && name != "." {
		at, _ := dns.NextLabel(name, 0)
		parent := "."
		if at < len(name) {
			parent = name[at:]
		}
		if above := z.find(parent); above != nil {
			return above
		}
	}
	return zone
}

func (l *lookup) step(name string, first bool) string {
	zone := l.zone
	place := zone.locate(name, l.kind)
	switch place.what {
	case cut:
		l.refer(zone, place, first)
		return ""
	case alias:
		return l.substitute(place.elem.Type(dns.TypeDNAME)[0].(*dns.DNAME), name)
	case nowhere:
		l.reply.Rcode = dns.RcodeNameError
		l.negative()
		return ""
	}
	if l.kind == dns.TypeANY {
		found := l.everything(zone, place)
		if !found {
			l.negative()
		} else {
			l.servers()
		}
		return ""
	}
	if target := l.follow(place); target != "" {
		return target
	}
	rrs := zone.records(place, l.kind)
	if len(rrs) == 0 {
		l.negative()
		return ""
	}
	l.add(rrs)
	l.servers()
	return ""
}

func (l *lookup) negative() {
	soa := l.zone.negative()
	if l.kind == dns.TypeSOA && l.reply.Rcode == dns.RcodeNameError {
		soa.Header().Ttl = 0
	}
	l.reply.Ns = append(l.reply.Ns, soa)
}

func (l *lookup) servers() {
	if l.lean || minimal(l.kind) {
		return
	}
	for _, rr := range l.reply.Answer {
		if rr.Header().Rrtype == dns.TypeNS && rr.Header().Name == l.zone.name {
			return
		}
	}
	l.reply.Ns = append(l.reply.Ns, l.zone.file.NS...)
}

func (l *lookup) additional() {
	seen := map[string]bool{}
	for _, rrs := range [][]dns.RR{l.reply.Answer, l.reply.Ns} {
		for _, rr := range rrs {
			name := mentioned(rr)
			if name == "" {
				continue
			}
			name, err := spell(name)
			if err != nil || seen[name] {
				continue
			}
			seen[name] = true
			if l.zones.find(name) != l.zone {
				continue
			}
			place := l.zone.locate(name, dns.TypeA)
			if place.what != node {
				continue
			}
			for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
				rrs := l.zone.records(place, kind)
				if len(rrs) > 0 && !contains(l.reply.Answer, rrs[0]) {
					l.reply.Extra = append(l.reply.Extra, rrs...)
				}
			}
		}
	}
}

func contains(rrs []dns.RR, rr dns.RR) bool {
	for _, other := range rrs {
		if other.Header().Rrtype == rr.Header().Rrtype && other.Header().Name == rr.Header().Name {
			return true
		}
	}
	return false
}

func mentioned(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.NS:
		return rr.Ns
	case *dns.MX:
		return rr.Mx
	case *dns.SRV:
		return rr.Target
	case *dns.AFSDB:
		return rr.Hostname
	case *dns.RT:
		return rr.Host
	case *dns.KX:
		return rr.Exchanger
	case *dns.MB:
		return rr.Mb
	case *dns.SVCB:
		return rr.Target
	case *dns.HTTPS:
		return rr.Target
	case *dns.LP:
		return rr.Fqdn
	}
	return ""
}

func minimal(kind uint16) bool {
	switch kind {
	case dns.TypeDS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		return true
	}
	return false
}

func hidden(kind uint16) bool {
	switch kind {
	case dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return true
	}
	return false
}

type what int

const (
	node what = iota
	cut
	alias
	nowhere
)

type place struct {
	what  what
	elem  *tree.Elem
	owner string // not empty where a wildcard speaks for that name
	name  string
}

func (z *zone) locate(name string, kind uint16) place {
	labels := dns.Split(name)
	encloser := z.name
	for i := len(labels) - dns.CountLabel(z.name); i >= 0; i-- {
		at := z.name
		if i < len(labels) {
			at = name[labels[i]:]
		}
		elem, exists := z.at(at)
		if !exists && at != z.name {
			return z.wildcard(encloser, name)
		}
		encloser = at
		if elem == nil {
			continue
		}
		if at != z.name && elem.Type(dns.TypeNS) != nil && !(i == 0 && kind == dns.TypeDS) {
			return place{what: cut, elem: elem}
		}
		if i > 0 && elem.Type(dns.TypeDNAME) != nil {
			return place{what: alias, elem: elem}
		}
		if i == 0 {
			return place{elem: elem, name: name}
		}
	}
	return place{name: name}
}

func (z *zone) at(name string) (*tree.Elem, bool) {
	elem, found := z.file.Next(name)
	if !found {
		return nil, false
	}
	if tree.Less(elem, name) == 0 {
		return elem, true
	}
	return nil, dns.IsSubDomain(name, elem.Name())
}

func (z *zone) wildcard(encloser, name string) place {
	elem, exists := z.at("*." + encloser)
	if !exists {
		return place{what: nowhere}
	}
	return place{elem: elem, name: name, owner: name}
}

func (z *zone) records(p place, kind uint16) []dns.RR {
	if p.name == z.name {
		switch kind {
		case dns.TypeSOA:
			return []dns.RR{z.file.SOA}
		case dns.TypeNS:
			return z.file.NS
		}
	}
	if p.elem == nil {
		return nil
	}
	if p.owner != "" {
		return p.elem.TypeForWildcard(kind, p.owner)
	}
	return p.elem.Type(kind)
}

func (z *zone) negative() dns.RR {
	soa := dns.Copy(z.file.SOA)
	soa.Header().Ttl = min(soa.Header().Ttl, z.file.SOA.Minttl)
	return soa
}

func (l *lookup) add(rrs []dns.RR) {
	for _, rr := range l.reply.Answer {
		if dns.IsDuplicate(rr, rrs[0]) {
			return
		}
	}
	l.reply.Answer = append(l.reply.Answer, rrs...)
}

func (l *lookup) everything(zone *zone, p place) bool {
	n := len(l.reply.Answer)
	if p.name == zone.name {
		l.add([]dns.RR{zone.file.SOA})
		l.add(zone.file.NS)
	}
	if p.elem != nil {
		for _, kind := range p.elem.Types() {
			if !hidden(kind) {
				l.add(zone.records(p, kind))
			}
		}
	}
	return len(l.reply.Answer) > n
}

func (l *lookup) refer(zone *zone, p place, first bool) {
	l.reply.Authoritative = !first
	l.reply.Ns = append(l.reply.Ns, p.elem.Type(dns.TypeNS)...)
	l.reply.Extra = append(l.reply.Extra, zone.file.Glue(p.elem.Type(dns.TypeNS), false)...)
	l.referred = true
}

func (l *lookup) follow(p place) string {
	if p.elem == nil {
		return ""
	}
	switch l.kind {
	case dns.TypeCNAME, dns.TypeRRSIG, dns.TypeSIG, dns.TypeNSEC, dns.TypeKEY, dns.TypeNXT:
		return ""
	}
	rrs := l.zone.records(p, dns.TypeCNAME)
	if len(rrs) == 0 {
		return ""
	}
	l.add(rrs[:1])
	name, err := spell(rrs[0].(*dns.CNAME).Target)
	if err != nil {
		return ""
	}
	return name
}

func (l *lookup) substitute(d *dns.DNAME, name string) string {
	l.add([]dns.RR{d})
	target := name[:len(name)-len(d.Hdr.Name)] + d.Target
	target, err := spell(target)
	if err != nil {
		l.reply.Rcode = dns.RcodeYXDomain
		return ""
	}
	l.add([]dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.Hdr.Ttl}, Target: target}})
	if l.kind == dns.TypeCNAME || l.kind == dns.TypeANY {
		l.servers()
		return ""
	}
	return target
}
