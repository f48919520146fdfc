// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func octetsOf(t *testing.T, rr dns.RR) string {
	t.Helper()
	wire := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		t.Fatalf("%s: %s", rr, err)
	}
	return hex.EncodeToString(wire[:end])
}

// stateOf is example.com with SOA and NS and these rows: "hostname type data".
func stateOf(rows ...string) *state {
	s := &state{Zone: "example.com.", Version: version{1, 1}, Rows: []row{
		{"@", "SOA", 3600, "ns1.hoster.example. hostmaster.example.com. 1 3600 3600 1209600 300"},
		{"@", "NS", 3600, "ns1.hoster.example."},
	}}
	for _, text := range rows {
		words := strings.SplitN(text, " ", 3)
		s.Rows = append(s.Rows, row{words[0], words[1], 300, words[2]})
	}
	return s
}

// transferred lists what a zone is made of, as a secondary gets it: all records, SOA first and last.
func transferred(t *testing.T, z *zone) []dns.RR {
	t.Helper()
	channel, err := z.file.Transfer(0)
	if err != nil {
		t.Fatal(err)
	}
	var all []dns.RR
	for some := range channel {
		all = append(all, some...)
	}
	return all
}

func TestEveryType(t *testing.T) {
	text, err := os.ReadFile("testdata/every_type.tsv")
	if err != nil {
		t.Fatal(err)
	}
	s := &state{Zone: "example.com."}
	kinds := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		ttl, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		row := row{fields[0], fields[1], ttl, fields[3]}
		s.Rows = append(s.Rows, row)
		kinds[row.Type] = true
		rr, _, err := row.record(s.Zone)
		if err != nil {
			t.Errorf("%s: %s", line, err)
			continue
		}
		// a name's letters are those of questions
		wanted := strings.Split(fields[4], "")
		got := octetsOf(t, rr)
		if owner := 2 * len(rr.Header().Name); len(got) == len(wanted) && strings.ToLower(row.Host) != row.Host {
			copy(wanted, strings.Split(got[:owner], ""))
		}
		if got != strings.Join(wanted, "") {
			t.Errorf("%s\ngot %s", line, got)
		}
	}
	if len(kinds) < 70 || len(s.Rows) < 250 {
		t.Fatalf("%d types, %d rows", len(kinds), len(s.Rows))
	}
	t.Run("all together they are a zone, and a transfer has each of them", func(t *testing.T) {
		built, faults, err := s.build(s.arrange())
		if err != nil || len(faults) != 0 {
			t.Fatal(err, faults)
		}
		sent := transferred(t, built)
		if len(sent) != len(s.Rows)+1 {
			t.Errorf("%d records of %d", len(sent)-1, len(s.Rows))
		}
		for _, rr := range sent {
			octetsOf(t, rr)
		}
	})
}

func TestOwners(t *testing.T) {
	for _, c := range []struct{ sentence, host, owner string }{
		{"the apex", "@", "example.com."},
		{"a plain name", "www", "www.example.com."},
		{"several labels", "a.b", "a.b.example.com."},
		{"upper case", "WwW", "www.example.com."},
		{"a wildcard", "*", "*.example.com."},
		{"a wildcard further down", "*.b", "*.b.example.com."},
		{"a space, as CoreDNS spells it", `my\ printer`, `my\ printer.example.com.`},
		{"a space, as everybody else does", `my\032printer`, `my\ printer.example.com.`},
		{"a quote with a backslash", `o\'brien`, `o\'brien.example.com.`},
		{"a quote without", `o'brien`, `o\'brien.example.com.`},
		{"a dot inside a label", `a\.b`, `a\.b.example.com.`},
		{"octets that are no letters", `\255\000`, `\255\000.example.com.`},
		{"upper case behind an escape", `\065B`, `ab.example.com.`},
		{"an @ that is none", `\@`, `\@.example.com.`},
		{"a $ at the beginning", `$INCLUDE`, `$include.example.com.`},
		{"no name at all", "", ""},
		{"an empty label", "a..b", ""},
		{"a name that ends with a dot", "www.", ""},
		{"a label of 64 octets", strings.Repeat("a", 64), ""},
		{"more than 255 octets", strings.Repeat("abc.", 64) + "d", ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			rr, _, err := row{c.host, "A", 300, "192.0.2.1"}.record("example.com.")
			if c.owner == "" {
				if err == nil {
					t.Fatalf("taken: %s", rr)
				}
				return
			}
			if err != nil || rr.Header().Name != c.owner {
				t.Fatalf("%v %v, not %s", rr, err, c.owner)
			}
		})
	}
}

