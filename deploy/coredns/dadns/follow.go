// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// follower keeps the zones in memory, and the snapshot, like the tables. One goroutine.
//
// Tables may be dropped, or restored from an older dump, while we serve. So a zone goes only when its delete is
// recorded, and never back to an older version: where the tables say less than we know they are in doubt, and what
// we know stands for `keep`.
type follower struct {
	source  source
	zones   *zones
	journal *journal // nil: none
	notify  func(zone string)
	poll    time.Duration
	keep    time.Duration
	now     func() time.Time
	wholly  atomic.Bool // all zones were read once, perhaps before a restart

	versioned bool  // the tables know versions
	births    int64 // of the tables that `at` is a place in
	at        cursor
	seen      map[string]bool // by the pass over all zones that is under way; nil: none
	passed    bool
	passAt    time.Time // when the next one is due; zero: none
	othersAt  time.Time
	tendAt    time.Time
	gone      map[string]version // zones that were deleted
	doubts    map[string]time.Time
	expired   map[string]bool // doubts that the next pass ends
	away      bool
}

const (
	pageZones   = 1000
	pauseAway   = time.Second
	pauseOthers = 10 * time.Second
	pauseAgain  = 5 * time.Second // until what could not be taken over is looked at again
	pauseTend   = time.Second
)

var errBeingMade = errors.New("dadns_meta is not filled yet: the tables are new, or are being restored")

func newFollower(source source, zones *zones) *follower {
	return &follower{
		source: source, zones: zones, notify: func(string) {}, now: time.Now, births: -1,
		gone: map[string]version{}, doubts: map[string]time.Time{}, expired: map[string]bool{},
	}
}

// load opens the snapshot and serves what it has.
func (f *follower) load(path string) error {
	journal, complete, err := openJournal(path, func(s *state) {
		if s.Deleted {
			f.gone[s.Zone] = s.Version
		} else if zone, _, err := s.build(s.arrange()); err == nil {
			f.zones.put(zone)
		}
		f.versioned = f.versioned || s.Version != version{}
	})
	if err != nil {
		return err
	}
	f.journal = journal
	f.wholly.Store(complete)
	if count := f.zones.count(); count != 0 {
		log.Infof("%d zones are served from the snapshot %s", count, path)
	}
	return nil
}

// run follows until the context ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause := f.poll
		if err := f.turn(ctx); err != nil {
			pause = pauseAway
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	if f.journal != nil {
		f.tend()
		f.journal.close()
	}
}

// turn sends one statement (two, every 10 s, where the tables know no versions).
func (f *follower) turn(ctx context.Context) error {
	var err error
	now := f.now()
	f.expire(now)
	others := !now.Before(f.othersAt)
	switch {
	case others && f.births >= 0 && f.seen == nil:
		err = f.followOthers(ctx)
	case others || f.versioned:
		err = f.followChanges(ctx)
	}
	if f.journal != nil && !now.Before(f.tendAt) {
		f.tendAt = now.Add(pauseTend)
		f.tend()
	}
	metricZones.Set(float64(f.zones.count()))
	metricKept.Set(float64(len(f.doubts)))
	if ctx.Err() == nil {
		f.report(err)
	}
	return err
}

func (f *follower) report(err error) {
	if err != nil {
		metricErrors.WithLabelValues("database").Inc()
	}
	if away := err != nil; away != f.away {
		f.away = away
		if away {
			log.Errorf("the tables cannot be read, %d zones are served as they were: %s", f.zones.count(), err)
		} else {
			log.Infof("the tables can be read again")
		}
	}
}

// --- zones with versions

func (f *follower) followChanges(ctx context.Context) error {
	now := f.now()
	if !f.passAt.IsZero() && !now.Before(f.passAt) && f.seen == nil {
		f.beginPass()
	}
	page, err := f.source.changes(ctx, f.at, pageZones)
	if errors.Is(err, errNoVersions) && !f.versioned {
		return f.followOthers(ctx)
	}
	if err != nil {
		return err
	}
	if page.births < 0 || page.counter < 0 {
		return errBeingMade
	}
	f.versioned = true
	if page.births != f.births || page.counter < f.at.changed {
		f.births = page.births
		f.beginPass()
		return nil
	}
	for _, s := range page.states {
		f.follow(s)
	}
	f.at = page.next
	if page.full {
		return nil
	}
	if f.seen != nil {
		f.endPass()
	}
	metricFollowed.Set(float64(now.UnixMilli()) / 1000)
	return nil
}

func (f *follower) follow(s *state) {
	if f.seen != nil {
		f.seen[s.Zone] = true
	}
	known := f.gone[s.Zone]
	have := f.zones.get(s.Zone)
	if have != nil {
		known = have.version
	}
	if s.Version.olderThan(known) && !f.expired[s.Zone] {
		f.doubt(s.Zone)
		return
	}
	delete(f.doubts, s.Zone)
	if s.Deleted {
		if have != nil || s.Version != known {
			f.remove(s)
		}
		return
	}
	f.take(s, have)
}

