// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func digestOf(t *testing.T, s *state) string {
	t.Helper()
	wires := []packed{}
	for _, row := range s.Rows {
		_, wire, err := row.record(s.Zone)
		if err != nil {
			t.Fatal(row, err)
		}
		wires = append(wires, newPacked(wire))
	}
	return zonemd(s.Zone, wires)
}

func TestZonemd(t *testing.T) {
	t.Run("is that of RFC 8976 A.1, in any order, with a record twice, without regard to ZONEMD itself", func(t *testing.T) {
		const wanted = "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c"
		s := &state{Zone: "example.", Rows: []row{
			{"ns2", "AAAA", 3600, "2001:db8::63"},
			{"@", "ZONEMD", 86400, "2018031900 1 1 " + wanted},
			{"@", "NS", 86400, "ns2.example."},
			{"@", "SOA", 86400, "ns1.example. admin.example. 2018031900 1800 900 604800 86400"},
			{"ns1", "A", 3600, "203.0.113.63"},
			{"@", "NS", 86400, "ns1.example."},
			{"@", "NS", 86400, "ns1.example."},
		}}
		if got := digestOf(t, s); got != wanted {
			t.Error(got)
		}
		s.Zonemd = wanted
		if built, faults, err := s.build(s.arrange()); err != nil || faults != nil || built.proof != proved {
			t.Error(faults, err)
		}
	})
	t.Run("sees each row, each TTL, each letter", func(t *testing.T) {
		s := stateOf("www A 192.0.2.1", "t TXT \"one\"")
		s.Zone = "a.example."
		whole := digestOf(t, s)
		for i := range s.Rows {
			for _, change := range []func(*row){
				func(r *row) { r.TTL++ },
				func(r *row) { r.Data = strings.NewReplacer("0.2.1", "0.2.2", "one", "onE").Replace(r.Data) },
				func(r *row) { r.Host = "other"; r.Type = strings.Replace(r.Type, "SOA", "HINFO", 1) },
			} {
				other := &state{Zone: s.Zone, Rows: slices.Clone(s.Rows)}
				if change(&other.Rows[i]); other.Rows[i] == s.Rows[i] || strings.HasPrefix(other.Rows[i].Type, "HINFO") {
					continue
				}
				if digestOf(t, other) == whole {
					t.Error(other.Rows[i])
				}
			}
			if digestOf(t, &state{Zone: s.Zone, Rows: slices.Delete(slices.Clone(s.Rows), i, i+1)}) == whole {
				t.Error("without", s.Rows[i])
			}
		}
	})
}

// prove gives a zone of the tables the digest of the rows that it has.
func (f *fakeTables) prove(t *testing.T, name string) {
	t.Helper()
	f.zones[name].Zonemd = digestOf(t, &f.zones[name].state)
}

func TestRowsThatAreNotThoseOfTheirVersion(t *testing.T) {
	begin := func(t *testing.T) (*fakeTables, *testFollower) {
		from := newFakeTables()
		from.set("a.example.", 1, "t TXT 1")
		from.prove(t, "a.example.")
		f := newTestFollower(t, from)
		f.settle(t)
		f.notified = nil
		return from, f
	}
	rows := func(texts ...string) []row { return stateOf(texts...).Rows }

	t.Run("do not take the place of what is known to be right, of the same version", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		from.zones["a.example."].Rows = rows("t TXT 0") // the dump's
		f.pass(t, f.keep-time.Minute)
		if f.text("a.example.") != `"1"` || len(f.doubts) != 1 {
			t.Fatal(f.text("a.example."), f.doubts)
		}
		from.zones["a.example."].Rows = rows("t TXT 1") // repaired
		from.births++
		f.pass(t, time.Second)
		if f.text("a.example.") != `"1"` || len(f.doubts) != 0 {
			t.Fatal(f.text("a.example."), f.doubts)
		}
		f.mustHaveNotified(t)
	})
	t.Run("are not believed under a newer version, and seen when they are repaired without a new number", func(t *testing.T) {
		from, f := begin(t)
		from.set("a.example.", 2, "t TXT 2")
		from.prove(t, "a.example.")
		right := from.zones["a.example."].Rows
		from.zones["a.example."].Rows = rows("t TXT 0")
		f.pass(t, 5*time.Second)
		f.mustServe(t, "a.example. 1")
		from.zones["a.example."].Rows = right
		f.pass(t, 2*pauseSoon)
		f.mustServe(t, "a.example. 2")
		if f.text("a.example.") != `"2"` || len(f.strange) != 0 {
			t.Fatal(f.text("a.example."), f.strange)
		}
	})
	t.Run("are served in the end, if they stay", func(t *testing.T) {
		from, f := begin(t)
		from.set("a.example.", 2, "t TXT 2")
		from.zones["a.example."].Zonemd = strings.Repeat("0", 96)
		f.pass(t, pauseStrange-time.Second)
		f.mustServe(t, "a.example. 1")
		f.pass(t, time.Second+2*pauseSoon)
		f.mustServe(t, "a.example. 2")
		before := from.statements
		f.othersAt = f.clock.Add(time.Hour)
		f.pass(t, time.Minute)
		if from.statements-before != int(time.Minute/f.poll) || f.seen != nil || len(f.strange) != 0 {
			t.Error("still looking")
		}
	})
	t.Run("end after `keep` what was known to be right", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		from.zones["a.example."].Rows = rows("t TXT 0")
		f.pass(t, f.keep+time.Minute)
		if f.text("a.example.") != `"0"` || len(f.doubts) != 0 || len(f.expired) != 0 {
			t.Fatal(f.text("a.example."), f.doubts, f.expired)
		}
	})
	t.Run("are of no interest any more when the zone is deleted", func(t *testing.T) {
		from, f := begin(t)
		from.set("a.example.", 2, "t TXT 2")
		from.zones["a.example."].Zonemd = strings.Repeat("0", 96)
		f.advance(t)
		from.delete("a.example.", 3)
		f.advance(t)
		if f.mustServe(t, ""); len(f.strange) != 0 {
			t.Error(f.strange)
		}
	})
	t.Run("are believed where no digest is known", func(t *testing.T) {
		from, f := begin(t)
		from.set("a.example.", 2, "t TXT 2")
		f.advance(t)
		f.mustServe(t, "a.example. 2")
	})
}