func TestHostileRows(t *testing.T) {
	long := strings.Repeat(`"`+strings.Repeat("x", 255)+`" `, 257)
	for _, c := range []struct {
		sentence string
		row      row
	}{
		{"a newline and a second record", row{"www", "A", 300, "192.0.2.1\nevil.example. 300 IN A 192.0.2.2"}},
		{"a carriage return", row{"www", "A", 300, "192.0.2.1\r"}},
		{"a file to be read, in the data", row{"www", "TXT", 300, "\n$INCLUDE /etc/passwd"}},
		{"a file to be read, as the type", row{"www", "\n$INCLUDE", 300, "/etc/passwd"}},
		{"a directive as the type", row{"www", "$INCLUDE", 300, "/etc/passwd"}},
		{"a newline in the owner", row{"www\n", "A", 300, "192.0.2"}},
		{"a SOA record below the apex", row{"www", "SOA", 300, "a. b. 1 2 3 4 5"}},
		{"another class", row{"www", "CH A", 300, "192.0.2.1"}},
		{"a class as the type", row{"www", "CH", 300, "A 192.0.2.1"}},
		{"our class as the type", row{"www", "IN", 300, "A 192.0.2.1"}},
		{"any class as the type", row{"www", "CLASS255", 300, "A 192.0.2.1"}},
		{"a TTL as the type", row{"www", "300", 300, "A 192.0.2.1"}},
		{"no type", row{"www", "", 300, "A 192.0.2.1"}},
		{"a type that does not exist", row{"www", "ALIAS", 300, "www.example.net."}},
		{"a type that is only a number", row{"www", "100", 300, `\# 1 00`}},
		{"a type number too large", row{"www", "TYPE65536", 300, `\# 1 00`}},
		{"type 0", row{"www", "TYPE0", 300, `\# 1 00`}},
		{"a type of questions", row{"www", "ANY", 300, `\# 0`}},
		{"a type of transfers", row{"www", "AXFR", 300, `\# 0`}},
		{"a type of messages", row{"www", "OPT", 300, `\# 0`}},
		{"a type of messages by number", row{"www", "TYPE41", 300, `\# 0`}},
		{"a type of signed messages", row{"www", "TSIG", 300, `\# 0`}},
		{"a meta type without a name", row{"www", "TYPE200", 300, `\# 0`}},
		{"a TTL below 0", row{"www", "A", -1, "192.0.2.1"}},
		{"a TTL of 32 bits", row{"www", "A", 1 << 31, "192.0.2.1"}},
		{"a TTL of more", row{"www", "A", 1<<32 + 300, "192.0.2.1"}},
		{"no address", row{"www", "A", 300, ""}},
		{"no address but spaces", row{"www", "A", 300, "  "}},
		{"no name server", row{"sub", "NS", 300, ""}},
		{"no target", row{"sub", "CNAME", 300, ""}},
		{"no text", row{"sub", "TXT", 300, ""}},
		{"nothing but a comment", row{"sub", "NS", 300, "; nothing"}},
		{"nothing for a type without a reader", row{"sub", "TYPE65280", 300, ""}},
		{"a SOA record without anything", row{"@", "SOA", 300, ""}},
		{"a name server that is no name", row{"sub", "NS", 300, `\# 1 05`}},
		{"a name server with something behind it", row{"sub", "NS", 300, `\# 3 016100ff`}},
		{"octets that are fewer than said", row{"www", "TYPE65280", 300, `\# 4 0102`}},
		{"octets that are more than said", row{"www", "TYPE65280", 300, `\# 1 0102`}},
		{"half an octet", row{"www", "TYPE65280", 300, `\# 1 012`}},
		{"octets that are none", row{"www", "TYPE65280", 300, `\# 1 zz`}},
		{"a number of octets that is none", row{"www", "TYPE65280", 300, `\# -1 00`}},
		{"no number of octets", row{"www", "TYPE65280", 300, `\#`}},
		{"a name alone where octets belong", row{"www", "TYPE65280", 300, `www.example.net.`}},
		{"an X25 without an end", row{"www", "X25", 300, `"12`}},
		{"an X25 with nothing", row{"www", "X25", 300, ""}},
		{"an NSAP that is none", row{"www", "NSAP", 300, "0x4"}},
		{"two addresses", row{"www", "A", 300, "192.0.2.1 192.0.2.2"}},
		{"a bracket that does not close", row{"www", "A", 300, "192.0.2.1 ("}},
		{"a quote that does not close", row{"www", "TXT", 300, `"x`}},
		{"a name that is too long", row{"www", "CNAME", 300, strings.Repeat("abc.", 64) + "d."}},
		{"a text of more than a record holds", row{"www", "TXT", 300, long}},
		{"a naming authority pointer of the same kind", row{"www", "NAPTR", 300, `1 1 "` + strings.Repeat("x", 256) + `" "" "" .`}},
	} {
		t.Run(c.sentence+" is left out, the zone is served", func(t *testing.T) {
			s := stateOf("mail A 192.0.2.25")
			s.Rows = append(s.Rows, c.row)
			built, faults, err := s.build(s.arrange())
			if err != nil {
				t.Fatal(err)
			}
			sent := transferred(t, built)
			if len(faults) != 1 || len(sent) != 4 {
				t.Fatalf("faults %v, served %v", faults, sent)
			}
			if text := faults[0].Error(); !strings.HasPrefix(text, c.row.Host+" "+c.row.Type+": ") {
				t.Errorf("what is it about? %s", text)
			}
		})
	}
}

