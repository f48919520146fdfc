// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// state of one zone as the tables have it.
type state struct {
	Zone    string  `json:"zone,omitempty"` // as spell has it
	Version version `json:"version,omitzero"`
	Deleted bool    `json:"deleted,omitempty"`
	Rows    []row   `json:"rows,omitempty"`
	Zonemd  string  `json:"zonemd,omitempty"` // of the content that the version has; "" = not known
}

// row of the table records: hostname relative to the zone, "@" for its apex; data absolute.
type row struct {
	Host string `json:"h"`
	Type string `json:"t"`
	TTL  int64  `json:"l"`
	Data string `json:"d"`
}

type digest [16]byte

// arrange puts the rows into an order, which is the same for the same rows.
func (s *state) arrange() digest {
	slices.SortFunc(s.Rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Data, b.Data),
			cmp.Compare(a.TTL, b.TTL))
	})
	hash := sha256.New()
	var text []byte
	for _, row := range s.Rows {
		text = text[:0]
		for _, part := range []string{row.Host, row.Type, row.Data} {
			text = binary.AppendUvarint(text, uint64(len(part)))
			text = append(text, part...)
		}
		hash.Write(binary.AppendVarint(text, row.TTL))
	}
	return digest(hash.Sum(nil)[:16])
}

// build makes the zone of a state; `digest` is what arrange gave. Records that cannot be read are left out, and said
// in `faults`; one that stands there twice is one.
func (s *state) build(digest digest) (built *zone, faults []error, err error) {
	records := make([]dns.RR, 0, len(s.Rows))
	wires := make([]packed, 0, len(s.Rows))
	for i, row := range s.Rows {
		if i > 0 && row.sameAs(s.Rows[i-1]) {
			continue
		}
		rr, wire, err := row.record(s.Zone)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %s: %w", row.Host, row.Type, err))
			continue
		}
		records = append(records, rr)
		wires = append(wires, newPacked(wire))
	}
	built, err = newZone(s.Zone, s.Version, records)
	if err != nil {
		return nil, faults, err
	}
	built.digest = digest
	switch {
	case s.Zonemd == "" || len(faults) != 0:
		built.proof = unproved
	case s.Zonemd == zonemd(s.Zone, wires):
		built.proof = proved
	default:
		built.proof = contradicted
	}
	return built, faults, nil
}

var (
	errBadTTL  = errors.New("the TTL is not within 0 to 2147483647")
	errBadData = errors.New("the data is not one record's")
	errNoData  = errors.New("no record has such a type")
	errApex    = errors.New("only the zone itself has a SOA record")
)

func (r row) sameAs(other row) bool {
	return r.Host == other.Host && r.Type == other.Type && r.Data == other.Data
}

func (r row) record(zone string) (rr dns.RR, wire []byte, err error) {
	if r.TTL < 0 || r.TTL > 1<<31-1 {
		return nil, nil, errBadTTL
	}
	name := zone
	if r.Host != "@" {
		if name, err = spell(r.Host + "." + zone); err != nil {
			return nil, nil, err
		}
	}
	rr, err = parse(strings.ToUpper(r.Type), r.Data)
	if err != nil {
		return nil, nil, err
	}
	number := rr.Header().Rrtype
	switch {
	case number == 0 || number == dns.TypeOPT || number >= 128 && number <= 255: // RFC 6895 3.1
		return nil, nil, errNoData
	case number == dns.TypeSOA && name != zone:
		return nil, nil, errApex
	}
	*rr.Header() = dns.RR_Header{Name: name, Rrtype: number, Class: dns.ClassINET, Ttl: uint32(r.TTL)}
	wire, err = pack(rr) // an answer would fail over what cannot be packed
	return rr, wire, err
}

// pack returns the octets of a record as a message holds it.
func pack(rr dns.RR) ([]byte, error) {
	const most = dns.MaxMsgSize - headerSize
	wire := make([]byte, min(dns.Len(rr)+1, most))
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil && len(wire) < most { // Len is an estimate
		wire = make([]byte, most)
		end, err = dns.PackRR(rr, wire, 0, nil, false)
	}
	if err != nil {
		return nil, err
	}
	return wire[:end], nil
}

