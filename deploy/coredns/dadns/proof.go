// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"bytes"
	"cmp"
	"crypto/sha512"
	"encoding/hex"
	"slices"

	"github.com/miekg/dns"
)

// proof tells whether the rows of a zone are those of its version: dadns_zones has the digest that the version's
// content has (RFC 8976, SIMPLE, SHA-384). While a dump is loaded, or after somebody's UPDATE, they may be others.
type proof int

const (
	unproved proof = iota // there is no digest, or not all rows could be read
	proved
	contradicted
)

// packed is a record as RFC 4034 6.2 has it: names in the data are in the tables as they belong there.
type packed struct {
	labels [][]byte // of the owner, the last one first
	wire   []byte
	owner  int // octets of it
}

func newPacked(wire []byte) packed {
	p := packed{wire: wire}
	for wire[p.owner] != 0 {
		next := p.owner + 1 + int(wire[p.owner])
		p.labels = append(p.labels, wire[p.owner+1:next])
		p.owner = next
	}
	p.owner++
	slices.Reverse(p.labels)
	return p
}

func (p packed) kind() []byte { return p.wire[p.owner : p.owner+2] }
func (p packed) data() []byte { return p.wire[p.owner+10:] }

// compare is the canonical order of RFC 4034 6.1 and 6.3, types in the order of their numbers.
func (p packed) compare(other packed) int {
	return cmp.Or(slices.CompareFunc(p.labels, other.labels, bytes.Compare), bytes.Compare(p.kind(), other.kind()),
		bytes.Compare(p.data(), other.data()))
}

// isDigest: a zone's ZONEMD and its signature are not of what they sum up (RFC 8976 3.3.1).
func (p packed) isDigest(apex int) bool {
	kind := uint16(p.kind()[0])<<8 | uint16(p.kind()[1])
	if kind == dns.TypeRRSIG && len(p.data()) >= 2 {
		kind = uint16(p.data()[0])<<8 | uint16(p.data()[1])
	}
	return kind == dns.TypeZONEMD && len(p.labels) == apex
}

// zonemd is the digest of a zone, in hexadecimal digits.
func zonemd(name string, records []packed) string {
	slices.SortFunc(records, packed.compare)
	sum := sha512.New384()
	for i, record := range records {
		if !record.isDigest(dns.CountLabel(name)) && (i == 0 || !bytes.Equal(record.wire, records[i-1].wire)) {
			sum.Write(record.wire)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
