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
	counter   int64 // as it was last
	at        cursor
	seen      map[string]bool // by the pass over all zones that is under way; nil: none
	passed    bool
	passAt    time.Time // when the next one is due; zero: none
	othersAt  time.Time
	justNow   bool            // others were the last that was read: now the changes
	missed    map[string]bool // zones without versions that were not there when the others were last read
	tendAt    time.Time
	gone      map[string]version // zones that were deleted
	doubts    map[string]time.Time
	strange   map[string]time.Time // zones whose rows are not those of their version
	expired   map[string]bool      // doubts that the next pass ends
	unsaved   map[string]bool      // their last state is not in the snapshot
	unable    bool                 // to write it
	away      bool
}

const (
	pageZones    = 1000
	pauseAway    = time.Second
	pauseOthers  = 10 * time.Second
	pauseAgain   = 30 * time.Second // until what could not be taken over is looked at again
	pauseStrange = 10 * time.Second // until rows are believed that are not those of their version
	pauseSoon    = 2 * time.Second
	pauseMissed  = time.Second // until those that are missed are looked for again
	sparse       = 20          // at most this part of the time goes into reading the others
	pauseTend    = time.Second
)

var errBeingMade = errors.New("dadns_meta is not filled yet: the tables are new, or are being restored")

func newFollower(source source, zones *zones) *follower {
	return &follower{
		source: source, zones: zones, notify: func(string) {}, now: time.Now, births: -1,
		gone: map[string]version{}, doubts: map[string]time.Time{}, expired: map[string]bool{}, unsaved: map[string]bool{},
		strange: map[string]time.Time{},
	}
}