// plugin/file takes some types for granted.
func TestTypesThatPluginFileCasts(t *testing.T) {
	names := map[uint16]string{dns.TypeCNAME: `\# 3 016100`, dns.TypeNS: `\# 3 016100`, dns.TypeMX: `\# 5 0001016100`,
		dns.TypeSRV: `\# 9 000100020003016100`, dns.TypeSVCB: `\# 5 0001016100`, dns.TypeHTTPS: `\# 5 0001016100`,
		dns.TypeRRSIG: `\# 22 0001 0d 02 0000012c 00000000 00000000 0000 016100 ff`, dns.TypeDNAME: `\# 3 016100`}
	for number, data := range names {
		for _, kind := range []string{dns.TypeToString[number], fmt.Sprintf("TYPE%d", number)} {
			t.Run(kind+" may be given as octets", func(t *testing.T) {
				s := stateOf("www " + kind + " " + data)
				built, faults, err := s.build(s.arrange())
				if err != nil || len(faults) != 0 {
					t.Fatal(err, faults)
				}
				elem, there := built.file.Search("www.example.com.")
				if !there || len(elem.Type(number)) != 1 {
					t.Fatal("not served")
				}
				if _, generic := elem.Type(number)[0].(*dns.RFC3597); generic {
					t.Error("not read")
				}
			})
		}
	}
	t.Run("a SOA record may be given as octets", func(t *testing.T) {
		s := stateOf()
		s.Rows[0].Data = `\# 26 016100 016200 00000001 00000002 00000003 00000004 00000005`
		if built, _, err := s.build(s.arrange()); err != nil || built.file.SOA.Serial != 1 {
			t.Fatal(err)
		}
	})
	t.Run("no type of a number makes it panic", func(t *testing.T) {
		numbers := []int{32768, 32769, 61440, 65280, 65535}
		for number := range 300 { // all that have a name, and then some
			numbers = append(numbers, number)
		}
		for _, number := range numbers {
			for _, data := range []string{`\# 0`, `\# 1 00`, `\# 3 016100`, ""} {
				s := stateOf(fmt.Sprintf("www TYPE%d %s", number, data))
				built, _, err := s.build(digest{})
				if err != nil {
					t.Fatalf("TYPE%d %s: %s", number, data, err)
				}
				elem, there := built.file.Search("www.example.com.")
				if !there {
					continue
				}
				for _, rr := range elem.All() {
					octetsOf(t, rr)
				}
			}
		}
	})
}

