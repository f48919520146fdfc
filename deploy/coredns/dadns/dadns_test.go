// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"
)

// asker takes the reply.
type asker struct {
	dns.ResponseWriter
	reply *dns.Msg
}

func (a *asker) WriteMsg(m *dns.Msg) error { a.reply = m; return nil }
func (a *asker) RemoteAddr() net.Addr      { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 53} }
func (a *asker) LocalAddr() net.Addr       { return a.RemoteAddr() }

func ask(d *Dadns, name string, kind uint16) (int, *dns.Msg) {
	question := new(dns.Msg)
	question.SetQuestion(name, kind)
	a := &asker{}
	rcode, err := d.ServeDNS(context.Background(), a, question)
	if err != nil {
		return -1, nil
	}
	return rcode, a.reply
}

func TestServeDNS(t *testing.T) {
	from := newFakeTables()
	from.set("example.com.", 1, "www A 192.0.2.1")
	f := newTestFollower(t, from)
	d := &Dadns{zones: f.zones, follower: f.follower}

	t.Run("before the first pass it is not ready, and sends those who ask to another server", func(t *testing.T) {
		if rcode, reply := ask(d, "www.example.com.", dns.TypeA); d.Ready() || rcode != dns.RcodeServerFailure || reply != nil {
			t.Fatal(d.Ready(), rcode, reply)
		}
	})
	t.Run("then it answers", func(t *testing.T) {
		f.settle(t)
		rcode, reply := ask(d, "WWW.Example.com.", dns.TypeA)
		if !d.Ready() || rcode != dns.RcodeSuccess || reply == nil || len(reply.Answer) != 1 || !reply.Authoritative {
			t.Fatal(d.Ready(), rcode, reply)
		}
	})
	t.Run("zones of others are refused", func(t *testing.T) {
		if rcode, reply := ask(d, "example.net.", dns.TypeA); rcode != dns.RcodeRefused || reply != nil {
			t.Fatal(rcode, reply)
		}
	})
	t.Run("or are the next plugin's, even before the first pass", func(t *testing.T) {
		d := &Dadns{zones: newZones(), follower: newFollower(from, newZones())}
		d.next = plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { return 7, nil })
		if rcode, _ := ask(d, "example.net.", dns.TypeA); rcode != 7 {
			t.Fatal(rcode)
		}
	})
}

func TestTransfer(t *testing.T) {
	from := newFakeTables()
	from.set("example.com.", 1, "www A 192.0.2.1", "*.w TXT x")
	f := newTestFollower(t, from)
	f.settle(t)
	d := &Dadns{zones: f.zones, follower: f.follower}
	read := func(t *testing.T, name string, serial uint32) (all []dns.RR) {
		t.Helper()
		channel, err := d.Transfer(name, serial)
		if err != nil {
			t.Fatal(err)
		}
		for some := range channel {
			all = append(all, some...)
		}
		return all
	}
	t.Run("has all records between two SOA records, however the name is spelled", func(t *testing.T) {
		all := read(t, "Example.COM.", 0)
		if len(all) != 5 || all[0].Header().Rrtype != dns.TypeSOA || all[4].Header().Rrtype != dns.TypeSOA {
			t.Fatal(all)
		}
	})
	t.Run("is the SOA record alone for who has that serial", func(t *testing.T) {
		if all := read(t, "example.com.", 1); len(all) != 1 {
			t.Fatal(all)
		}
	})
	t.Run("of a zone that changes meanwhile is of one version", func(t *testing.T) {
		channel, err := d.Transfer("example.com.", 0)
		if err != nil {
			t.Fatal(err)
		}
		<-channel
		from.set("example.com.", 2)
		f.advance(t)
		count := 0
		for some := range channel {
			count += len(some)
		}
		if count != 3 {
			t.Fatal(count)
		}
	})
	t.Run("is not for names below a zone, or other zones", func(t *testing.T) {
		for _, name := range []string{"www.example.com.", "com.", "example.net.", ".", "a..b"} {
			if _, err := d.Transfer(name, 0); !errors.Is(err, transfer.ErrNotAuthoritative) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
