// SPDX-License-Identifier: Apache-2.0

// CoreDNS with one more plugin, dadns, which serves the tables that writer-mysql keeps (layout coredns_mysql).
// Only what an authoritative server needs is built in; the order of the list is the order of the chain.
package main

import (
	_ "dadns/coredns/dadns"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/acl"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/bufsize"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/transfer"
)

func init() {
	dnsserver.Directives = []string{
		"reload", "bind", "bufsize", "health", "ready", "prometheus", "errors", "log", "acl",
		"transfer", "dadns",
	}
}

func main() { coremain.Run() }