// A pass reads all zones of the tables again; what it meets unchanged costs a comparison.
func (f *follower) beginPass() {
	f.passAt = time.Time{}
	f.at = cursor{}
	f.seen = map[string]bool{}
}

func (f *follower) endPass() {
	missing := []string{}
	for _, zone := range f.zones.all() {
		if zone.version != (version{}) && !f.seen[zone.name] {
			missing = append(missing, zone.name)
		}
	}
	for name := range f.gone {
		if !f.seen[name] {
			missing = append(missing, name)
		}
	}
	for _, name := range missing {
		if f.expired[name] {
			delete(f.doubts, name)
			f.remove(&state{Zone: name, Deleted: true})
		} else {
			f.doubt(name)
		}
	}
	if len(f.doubts) != 0 {
		log.Warningf("%d zones are not in the tables, or in an older version: what is known of them stands for %s", len(f.doubts), f.keep)
	}
	clear(f.expired)
	f.seen = nil
	f.passed = true
}

func (f *follower) doubt(zone string) {
	if _, known := f.doubts[zone]; !known {
		f.doubts[zone] = f.now()
	}
}

// expire lets the next pass end doubts that are too old.
func (f *follower) expire(now time.Time) {
	if f.seen != nil {
		return
	}
	for zone, since := range f.doubts {
		if now.Sub(since) >= f.keep && !f.expired[zone] {
			f.expired[zone] = true
			f.passAt = now
		}
	}
}

// --- zones without

// followOthers reads all zones that have no version: nobody says which of them have changed.
func (f *follower) followOthers(ctx context.Context) error {
	states, some, err := f.source.others(ctx, f.versioned)
	if err != nil {
		return err
	}
	now := f.now()
	f.othersAt = now.Add(pauseOthers)
	there := map[string]bool{}
	for _, s := range states {
		there[s.Zone] = true
		have := f.zones.get(s.Zone)
		_, gone := f.gone[s.Zone]
		if !gone && (have == nil || have.version == version{}) { // else its version is in doubt
			f.take(s, have)
		}
	}
	for _, zone := range f.zones.all() {
		if some && zone.version == (version{}) && !there[zone.name] {
			f.remove(&state{Zone: zone.name, Deleted: true})
		}
	}
	if !f.versioned {
		metricFollowed.Set(float64(now.UnixMilli()) / 1000)
	}
	if (f.passed || !f.versioned) && !f.wholly.Load() {
		f.wholly.Store(true)
		log.Infof("%d zones were read and are served", f.zones.count())
		if f.journal != nil {
			f.wrote(f.journal.complete())
		}
	}
	return nil
}

// --- what is served

// take serves a state if it is another one than `have`, the zone that is served.
func (f *follower) take(s *state, have *zone) {
	digest := s.arrange()
	if have != nil && have.digest == digest && have.version == s.Version {
		return
	}
	zone, faults, err := s.build(digest)
	if err != nil {
		metricErrors.WithLabelValues("zone").Inc()
		log.Errorf("zone %s cannot be served as the tables have it, it stays as it was: %s", s.Zone, err)
		f.passAt = f.now().Add(pauseAgain)
		return
	}
	if len(faults) != 0 {
		metricErrors.WithLabelValues("record").Add(float64(len(faults)))
		log.Warningf("zone %s is served without %d of its records: %s", s.Zone, len(faults), faults[0])
	}
	if f.journal != nil && !f.wrote(f.journal.keep(s)) {
		zone.digest = [16]byte{} // the next pass tries again
	}
	delete(f.gone, s.Zone)
	f.zones.put(zone)
	metricChanges.WithLabelValues("set").Inc()
	if have == nil || have.digest != digest {
		f.notify(zone.name)
	}
}

// remove ends a zone; without a version it is forgotten altogether.
func (f *follower) remove(s *state) {
	if f.zones.get(s.Zone) != nil {
		metricChanges.WithLabelValues("deleted").Inc()
	}
	f.zones.remove(s.Zone)
	forgotten := s.Version == version{}
	if forgotten {
		delete(f.gone, s.Zone)
	} else {
		f.gone[s.Zone] = s.Version
	}
	if f.journal == nil {
		return
	}
	s.Rows = nil
	f.wrote(f.journal.keep(s))
	if forgotten {
		f.journal.forget(s.Zone)
	}
}

// --- the snapshot

func (f *follower) tend() { f.wrote(f.journal.tend()) }

func (f *follower) wrote(err error) bool {
	if err != nil {
		metricErrors.WithLabelValues("snapshot").Inc()
		log.Errorf("the snapshot cannot be written, a restart without the database would serve what it has: %s", err)
		f.passAt = f.now().Add(pauseAgain)
	}
	return err == nil
}
