// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"sync"

	"github.com/miekg/dns"
)

// All zones that are served.
type zones struct {
	mutex  sync.RWMutex
	byName map[string]*zone
}

func newZones() *zones { return &zones{byName: map[string]*zone{}} }

// find returns the closest zone at or above a name (as spell has it), or nil.
func (z *zones) find(name string) *zone {
	z.mutex.RLock()
	defer z.mutex.RUnlock()
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		if found := z.byName[name[at:]]; found != nil {
			return found
		}
	}
	return nil
}

// get returns the zone of that name, or nil.
func (z *zones) get(name string) *zone {
	z.mutex.RLock()
	defer z.mutex.RUnlock()
	return z.byName[name]
}

func (z *zones) put(zone *zone) {
	z.mutex.Lock()
	defer z.mutex.Unlock()
	z.byName[zone.name] = zone
}

func (z *zones) remove(name string) {
	z.mutex.Lock()
	defer z.mutex.Unlock()
	delete(z.byName, name)
}

func (z *zones) count() int {
	z.mutex.RLock()
	defer z.mutex.RUnlock()
	return len(z.byName)
}

// all returns those that are served now.
func (z *zones) all() []*zone {
	z.mutex.RLock()
	defer z.mutex.RUnlock()
	list := make([]*zone, 0, len(z.byName))
	for _, zone := range z.byName {
		list = append(list, zone)
	}
	return list
}
