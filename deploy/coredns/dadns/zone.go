// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"errors"
	"strings"

	"github.com/coredns/coredns/plugin/file"
	"github.com/miekg/dns"
)

// A zone as it is served. It is never changed: a newer one takes its place.
type zone struct {
	name    string // lower case, with the final dot, spelled as in questions
	version version
	digest  digest // of the rows that it was made of
	proof   proof
	file    *file.Zone
}

// version of a state: epoch and offset of its push; none (0, 0) in tables that know no versions.
type version struct {
	Epoch  int64 `json:"epoch"`
	Offset int64 `json:"offset"`
}

func (v version) olderThan(other version) bool {
	return v.Epoch < other.Epoch || v.Epoch == other.Epoch && v.Offset < other.Offset
}

var errNoSOA = errors.New("there is no SOA record")

// newZone makes a zone of its records, whose names must be spelled by spell.
func newZone(name string, version version, records []dns.RR) (*zone, error) {
	z := &zone{name: name, version: version, file: file.NewZone(name, "")}
	for _, rr := range records {
		z.insert(rr)
	}
	if z.file.SOA == nil {
		return nil, errNoSOA
	}
	return z, nil
}

// insert does what file.Zone's own Insert does, but that one refuses NSEC3 and changes the case of names in the data.
func (z *zone) insert(rr dns.RR) {
	switch apex := rr.Header().Name == z.name; {
	case apex && rr.Header().Rrtype == dns.TypeSOA:
		z.file.SOA = rr.(*dns.SOA)
	case apex && rr.Header().Rrtype == dns.TypeNS:
		z.file.NS = append(z.file.NS, rr)
	default:
		z.file.Tree.Insert(rr)
	}
}

// spell brings a name into the one form that questions have after they were unpacked: lower case, with a final
// dot, the same escapes.
func spell(name string) (string, error) {
	var wire [255]byte
	end, err := dns.PackDomainName(dns.Fqdn(name), wire[:], 0, nil, false)
	if err != nil {
		return "", err
	}
	spelled, _, err := dns.UnpackDomainName(wire[:end], 0)
	return strings.ToLower(spelled), err
}
