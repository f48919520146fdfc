// SPDX-License-Identifier: Apache-2.0

// Package dadns is a CoreDNS plugin: authoritative answers from the tables that DaDNS's writer keeps.
package dadns

import (
	"context"

	"github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

const pluginName = "dadns"

var log = clog.NewWithPlugin(pluginName)

// Dadns answers from the zones in memory; a follower keeps them like the tables.
type Dadns struct {
	next     plugin.Handler
	zones    *zones
	follower *follower
}

// Name implements plugin.Handler.
func (d *Dadns) Name() string { return pluginName }

// Ready implements ready.Readiness: all zones have been read once, now or before a restart.
func (d *Dadns) Ready() bool { return d.follower.wholly.Load() }

// ServeDNS implements plugin.Handler.
func (d *Dadns) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	reply := d.zones.answer(ctx, request.Request{W: w, Req: r})
	switch {
	case reply != nil:
		return dns.RcodeSuccess, w.WriteMsg(reply) // of an rcode that says no, CoreDNS would write a second reply
	case d.next != nil:
		return plugin.NextOrFailure(pluginName, d.next, ctx, w, r)
	case !d.Ready():
		return dns.RcodeServerFailure, nil // it may be ours: let them ask another server
	}
	return dns.RcodeRefused, nil
}

// Transfer implements transfer.Transferer.
func (d *Dadns) Transfer(name string, serial uint32) (<-chan []dns.RR, error) {
	name, err := spell(name)
	if err != nil {
		return nil, transfer.ErrNotAuthoritative
	}
	zone := d.zones.get(name)
	if zone == nil {
		return nil, transfer.ErrNotAuthoritative
	}
	return zone.file.Transfer(serial)
}