func TestBuild(t *testing.T) {
	t.Run("names in the data are completed with the root", func(t *testing.T) {
		rr, _, err := row{"www", "CNAME", 300, "other"}.record("example.com.")
		if err != nil || rr.(*dns.CNAME).Target != "other." {
			t.Fatal(rr, err)
		}
	})
	t.Run("the type may be in lower case", func(t *testing.T) {
		if _, _, err := (row{"www", "aaaa", 300, "2001:db8::1"}).record("example.com."); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a zone without SOA is none", func(t *testing.T) {
		s := stateOf("www A 192.0.2.1")
		s.Rows = s.Rows[1:]
		if _, _, err := s.build(s.arrange()); err != errNoSOA {
			t.Fatal(err)
		}
	})
	t.Run("a zone without anything is none", func(t *testing.T) {
		s := &state{Zone: "example.com."}
		if _, _, err := s.build(s.arrange()); err != errNoSOA {
			t.Fatal(err)
		}
	})
	t.Run("a row that stands there twice is one record", func(t *testing.T) {
		s := stateOf("www A 192.0.2.1", "www A 192.0.2.2", "www A 192.0.2.1")
		built, _, err := s.build(s.arrange())
		if err != nil || len(transferred(t, built)) != 5 {
			t.Fatal(err, transferred(t, built))
		}
	})
}

func TestArrange(t *testing.T) {
	t.Run("the order of the rows does not count", func(t *testing.T) {
		a, b := stateOf("a A 192.0.2.1", "a A 192.0.2.2", "b A 192.0.2.1"), stateOf("b A 192.0.2.1", "a A 192.0.2.2", "a A 192.0.2.1")
		if a.arrange() != b.arrange() {
			t.Fatal("it does")
		}
	})
	for _, c := range []struct {
		sentence string
		rows     []row
	}{
		{"another name", []row{{"b", "A", 1, "x"}}},
		{"another type", []row{{"a", "B", 1, "x"}}},
		{"another TTL", []row{{"a", "A", 2, "x"}}},
		{"other data", []row{{"a", "A", 1, "y"}}},
		{"letters that moved to the next column", []row{{"aA", "", 1, "x"}}},
		{"one more", []row{{"a", "A", 1, "x"}, {"a", "A", 1, "x"}}},
		{"none", nil},
	} {
		t.Run(c.sentence+" is another digest", func(t *testing.T) {
			one, other := state{Rows: []row{{"a", "A", 1, "x"}}}, state{Rows: c.rows}
			if one.arrange() == other.arrange() {
				t.Fatal("the same")
			}
		})
	}
}

func TestSpell(t *testing.T) {
	for name, wanted := range map[string]string{
		"Example.COM": "example.com.", "example.com.": "example.com.", `a\032b.example`: `a\ b.example.`, ".": ".",
		`\101xample.`: "example.",
	} {
		if got, err := spell(name); err != nil || got != wanted {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
	for _, name := range []string{"a..b", ".a", strings.Repeat("a", 64), strings.Repeat("a.", 128)} {
		if got, err := spell(name); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}