func TestRestart(t *testing.T) {
	t.Run("goes on where it was, without a pass over all zones", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.page = 2
		for _, name := range []string{"a.example.", "b.example.", "c.example.", "d.example.", "e.example."} {
			from.set(name, 1)
		}
		f := withSnapshot(t, from, path)
		f.settle(t)
		f.end()
		from.set("f.example.", 1)
		from.delete("a.example.", 2)
		before := from.statements
		f = withSnapshot(t, from, path)
		defer f.end()
		f.advance(t)
		f.mustServe(t, "b.example. 1, c.example. 1, d.example. 1, e.example. 1, f.example. 1")
		f.advance(t)
		if f.seen != nil || from.statements-before != 2 {
			t.Error("it began a pass")
		}
	})
	t.Run("looks at everything when tables were made anew meanwhile, or the count went back", func(t *testing.T) {
		for _, spoil := range []func(*fakeTables){
			func(from *fakeTables) { from.births++ },
			func(from *fakeTables) { from.counter-- },
		} {
			from, path := newFakeTables(), tempSnapshot(t)
			from.set("a.example.", 1)
			from.set("b.example.", 1)
			f := withSnapshot(t, from, path)
			f.settle(t)
			f.end()
			from.zones["a.example."].Version.Offset = 2 // its number stays
			spoil(from)
			f = withSnapshot(t, from, path)
			f.settle(t)
			f.mustServe(t, "a.example. 2, b.example. 1")
			f.end()
		}
	})
	t.Run("looks at everything when there were doubts", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 5)
		from.set("b.example.", 5)
		f := withSnapshot(t, from, path)
		f.settle(t)
		from.births++
		delete(from.zones, "b.example.")
		f.pass(t, time.Minute)
		f.end()
		f = withSnapshot(t, from, path)
		defer f.end()
		f.mustServe(t, "a.example. 5, b.example. 5")
		f.pass(t, f.keep+time.Minute)
		f.mustServe(t, "a.example. 5")
	})
}

func TestTablesThatAreEmpty(t *testing.T) {
	t.Run("and without dadns_zones are no reason to be ready, and looked at again soon", func(t *testing.T) {
		from := newFakeTables()
		from.unknowing = true
		f := newTestFollower(t, from)
		f.pass(t, 20*time.Second)
		if f.wholly.Load() || from.statements < 20 {
			t.Fatal(from.statements)
		}
		from.unknowing = false
		from.set("a.example.", 1)
		f.pass(t, 2*time.Second)
		f.mustServe(t, "a.example. 1")
	})
}

func TestProofInTheSnapshot(t *testing.T) {
	t.Run("what was known to be right is so after a restart", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 1, "t TXT 1")
		from.prove(t, "a.example.")
		f := withSnapshot(t, from, path)
		f.settle(t)
		f.end()
		from.births++
		from.zones["a.example."].Rows = stateOf("t TXT 0").Rows
		f = withSnapshot(t, from, path)
		defer f.end()
		f.pass(t, f.keep-time.Minute)
		if f.text("a.example.") != `"1"` || len(f.doubts) != 1 {
			t.Fatal(f.text("a.example."), f.doubts)
		}
	})
}