// parse reads the data of one record. Names in it that are not absolute are completed with the root.
func parse(kind, data string) (dns.RR, error) {
	number, known := numberOf(kind)
	if !known {
		return nil, errNoData
	}
	if strings.ContainsAny(data, "\r\n") || strings.TrimSpace(data) == "" && number != dns.TypeAPL {
		return nil, errBadData
	}
	if number == dns.TypeISDN { // the library adds a subaddress that is empty
		if rr := parseOctets(kind, data); rr != nil {
			return rr, nil
		}
	}
	if number == dns.TypeLOC {
		data = seconds.ReplaceAllStringFunc(data, halfway)
	}
	rr, err := dns.NewRR(". 0 IN " + kind + " " + data)
	switch {
	case err == nil && (rr == nil || rr.Header().Rrtype != number):
		return nil, errBadData
	case err == nil && strings.HasPrefix(data, `\#`):
		return faithful(rr, data)
	case err == nil:
		return rr, nil
	}
	if rr := parseOctets(kind, data); rr != nil {
		return rr, nil
	}
	return nil, err
}

// The library counts the thousandths of a LOC's seconds with what 1000 * 32.306 is in binary, and cuts: half of one
// more lets it cut at the right place.
var seconds = regexp.MustCompile(`\.[0-9]{1,3} +[NSEWnsew]`)

func halfway(text string) string {
	digits, direction, _ := strings.Cut(text, " ")
	return (digits + "00")[:4] + "5 " + direction
}

func numberOf(kind string) (number uint16, known bool) {
	if number, known = dns.StringToType[kind]; known {
		return number, true
	}
	if number, known = texts[kind]; known {
		return number, true
	}
	if kind == "NSAP" {
		return typeNSAP, true
	}
	text, known := strings.CutPrefix(kind, "TYPE")
	wide, err := strconv.ParseUint(text, 10, 16)
	return uint16(wide), known && err == nil
}

// faithful returns what was read from octets, or the octets themselves where the library lost some of them.
func faithful(rr dns.RR, data string) (dns.RR, error) {
	plain := genericOctets(data)
	if plain == nil {
		return nil, errBadData
	}
	wire, err := pack(rr)
	if err == nil && bytes.Equal(wire[rootHeaderSize:], plain) {
		return rr, nil
	}
	if isCast(rr.Header().Rrtype) {
		return nil, errBadData
	}
	return octets(rr.Header().Rrtype, plain), nil
}

const (
	typeNSAP       = 22
	headerSize     = 12 // of a message
	rootHeaderSize = 11 // of a record whose owner is the root
)

// Types that are texts on the wire, by number: the library has no reader for them, or one that wants another form.
var texts = map[string]uint16{"X25": 19, "ISDN": 20, "GPOS": 27, "NINFO": 56, "TYPE56": 56, "AVC": 258, "TYPE258": 258}

// parseOctets reads what the library does not, into a record that is its octets; nil if it cannot either.
func parseOctets(kind, data string) dns.RR {
	if number, known := texts[kind]; known && !strings.HasPrefix(data, `\#`) {
		txt, err := dns.NewRR(". 0 IN TXT " + data)
		if err != nil || txt == nil {
			return nil
		}
		wire, err := pack(txt)
		if err != nil {
			return nil
		}
		return octets(number, wire[rootHeaderSize:])
	}
	if kind == "NSAP" && strings.HasPrefix(data, "0x") { // RFC 1706: dots are for the eye
		plain, err := hex.DecodeString(strings.ReplaceAll(data[2:], ".", ""))
		if err != nil {
			return nil
		}
		return octets(typeNSAP, plain)
	}
	number, _ := numberOf(kind)
	if plain := genericOctets(data); plain != nil && !isCast(number) {
		return octets(number, plain)
	}
	return nil
}

// isCast: of these the server takes apart what they say, so they must be read.
func isCast(number uint16) bool {
	switch number {
	case dns.TypeSOA, dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypeMX, dns.TypeSRV, dns.TypeSVCB, dns.TypeHTTPS,
		dns.TypeRRSIG, dns.TypeAFSDB, dns.TypeKX, dns.TypeMB, dns.TypeRT, dns.TypeLP, dns.TypeNAPTR, dns.TypeNSEC:
		return true
	}
	return false
}

// genericOctets reads `\# length octets` (RFC 3597); nil: it is something else.
func genericOctets(data string) []byte {
	words := strings.Fields(data)
	if len(words) < 2 || words[0] != `\#` {
		return nil
	}
	plain, err := hex.DecodeString(strings.Join(words[2:], ""))
	if err != nil || strconv.Itoa(len(plain)) != words[1] {
		return nil
	}
	return plain
}

func octets(kind uint16, plain []byte) dns.RR {
	return &dns.RFC3597{Hdr: dns.RR_Header{Rrtype: kind}, Rdata: hex.EncodeToString(plain)}
}
