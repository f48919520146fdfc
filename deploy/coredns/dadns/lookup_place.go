// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"slices"

	"github.com/coredns/coredns/plugin/file/tree"
	"github.com/miekg/dns"
)

// what a zone knows of a name.
type what int

const (
	present   what = iota // it is there, perhaps by a wildcard, perhaps without records
	missing               // NXDOMAIN
	delegated             // it is at or below a zone cut
	renamed               // it is below a DNAME
)

// A place is where the way to a name ended.
type place struct {
	what    what
	zone    *zone
	elem    *tree.Elem // nil: no records besides SOA and NS of the zone itself
	name    string
	expands bool // elem is a wildcard that speaks for name
}

// locate walks from the zone's own name down to `name`, up to what ends the way (RFC 1034 4.3.2 step 3, RFC 4592 3.3.1).
func (z *zone) locate(name string, kind uint16) place {
	labels := dns.Split(name)
	encloser := z.name
	for i := len(labels) - dns.CountLabel(z.name); i >= 0; i-- {
		at := z.name
		if i < len(labels) {
			at = name[labels[i]:]
		}
		elem, exists := z.search(at)
		switch {
		case at == z.name: // exists
		case !exists:
			return z.expand(encloser, name)
		case holds(elem, dns.TypeNS) && !(i == 0 && isAboveCut(elem, kind)):
			return place{what: delegated, zone: z, elem: elem, name: at}
		}
		if i == 0 {
			return place{zone: z, elem: elem, name: at}
		}
		if holds(elem, dns.TypeDNAME) {
			return place{what: renamed, zone: z, elem: elem, name: at}
		}
		encloser = at
	}
	return place{what: missing, zone: z} // not of this zone
}

// search returns the records of a name, and whether it exists: without records it does if there are names below it.
func (z *zone) search(name string) (*tree.Elem, bool) {
	elem, found := z.file.Next(name)
	if !found {
		return nil, false
	}
	if tree.Less(elem, name) == 0 {
		return elem, true
	}
	return nil, dns.IsSubDomain(name, elem.Name())
}

// expand looks for the wildcard below the closest encloser. It may be an empty non-terminal itself (RFC 4592 2.2.2).
func (z *zone) expand(encloser, name string) place {
	elem, exists := z.search("*." + encloser)
	if !exists {
		return place{what: missing, zone: z}
	}
	return place{zone: z, elem: elem, name: name, expands: true}
}

// isAboveCut: at a zone cut these are the parent's own (RFC 4035 3.1.4.1). DS is, even if there is none.
func isAboveCut(elem *tree.Elem, kind uint16) bool {
	return kind == dns.TypeDS || (kind == dns.TypeNSEC || kind == dns.TypeKEY) && holds(elem, kind)
}

func holds(elem *tree.Elem, kind uint16) bool { return elem != nil && len(elem.Type(kind)) > 0 }

func (p place) isApex() bool { return p.name == p.zone.name && !p.expands }

func (p place) isEmpty() bool { return p.elem == nil && !p.isApex() }

// records of a type; they must not be changed.
func (p place) records(kind uint16) []dns.RR {
	switch {
	case p.isApex() && kind == dns.TypeSOA:
		return []dns.RR{p.zone.file.SOA}
	case p.isApex() && kind == dns.TypeNS:
		return p.zone.file.NS
	case p.elem == nil:
		return nil
	case p.expands:
		return p.elem.TypeForWildcard(kind, p.name)
	}
	return p.elem.Type(kind)
}

// kinds are the types that are there, always in the same order.
func (p place) kinds() []uint16 {
	var kinds []uint16
	if p.elem != nil {
		kinds = p.elem.Types()
	}
	if p.isApex() {
		kinds = append(kinds, dns.TypeSOA)
		if len(p.zone.file.NS) > 0 {
			kinds = append(kinds, dns.TypeNS)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// isSigned: it has keys, and proves what is not there.
func (z *zone) isSigned() bool {
	apex, _ := z.file.Search(z.name)
	return holds(apex, dns.TypeDNSKEY) && (holds(apex, dns.TypeNSEC) || holds(apex, dns.TypeNSEC3PARAM))
}

func isDNSSEC(kind uint16) bool {
	switch kind {
	case dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return true
	}
	return false
}
