// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

func TestFind(t *testing.T) {
	z := newZones()
	for _, name := range []string{"example.com.", "sub.example.com.", "2.0.192.in-addr.arpa.", `a\.b.example.`} {
		z.put(&zone{name: name})
	}
	for name, wanted := range map[string]string{
		"example.com.":                "example.com.",
		"www.example.com.":            "example.com.",
		"sub.example.com.":            "sub.example.com.",
		"a.b.sub.example.com.":        "sub.example.com.",
		"notexample.com.":             "",
		`x\.example.com.`:             "",
		"com.":                        "",
		".":                           "",
		"1.2.0.192.in-addr.arpa.":     "2.0.192.in-addr.arpa.",
		`x.a\.b.example.`:             `a\.b.example.`,
		"b.example.":                  "",
		`example\.com.example.com.`:   "example.com.",
		"example.com.example.":        "",
		"xsub.example.com.":           "example.com.",
		`sub\.example.com.`:           "",
		`\@.sub.example.com.`:         "sub.example.com.",
		`\\.sub.example.com.`:         "sub.example.com.",
		`sub.sub.sub.example.com.`:    "sub.example.com.",
		`0.0.2.0.192.in-addr.arpa.`:   "2.0.192.in-addr.arpa.",
		`12.0.192.in-addr.arpa.`:      "",
		`www.example.com.local.`:      "",
		`very.deep.down.example.com.`: "example.com.",
	} {
		got := ""
		if found := z.find(name); found != nil {
			got = found.name
		}
		if got != wanted {
			t.Errorf("%s: %q, not %q", name, got, wanted)
		}
	}
}

type deaf struct{ dns.ResponseWriter }

// One goroutine swaps, others answer: each answer is of one version. The race detector watches.
func TestAnswersWhileZonesAreSwapped(t *testing.T) {
	from := newFakeTables()
	from.set("example.com.", 1, "a TXT 1", "b TXT 1", "c CNAME a.example.com.")
	f := newTestFollower(t, from)
	f.settle(t)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				question := new(dns.Msg)
				question.SetQuestion("example.com.", dns.TypeANY)
				if reply := f.zones.answer(context.Background(), request.Request{W: deaf{}, Req: question}); reply == nil {
					t.Error("no answer")
					return
				} else if _, err := reply.Pack(); err != nil {
					t.Error(err)
					return
				}
				question.SetQuestion("c.example.com.", dns.TypeTXT)
				reply := f.zones.answer(context.Background(), request.Request{W: deaf{}, Req: question})
				if reply == nil || len(reply.Answer) != 2 {
					t.Errorf("half a zone: %v", reply)
					return
				}
				for _, zone := range f.zones.all() {
					transferred(t, zone)
				}
			}
		})
	}
	for n := range int64(200) {
		text := fmt.Sprintf("a TXT %d", n)
		from.set("example.com.", n+2, text, "b TXT 1", "c CNAME a.example.com.")
		from.set(fmt.Sprintf("zone%d.example.", n%10), n+2)
		if n%3 == 0 {
			from.delete(fmt.Sprintf("zone%d.example.", n%10), n+2)
		}
		f.advance(t)
	}
	close(stop)
	readers.Wait()
}
