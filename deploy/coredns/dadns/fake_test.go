// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakeTables is a source: what the tables would say, set by hand.
type fakeTables struct {
	mutex      sync.Mutex
	births     int64 // -1: dadns_meta has none
	counter    int64
	unknowing  bool // there is no dadns_zones
	zones      map[string]*fakeZone
	plain      map[string]*state // without a row in dadns_zones
	page       int               // zones in one answer, if less than asked for
	err        error
	statements int
}

type fakeZone struct {
	state
	changed int64
}

func newFakeTables() *fakeTables {
	return &fakeTables{births: 7, zones: map[string]*fakeZone{}, plain: map[string]*state{}}
}

// set brings a version of a zone; rows as stateOf has them.
func (f *fakeTables) set(name string, offset int64, rows ...string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.counter++
	s := *stateOf(rows...)
	s.Zone, s.Version = name, version{1, offset}
	f.zones[name] = &fakeZone{s, f.counter}
}

// spoil is set, of a zone that has no SOA record.
func (f *fakeTables) spoil(name string, offset int64) {
	f.set(name, offset)
	f.zones[name].Rows = f.zones[name].Rows[1:]
}

func (f *fakeTables) delete(name string, offset int64) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.counter++
	f.zones[name] = &fakeZone{state{Zone: name, Version: version{1, offset}, Deleted: true}, f.counter}
}

func (f *fakeTables) setPlain(name string, rows ...string) {
	s := stateOf(rows...)
	s.Zone, s.Version = name, version{}
	f.plain[name] = s
}

// dump is what a backup would have; restore brings it back.
func (f *fakeTables) dump() *fakeTables {
	copied := newFakeTables()
	copied.births, copied.counter = f.births, f.counter
	for name, zone := range f.zones {
		copied.zones[name] = &fakeZone{zone.state, zone.changed}
	}
	for name, zone := range f.plain {
		copied.plain[name] = zone
	}
	return copied
}

func (f *fakeTables) restore(from *fakeTables) {
	again := from.dump()
	f.births, f.counter, f.zones, f.plain = again.births, again.counter, again.zones, again.plain
}

func (f *fakeTables) changes(_ context.Context, after cursor, limit int) (*page, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.statements++
	if f.err != nil {
		return nil, f.err
	}
	if f.unknowing {
		return nil, errNoVersions
	}
	if f.page != 0 {
		limit = min(limit, f.page)
	}
	found := &page{births: f.births, counter: f.counter, next: after}
	for _, zone := range f.zones {
		if after.before(cursor{changed: zone.changed, zone: zone.Zone}) {
			s := zone.state
			s.Rows = slices.Clone(s.Rows)
			found.states = append(found.states, &s)
		}
	}
	slices.SortFunc(found.states, func(a, b *state) int {
		return cmp.Or(cmp.Compare(f.zones[a.Zone].changed, f.zones[b.Zone].changed), cmp.Compare(a.Zone, b.Zone))
	})
	found.full = len(found.states) >= limit
	found.states = found.states[:min(limit, len(found.states))]
	if count := len(found.states); count != 0 {
		last := found.states[count-1].Zone
		found.next = cursor{changed: f.zones[last].changed, zone: last}
	}
	return found, nil
}

func (f *fakeTables) others(_ context.Context, versions bool) (states []*state, some bool, err error) {
	f.statements++
	if f.err != nil {
		return nil, false, f.err
	}
	if f.unknowing && versions {
		return nil, false, errAway
	}
	for _, key := range slices.Sorted(maps.Keys(f.plain)) { // in the order of a key, as a database has them
		zone := f.plain[key]
		if _, ours := f.zones[strings.ToLower(zone.Zone)]; ours && versions {
			continue
		}
		s := *zone
		s.Rows = slices.Clone(s.Rows)
		states = append(states, &s)
	}
	some = len(f.plain) != 0
	for _, zone := range f.zones {
		some = some || !zone.Deleted
	}
	return states, some, nil
}

func (f *fakeTables) close() {}

// testFollower is turned by hand, with a clock of its own.
type testFollower struct {
	*follower
	from     *fakeTables
	clock    time.Time
	notified []string
}

func newTestFollower(t *testing.T, from *fakeTables) *testFollower {
	t.Helper()
	f := &testFollower{follower: newFollower(from, newZones()), from: from, clock: time.Unix(1e9, 0)}
	f.poll, f.keep = pollDefault, keepDefault
	f.now = func() time.Time { return f.clock }
	f.notify = func(zone string) { f.notified = append(f.notified, zone) }
	return f
}

// withSnapshot is a follower that begins with what a file has.
func withSnapshot(t *testing.T, from *fakeTables, path string) *testFollower {
	t.Helper()
	f := newTestFollower(t, from)
	if err := f.load(path); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *testFollower) end() { f.journal.close() }

// advance is one poll later.
func (f *testFollower) advance(t *testing.T) {
	t.Helper()
	f.clock = f.clock.Add(f.poll)
	if err := f.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass, in polls.
func (f *testFollower) pass(t *testing.T, time time.Duration) {
	t.Helper()
	for until := f.clock.Add(time); f.clock.Before(until); {
		f.advance(t)
	}
}

// settle turns until all is read.
func (f *testFollower) settle(t *testing.T) {
	t.Helper()
	for range 100 {
		f.advance(t)
		if f.wholly.Load() && f.seen == nil && len(f.doubts) == 0 {
			return
		}
	}
	t.Fatal("it does not settle")
}

// serves lists what is served: "zone offset", the offset of no version being 0.
func (f *testFollower) serves() string {
	list := []string{}
	for _, zone := range f.zones.all() {
		list = append(list, fmt.Sprintf("%s %d", zone.name, zone.version.Offset))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (f *testFollower) mustServe(t *testing.T, wanted string) {
	t.Helper()
	if got := f.serves(); got != wanted {
		t.Fatalf("served: %q, not %q", got, wanted)
	}
}

func (f *testFollower) mustHaveNotified(t *testing.T, wanted ...string) {
	t.Helper()
	slices.Sort(f.notified)
	if !slices.Equal(f.notified, wanted) {
		t.Fatalf("notified: %q, not %q", f.notified, wanted)
	}
	f.notified = nil
}

// records of a name and type, as their data.
func (f *testFollower) data(zone, name string, kind uint16) string {
	list := []string{}
	if found := f.zones.get(zone); found != nil {
		if elem, there := found.file.Search(name); there {
			for _, rr := range elem.Type(kind) {
				list = append(list, strings.TrimPrefix(rr.String(), rr.Header().String()))
			}
		}
	}
	return strings.Join(list, " ")
}

func (f *testFollower) text(zone string) string { return f.data(zone, "t."+zone, dns.TypeTXT) }

func tempSnapshot(t *testing.T) string { return filepath.Join(t.TempDir(), "zones.snapshot") }
