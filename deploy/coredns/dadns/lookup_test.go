// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

const exampleZone = `
@            3600 SOA   ns1 hostmaster 1 3600 3600 1209600 300
@            3600 NS    ns1
@            3600 NS    ns.elsewhere.test.
@            3600 MX    10 mail
@            3600 DNSKEY 256 3 13 AAAA
ns1          3600 A     192.0.2.1
mail         3600 A     192.0.2.2
_25._tcp.mail 3600 TLSA 3 1 1 00
www          60   A     192.0.2.3
www          60   AAAA  2001:db8::3
www          60   DS    1 13 2 00
WWW.Mixed    60   A     192.0.2.4
o\'brien     60   CNAME o'brien.del
a.b.c        60   TXT   "below two empty non-terminals"
*            60   TXT   "any"
*.c          60   TXT   "any below c"
*.alias      60   CNAME www
x.*.inner    60   TXT   "the wildcard is an empty non-terminal"
chain        60   CNAME chain2
chain2       60   CNAME www
nowhere      60   CNAME a.b.c.www
outside      60   CNAME www.other.test.
child        60   CNAME www.sub
loop         60   CNAME loop2
loop2        60   CNAME loop
self         60   CNAME self
key          60   CNAME www
key          60   KEY   256 3 13 AAAA
moved        60   DNAME there
there        60   TXT   "itself is not moved"
x.there      60   A     192.0.2.5
round        60   DNAME a.round
del          60   NS    ns.del
del          60   NS    o'brien.ns.del
del          60   NS    ns1
del          60   NS    ns.elsewhere.test.
del          60   DS    1 13 2 00
del          60   TXT   "hidden"
ns.del       60   A     192.0.2.6
ns.del       60   AAAA  2001:db8::6
o\'brien.ns.del 60 A    192.0.2.7
www.del      60   A     192.0.2.8
dead         60   NS    ns.dead
sub          60   NS    ns1.sub
ns1.sub      60   A     192.0.2.9
mx14         60   MX    1 mail
mx14         60   MX    2 mail
mx14         60   MX    3 mail
mx14         60   MX    4 mail
mx14         60   MX    5 mail
mx14         60   MX    6 mail
mx14         60   MX    7 mail
mx14         60   MX    8 mail
mx14         60   MX    9 mail
mx14         60   MX    10 mail
mx14         60   MX    11 mail
mx14         60   MX    12 mail
mx14         60   MX    13 mail
mx14         60   MX    14 mail
`

const otherZone = `
@   3600 SOA ns1 hostmaster 1 3600 3600 1209600 7200
@   3600 NS  ns1
ns1 3600 A   192.0.2.21
www 3600 A   192.0.2.22
`

func zonesOf(t *testing.T, texts map[string]string) *zones {
	t.Helper()
	all := newZones()
	for name, text := range texts {
		var records []dns.RR
		parser := dns.NewZoneParser(strings.NewReader(text), name, "")
		for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
			owner, err := spell(rr.Header().Name)
			if err != nil {
				t.Fatal(err)
			}
			rr.Header().Name = owner
			records = append(records, rr)
		}
		if err := parser.Err(); err != nil {
			t.Fatal(err)
		}
		zone, err := newZone(name, version{}, records)
		if err != nil {
			t.Fatal(err)
		}
		all.put(zone)
	}
	return all
}

func testZones(t *testing.T) *zones {
	return zonesOf(t, map[string]string{"example.test.": exampleZone, "sub.example.test.": otherZone, "other.test.": otherZone})
}

// said is a reply in short: rcode and AA, then the records of each section, as "name type data" without example.test.
func said(reply *dns.Msg) string {
	if reply == nil {
		return "not ours"
	}
	words := dns.RcodeToString[reply.Rcode]
	if reply.Authoritative {
		words += " AA"
	}
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
		var lines []string
		for _, rr := range section {
			fields := strings.Fields(strings.ReplaceAll(rr.String(), ".example.test.", ""))
			if fields[3] == "SOA" {
				fields = append(fields[:4], "for", fields[1])
			}
			lines = append(lines, strings.Join(append([]string{fields[0]}, fields[3:]...), " "))
		}
		slices.Sort(lines)
		words += " | " + strings.Join(lines, ", ")
	}
	return strings.TrimRight(words, "| ")
}