// load opens the snapshot and serves what it has.
func (f *follower) load(path string) error {
	journal, complete, err := openJournal(path, func(s *state) {
		if s.Deleted && s.Version == (version{}) {
			return // forgotten: it may come again
		}
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
	if complete {
		f.wholly.Store(true)
		f.passed = true
	}
	if at := journal.at; complete && at != nil {
		f.justNow = true
		f.births, f.counter = at.Births, at.Counter
		f.at = cursor{changed: at.Changed, zone: at.Zone}
	}
	if count := f.zones.count(); count != 0 {
		log.Infof("%d zones are served from the snapshot %s", count, path)
	}
	return nil
}

// run follows until the context ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		next := time.Now().Add(f.poll)
		if err := f.turn(ctx); err != nil {
			next = time.Now().Add(pauseAway)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(next)):
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
	case others && f.births >= 0 && f.seen == nil && !f.justNow:
		f.justNow = true
		err = f.followOthers(ctx)
	case others || f.versioned:
		f.justNow = false
		err = f.followChanges(ctx)
	}
	if f.journal != nil && !now.Before(f.tendAt) {
		f.tendAt = now.Add(pauseTend)
		f.tend()
	}
	metricZones.Set(float64(f.zones.count()))
	metricKept.Set(float64(f.keptCount()))
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
	restored := page.births != f.births || page.counter < f.counter
	f.births, f.counter = page.births, page.counter
	if restored {
		f.beginPass()
		return nil
	}
	for _, s := range page.states {
		f.follow(s)
	}
	f.at = page.next
	f.at.whole = !page.full
	if len(page.states) != 0 {
		f.savePlace()
	}
	if page.full {
		return nil
	}
	if f.seen != nil {
		f.endPass()
		f.savePlace()
	}
	if f.at.changed > page.counter { // a new change may get a number that is behind us
		f.passBy(now.Add(pauseAgain))
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
	if s.Deleted {
		delete(f.doubts, s.Zone)
		if have != nil || s.Version != known || f.unsaved[s.Zone] {
			f.remove(s)
		}
		return
	}
	f.take(s, have)
}

// passBy makes the next pass due then, if none is due before.
func (f *follower) passBy(then time.Time) {
	if f.passAt.IsZero() || then.Before(f.passAt) {
		f.passAt = then
	}
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
			f.othersAt = time.Time{} // it may be one of those now
		} else {
			f.doubt(name)
		}
	}
	if len(f.doubts) != 0 {
		log.Warningf("%d zones are not in the tables, or not as they were in that version or a newer one: what is known of them stands for %s", len(f.doubts), f.keep)
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

// keptCount: a deleted zone whose row has gone (it was buried, and the tables made anew) is not served, but stays known.
func (f *follower) keptCount() int {
	count := 0
	for zone := range f.doubts {
		if f.zones.get(zone) != nil {
			count++
		}
	}
	return count
}

// expire lets the next pass end doubts that are too old.
func (f *follower) expire(now time.Time) {
	if f.seen != nil {
		return
	}
	for zone, since := range f.doubts {
		if now.Sub(since) >= f.keep && !f.expired[zone] {
			f.expired[zone] = true
			f.passBy(now)
		}
	}
}

// --- zones without

// followOthers reads all zones that have no version: nobody says which of them have changed.
func (f *follower) followOthers(ctx context.Context) error {
	began := f.now()
	states, some, err := f.source.others(ctx, f.versioned)
	if err != nil {
		return err
	}
	now := f.now()
	if !some && !f.versioned { // a writer is making them at this moment, or somebody has emptied them
		f.othersAt = now.Add(pauseMissed)
		return nil
	}
	f.othersAt = now.Add(max(pauseOthers, now.Sub(began)*sparse))
	there := map[string]bool{}
	for _, s := range states {
		if there[s.Zone] { // two spellings of one name
			continue
		}
		there[s.Zone] = true
		have := f.zones.get(s.Zone)
		_, gone := f.gone[s.Zone]
		if !gone && (have == nil || have.version == version{}) { // else its version is in doubt
			f.take(s, have)
		}
	}
	f.endMissing(there, some)
	if !f.versioned {
		metricFollowed.Set(float64(now.UnixMilli()) / 1000)
	}
	if f.passed || !f.versioned {
		if !f.wholly.Swap(true) {
			log.Infof("%d zones were read and are served", f.zones.count())
		}
		if f.journal != nil && len(f.unsaved) == 0 {
			f.wrote(f.journal.complete())
		}
	}
	return nil
}

// endMissing ends zones without versions that are gone. Where there are versions it may have got one just now: the
// changes are read before it is missed for the second time.
func (f *follower) endMissing(there map[string]bool, some bool) {
	missed := map[string]bool{}
	for _, zone := range f.zones.all() {
		switch {
		case !some || zone.version != (version{}) || there[zone.name]:
		case f.versioned && !f.missed[zone.name]:
			missed[zone.name] = true
			f.othersAt = f.now().Add(pauseMissed)
		default:
			f.remove(&state{Zone: zone.name, Deleted: true})
		}
	}
	f.missed = missed
	for name := range f.unsaved { // nobody else will mention those that are forgotten
		if _, gone := f.gone[name]; !gone && f.zones.get(name) == nil {
			f.remove(&state{Zone: name, Deleted: true})
		}
	}
}

// --- what is served

// take serves a state if it is another one than `have`, the zone that is served.
func (f *follower) take(s *state, have *zone) {
	digest := s.arrange()
	if have != nil && have.digest == digest && have.version == s.Version {
		delete(f.doubts, s.Zone)
		delete(f.strange, s.Zone)
		if f.unsaved[s.Zone] {
			f.save(s)
		}
		return
	}
	zone, faults, err := s.build(digest)
	if err != nil {
		metricErrors.WithLabelValues("zone").Inc()
		log.Errorf("zone %s cannot be served as the tables have it, it stays as it was: %s", s.Zone, err)
		f.passBy(f.now().Add(pauseAgain))
		return
	}
	if !f.believe(zone, have) {
		return
	}
	if len(faults) != 0 {
		metricErrors.WithLabelValues("record").Add(float64(len(faults)))
		log.Warningf("zone %s is served without %d of its records: %s", s.Zone, len(faults), faults[0])
	}
	f.save(s)
	delete(f.gone, s.Zone)
	f.zones.put(zone)
	metricChanges.WithLabelValues("set").Inc()
	if have == nil || have.digest != digest {
		f.notify(zone.name)
	}
}

// believe says whether a zone may be served whose rows are perhaps not those of its version. Half a dump becomes whole,
// or writer-mysql repairs it, within seconds; what we know to be right stands for `keep`.
func (f *follower) believe(zone, have *zone) bool {
	now := f.now()
	since, known := f.strange[zone.name]
	switch {
	case zone.proof != contradicted:
	case have != nil && have.proof == proved && have.version == zone.version && !f.expired[zone.name]:
		f.doubt(zone.name)
		return false
	case !known || now.Sub(since) < pauseStrange:
		if !known {
			f.strange[zone.name] = now
			metricErrors.WithLabelValues("rows").Inc()
		}
		f.passBy(now.Add(pauseSoon))
		return false
	default:
		log.Warningf("zone %s is served although its rows are not those of its version", zone.name)
	}
	delete(f.doubts, zone.name)
	delete(f.strange, zone.name)
	return true
}

// remove ends a zone; without a version it is forgotten altogether.
func (f *follower) remove(s *state) {
	if f.zones.get(s.Zone) != nil {
		metricChanges.WithLabelValues("deleted").Inc()
	}
	f.zones.remove(s.Zone)
	delete(f.strange, s.Zone)
	if s.Version == (version{}) {
		delete(f.gone, s.Zone)
	} else {
		f.gone[s.Zone] = s.Version
	}
	s.Rows = nil
	f.save(s)
}

// --- the snapshot

// save writes a state down. What could not be is tried again by the next pass.
func (f *follower) save(s *state) {
	if f.journal == nil {
		return
	}
	if f.wrote(f.journal.keep(s)) {
		delete(f.unsaved, s.Zone)
	} else {
		f.unsaved[s.Zone] = true
		f.passBy(f.now().Add(pauseAgain))
	}
}

// savePlace lets a restart go on from here. With a pass under way, or doubts, it has to look at everything.
func (f *follower) savePlace() {
	if f.journal != nil && f.seen == nil && len(f.unsaved)+len(f.doubts)+len(f.strange) == 0 {
		f.wrote(f.journal.mark(&bookmark{f.births, f.counter, f.at.changed, f.at.zone}))
	}
}

func (f *follower) tend() {
	if err := f.journal.tend(); err != nil {
		f.wrote(err)
	}
}

// wrote counts failures, and says once that they began.
func (f *follower) wrote(err error) bool {
	if err != nil {
		metricErrors.WithLabelValues("snapshot").Inc()
	}
	if unable := err != nil; unable != f.unable {
		f.unable = unable
		if unable {
			log.Errorf("the snapshot cannot be written, a restart without the database would serve what it has: %s", err)
		} else {
			log.Infof("the snapshot can be written again")
		}
	}
	return err == nil
}
