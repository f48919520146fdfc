// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
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

// build makes the zone of a state; `digest` is what arrange gave. Records that cannot be read are left out, and said in `faults`.
func (s *state) build(digest digest) (built *zone, faults []error, err error) {
	records := make([]dns.RR, 0, len(s.Rows))
	for _, row := range s.Rows {
		rr, err := row.record(s.Zone)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %s: %w", row.Host, row.Type, err))
			continue
		}
		records = append(records, rr)
	}
	built, err = newZone(s.Zone, s.Version, records)
	if err == nil {
		built.digest = digest
	}
	return built, faults, err
}

var (
	errBadTTL  = errors.New("the TTL is not within 0 to 2147483647")
	errBadData = errors.New("the data is not one record's")
	errApex    = errors.New("only the zone itself has a SOA record")
)

func (r row) record(zone string) (dns.RR, error) {
	if r.TTL < 0 || r.TTL > 1<<31-1 {
		return nil, errBadTTL
	}
	name := zone
	if r.Host != "@" {
		var err error
		if name, err = spell(r.Host + "." + zone); err != nil {
			return nil, err
		}
	}
	rr, err := parse(strings.ToUpper(r.Type), r.Data)
	if err != nil {
		return nil, err
	}
	if rr.Header().Rrtype == dns.TypeSOA && name != zone {
		return nil, errApex
	}
	*rr.Header() = dns.RR_Header{Name: name, Rrtype: rr.Header().Rrtype, Class: dns.ClassINET, Ttl: uint32(r.TTL)}
	return rr, nil
}

// parse reads the data of one record. Names in it that are not absolute are completed with the root.
func parse(kind, data string) (dns.RR, error) {
	if strings.ContainsAny(data, "\r\n") || strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return nil, errBadData
	}
	rr, err := dns.NewRR(". 0 IN " + kind + " " + data)
	if err == nil && rr == nil {
		err = errBadData
	}
	if err == nil {
		return rr, nil
	}
	if rr := parseOctets(kind, data); rr != nil {
		return rr, nil
	}
	return nil, err
}

// Types that are texts on the wire, by number: the library has no reader for them, or one that wants another form.
var texts = map[string]uint16{"X25": 19, "GPOS": 27, "NINFO": 56, "TYPE56": 56, "AVC": 258, "TYPE258": 258}

// parseOctets reads what the library does not, into a record that is its octets; nil if it cannot either.
func parseOctets(kind, data string) dns.RR {
	if number, known := texts[kind]; known && !strings.HasPrefix(data, `\#`) {
		txt, err := dns.NewRR(". 0 IN TXT " + data)
		if err != nil || txt == nil {
			return nil
		}
		wire := make([]byte, dns.MaxMsgSize)
		end, err := dns.PackRR(txt, wire, 0, nil, false)
		if err != nil {
			return nil
		}
		return octets(number, hex.EncodeToString(wire[11:end])) // behind the root's name and the ten of the header
	}
	if kind == "NSAP" && strings.HasPrefix(data, "0x") { // RFC 1706: dots are for the eye
		return octets(22, strings.ReplaceAll(data[2:], ".", ""))
	}
	number, known := texts[kind]
	if !known {
		var err error
		if _, known := dns.StringToType[kind]; known { // its own reader said no
			return nil
		}
		wide, err := strconv.ParseUint(strings.TrimPrefix(kind, "TYPE"), 10, 16)
		if _, known := dns.TypeToRR[uint16(wide)]; known || err != nil {
			return nil
		}
		number = uint16(wide)
	}
	generic := strings.Fields(data) // RFC 3597: \# length octets
	if len(generic) < 2 || generic[0] != `\#` {
		return nil
	}
	text := strings.Join(generic[2:], "")
	if strconv.Itoa(len(text)/2) != generic[1] {
		return nil
	}
	return octets(number, text)
}

func octets(kind uint16, text string) dns.RR {
	if _, err := hex.DecodeString(text); err != nil {
		return nil
	}
	return &dns.RFC3597{Hdr: dns.RR_Header{Rrtype: kind}, Rdata: text}
}