func asked(name string, kind uint16) *dns.Msg {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.RecursionDesired = true
	return question
}

func (z *zones) ask(question *dns.Msg) *dns.Msg {
	return z.answer(context.Background(), request.Request{W: &test.ResponseWriter{}, Req: question})
}

const (
	soa      = "example.test. SOA for 300"
	delNS    = `del NS ns.del, del NS ns.elsewhere.test., del NS ns1, del NS o\'brien.ns.del`
	delGlue  = `ns.del A 192.0.2.6, ns.del AAAA 2001:db8::6, o\'brien.ns.del A 192.0.2.7`
	wwwA     = "www A 192.0.2.3"
	mailHost = "_25._tcp.mail TLSA 3 1 1 00, mail A 192.0.2.2"
)

func TestAnswer(t *testing.T) {
	all := testZones(t)
	tests := []struct {
		sentence string
		name     string
		kind     uint16
		want     string
	}{
		{"data is answered", "www", dns.TypeA, "NOERROR AA | " + wwwA},
		{"letter case does not matter", "wWw.miXed", dns.TypeA, "NOERROR AA | www.mixed A 192.0.2.4"},
		{"no data has the SOA, for as long as its minimum says", "www", dns.TypeTXT, "NOERROR AA |  | " + soa},
		{"an unknown type is no data", "www", 4711, "NOERROR AA |  | " + soa},
		{"who asks for the SOA of a name without one gets the zone's", "www", dns.TypeSOA, "NOERROR AA |  | " + soa},
		{"what does not exist is NXDOMAIN", "x.www", dns.TypeA, "NXDOMAIN AA |  | " + soa},
		{"looking for the SOA at a name that does not exist is not remembered", "x.www", dns.TypeSOA, "NXDOMAIN AA |  | example.test. SOA for 0"},
		{"mail servers come with address and key", "", dns.TypeMX, "NOERROR AA | example.test. MX 10 mail |  | " + mailHost},
		{"for more than 13 hosts nothing is looked up", "mx14", dns.TypeMX, "NOERROR AA | " + fourteen()},
		{"NS at the apex comes with addresses", "", dns.TypeNS, "NOERROR AA | example.test. NS ns.elsewhere.test., example.test. NS ns1 |  | ns1 A 192.0.2.1"},
		{"keys stand alone", "", dns.TypeDNSKEY, "NOERROR AA | example.test. DNSKEY 256 3 13 AAAA"},

		{"a wildcard answers for what does not exist", "x", dns.TypeTXT, `NOERROR AA | x TXT "any"`},
		{"a wildcard answers over several labels", "x.y.z", dns.TypeTXT, `NOERROR AA | x.y.z TXT "any"`},
		{"a wildcard without the type is no data", "x", dns.TypeA, "NOERROR AA |  | " + soa},
		{"a wildcard can be asked for by its name", "*", dns.TypeTXT, `NOERROR AA | * TXT "any"`},
		{"no wildcard speaks for an empty non-terminal", "b.c", dns.TypeTXT, "NOERROR AA |  | " + soa},
		{"below an empty non-terminal the wildcard above is not asked", "x.b.c", dns.TypeTXT, "NXDOMAIN AA |  | " + soa},
		{"the closest wildcard counts", "x.c", dns.TypeTXT, `NOERROR AA | x.c TXT "any below c"`},
		{"a wildcard may be an empty non-terminal itself", "y.inner", dns.TypeTXT, "NOERROR AA |  | " + soa},
		{"a wildcard can be an alias", "x.alias", dns.TypeA, "NOERROR AA | " + wwwA + ", x.alias CNAME www"},

		{"aliases are followed", "chain", dns.TypeA, "NOERROR AA | chain CNAME chain2, chain2 CNAME www, " + wwwA},
		{"an alias is answered when it is asked for", "chain", dns.TypeCNAME, "NOERROR AA | chain CNAME chain2"},
		{"an alias to a name without the type is no data", "chain2", dns.TypeMX, "NOERROR AA | chain2 CNAME www | " + soa},
		{"an alias to nowhere is NXDOMAIN", "nowhere", dns.TypeA, "NXDOMAIN AA | nowhere CNAME a.b.c.www | " + soa},
		{"an alias out of the zone is not followed, though we serve its target", "outside", dns.TypeA, "NOERROR AA | outside CNAME www.other.test."},
		{"an alias into a child zone is not followed, though we serve it", "child", dns.TypeA, "NOERROR AA | child CNAME www.sub"},
		{"a loop is SERVFAIL with what there is", "loop", dns.TypeA, "SERVFAIL AA | loop CNAME loop2, loop2 CNAME loop"},
		{"an alias of itself is a loop", "self", dns.TypeA, "SERVFAIL AA | self CNAME self"},
		{"an alias into a delegation is an answer with a referral", `o'brien`, dns.TypeA,
			`NOERROR AA | o\'brien CNAME o\'brien.del | ` + delNS + " | " + delGlue},
		{"KEY stands beside an alias", "key", dns.TypeKEY, "NOERROR AA | key KEY 256 3 13 AAAA"},
		{"NSEC is not looked for behind an alias", "chain", dns.TypeNSEC, "NOERROR AA |  | " + soa},

		{"below a DNAME the end is replaced", "x.moved", dns.TypeA,
			"NOERROR AA | moved DNAME there, x.moved CNAME x.there, x.there A 192.0.2.5"},
		{"a DNAME leaves its own name alone", "moved", dns.TypeDNAME, "NOERROR AA | moved DNAME there"},
		{"the alias that a DNAME makes is the answer for CNAME", "x.moved", dns.TypeCNAME,
			"NOERROR AA | moved DNAME there, x.moved CNAME x.there"},
		{"a DNAME into itself is SERVFAIL with what there is", "x.round", dns.TypeA,
			"SERVFAIL AA | round DNAME a.round, x.a.a.a.a.a.a.a.a.a.a.a.round CNAME x.a.a.a.a.a.a.a.a.a.a.a.a.round, …"},

		{"at a delegation the servers are referred to", "del", dns.TypeA, "NOERROR |  | " + delNS + " | " + delGlue},
		{"so they are below", "www.del", dns.TypeA, "NOERROR |  | " + delNS + " | " + delGlue},
		{"and for their addresses", "ns.del", dns.TypeA, "NOERROR |  | " + delNS + " | " + delGlue},
		{"and for what is hidden there", "del", dns.TypeTXT, "NOERROR |  | " + delNS + " | " + delGlue},
		{"a delegation may have no glue", "dead", dns.TypeA, "NOERROR |  | dead NS ns.dead"},
		{"DS at a delegation is the parent's", "del", dns.TypeDS, "NOERROR AA | del DS 1 13 2 00"},
		{"DS that is not there is no data of the parent", "dead", dns.TypeDS, "NOERROR AA |  | " + soa},
		{"DS below a delegation is a referral", "x.del", dns.TypeDS, "NOERROR |  | " + delNS + " | " + delGlue},
		{"DS of a child that we serve is asked of its parent", "sub", dns.TypeDS, "NOERROR AA |  | " + soa},
		{"DS of a zone without parent here is no data of its own", "", dns.TypeDS, "NOERROR AA |  | " + soa},
		{"a child zone that we serve answers itself", "www.sub", dns.TypeA, "NOERROR AA | www.sub A 192.0.2.22"},

		{"ANY is everything but DNSSEC in a zone that is not signed", "www", dns.TypeANY, "NOERROR AA | " + wwwA + ", www AAAA 2001:db8::3"},
		{"ANY of an alias is the alias", "chain", dns.TypeANY, "NOERROR AA | chain CNAME chain2"},
		{"ANY at a delegation is a referral", "del", dns.TypeANY, "NOERROR |  | " + delNS + " | " + delGlue},
		{"ANY of an empty non-terminal is no data", "b.c", dns.TypeANY, "NOERROR AA |  | " + soa},
		{"ANY of a wildcard is of the name", "x", dns.TypeANY, `NOERROR AA | x TXT "any"`},

		{"meta types are refused as nonsense", "www", dns.TypeTKEY, "FORMERR"},
		{"so is OPT", "www", dns.TypeOPT, "FORMERR"},
		{"what nobody has any more is not implemented", "www", dns.TypeMAILB, "NOTIMP"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			name := "example.test."
			if test.name != "" {
				name = test.name + "." + name
			}
			reply := all.ask(asked(name, test.kind))
			got := said(reply)
			if start, isStart := strings.CutSuffix(test.want, "…"); isStart && strings.HasPrefix(got, start) {
				got = test.want
			}
			if got != test.want {
				t.Errorf("%s %s\n is %s\nnot %s", name, dns.Type(test.kind), got, test.want)
			}
			if reply != nil {
				if _, err := reply.Pack(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func fourteen() string {
	var lines []string
	for _, preference := range strings.Fields("1 10 11 12 13 14 2 3 4 5 6 7 8 9") {
		lines = append(lines, "mx14 MX "+preference+" mail")
	}
	return strings.Join(lines, ", ")
}

func TestAnswerIsNothingOfZonesElsewhere(t *testing.T) {
	if reply := testZones(t).ask(asked("www.elsewhere.test.", dns.TypeA)); reply != nil {
		t.Error(said(reply))
	}
}

func TestAnswerOfAnotherClassIsNothing(t *testing.T) {
	question := asked("www.example.test.", dns.TypeA)
	question.Question[0].Qclass = dns.ClassCHAOS
	if reply := testZones(t).ask(question); reply != nil {
		t.Error(said(reply))
	}
}

func TestAnswerToAnythingButAQueryIsNotImplemented(t *testing.T) {
	question := asked("example.test.", dns.TypeSOA)
	question.Opcode = dns.OpcodeNotify
	if got := said(testZones(t).ask(question)); got != "NOTIMP" {
		t.Error(got)
	}
}

func TestServersAndTheirAddressesAreForResolvers(t *testing.T) {
	question := asked("www.example.test.", dns.TypeA)
	question.RecursionDesired = false
	want := "NOERROR AA | " + wwwA + " | example.test. NS ns.elsewhere.test., example.test. NS ns1 | ns1 A 192.0.2.1"
	if got := said(testZones(t).ask(question)); got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
}

func TestElevenAliasesAreFollowedMoreAreALoop(t *testing.T) {
	for count, rcode := range map[int]int{11: dns.RcodeSuccess, 12: dns.RcodeServerFailure} {
		text := "@ 60 SOA a b 1 1 1 1 1\n@ 60 NS a\n"
		for i := range count {
			text += "a" + strings.Repeat("x", i) + " 60 CNAME a" + strings.Repeat("x", i+1) + "\n"
		}
		text += "a" + strings.Repeat("x", count) + " 60 A 192.0.2.1\n"
		reply := zonesOf(t, map[string]string{"test.": text}).ask(asked("a.test.", dns.TypeA))
		if reply.Rcode != rcode || len(reply.Answer) != 12 {
			t.Errorf("%d aliases: %s", count, said(reply))
		}
	}
}

func TestANameUnderADNAMEMayHave255Octets(t *testing.T) {
	label := strings.Repeat("l", 62)
	all := zonesOf(t, map[string]string{"test.": "@ 60 SOA a b 1 1 1 1 1\nm 60 DNAME " + label + "." + label + "." + label + ".test.\n"})
	for size, want := range map[int]string{59: "NXDOMAIN AA", 60: "YXDOMAIN AA"} { // 255 and 256 octets
		reply := all.ask(asked(strings.Repeat("x", size)+".m.test.", dns.TypeA))
		if got := said(reply); !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s", size, got)
		}
	}
}

func TestTheZonesOwnRecordsAreNeverChanged(t *testing.T) {
	all := testZones(t)
	before := said(all.ask(asked("example.test.", dns.TypeANY)))
	for _, kind := range []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeTXT, dns.TypeANY} {
		for _, name := range []string{"example.test.", "x.example.test.", "del.example.test."} {
			reply := all.ask(asked(name, kind))
			for _, section := range []*[]dns.RR{&reply.Answer, &reply.Ns, &reply.Extra} {
				*section = append(*section, reply.Ns...)
				clear(*section)
			}
		}
	}
	if after := said(all.ask(asked("example.test.", dns.TypeANY))); after != before {
		t.Errorf("%s\nwas %s", after, before)
	}
}
