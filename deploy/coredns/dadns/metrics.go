// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: "dadns", Name: name, Help: help,
	}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return promauto.NewGauge(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: "dadns", Name: name, Help: help})
}

var (
	metricStatements = counter("statements_total", "SQL statements sent to the database").WithLabelValues()
	metricChanges    = counter("changes_total", "zones taken over from the tables, deleted by them", "change")
	metricErrors     = counter("errors_total", "the database did not answer; a zone without SOA; a record that cannot be read; rows that are not those of their version; "+
		"the snapshot could not be written", "what")
	metricZones    = gauge("zones", "zones that are served")
	metricKept     = gauge("zones_kept", "zones served as they were although the tables do not know them, or only an older version")
	metricFollowed = gauge("followed_timestamp_seconds", "when the tables were last seen and had nothing newer")
)
