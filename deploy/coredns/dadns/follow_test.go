// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

var errAway = errors.New("connection refused")

func TestFirstPass(t *testing.T) {
	t.Run("reads page after page, and is ready behind the last one and the zones without versions", func(t *testing.T) {
		from := newFakeTables()
		from.page = 3
		for n := range 10 {
			from.set(fmt.Sprintf("zone%d.example.", n), int64(n+1))
		}
		from.setPlain("plain.example.")
		f := newTestFollower(t, from)
		f.advance(t) // learns which tables these are
		for page := 1; page <= 4; page++ {
			if f.wholly.Load() {
				t.Fatalf("ready before page %d", page)
			}
			f.advance(t)
			if count := f.zones.count(); count != min(3*page, 10) {
				t.Fatalf("%d zones after %d pages", count, page)
			}
		}
		if f.wholly.Load() {
			t.Fatal("ready without the others")
		}
		f.advance(t)
		if !f.wholly.Load() || f.zones.get("plain.example.") == nil || f.zones.count() != 11 {
			t.Fatal("not ready: " + f.serves())
		}
		if from.statements != 6 {
			t.Errorf("%d statements", from.statements)
		}
	})
	t.Run("reads the last page even if it is exactly full", func(t *testing.T) {
		from := newFakeTables()
		from.page = 2
		from.set("a.example.", 1)
		from.set("b.example.", 1)
		f := newTestFollower(t, from)
		f.settle(t)
		f.mustServe(t, "a.example. 1, b.example. 1")
	})
	t.Run("of one batch goes on in the middle of it", func(t *testing.T) {
		from := newFakeTables()
		from.page = 2
		for _, name := range []string{"a.example.", "b.example.", "c.example.", "d.example.", "e.example."} {
			from.set(name, 1)
			from.zones[name].changed = 1
		}
		f := newTestFollower(t, from)
		f.settle(t)
		f.mustServe(t, "a.example. 1, b.example. 1, c.example. 1, d.example. 1, e.example. 1")
	})
	t.Run("sees what changes meanwhile", func(t *testing.T) {
		from := newFakeTables()
		from.page = 1
		from.set("a.example.", 1)
		from.set("b.example.", 1)
		f := newTestFollower(t, from)
		f.advance(t)
		f.advance(t)
		from.set("a.example.", 2)
		from.delete("b.example.", 2)
		from.set("c.example.", 1)
		f.settle(t)
		f.mustServe(t, "a.example. 2, c.example. 1")
	})
	t.Run("begins anew if the tables are made anew meanwhile", func(t *testing.T) {
		from := newFakeTables()
		from.page = 1
		for n := range 4 {
			from.set(fmt.Sprintf("zone%d.example.", n), 1)
		}
		f := newTestFollower(t, from)
		f.advance(t)
		f.advance(t)
		f.advance(t)
		from.births++
		from.zones["zone0.example."].Version.Offset = 5
		f.settle(t)
		f.mustServe(t, "zone0.example. 5, zone1.example. 1, zone2.example. 1, zone3.example. 1")
	})
	t.Run("of tables without any zone is ready too", func(t *testing.T) {
		f := newTestFollower(t, newFakeTables())
		f.settle(t)
		f.mustServe(t, "")
	})
	t.Run("is not done while the database is away", func(t *testing.T) {
		from := newFakeTables()
		from.err = errAway
		f := newTestFollower(t, from)
		if err := f.turn(t.Context()); err == nil || f.wholly.Load() {
			t.Fatal("ready")
		}
		from.err = nil
		from.set("a.example.", 1)
		f.settle(t)
		f.mustServe(t, "a.example. 1")
	})
	t.Run("waits while dadns_meta is empty", func(t *testing.T) {
		from := newFakeTables()
		from.births = -1
		from.set("a.example.", 1)
		f := newTestFollower(t, from)
		if err := f.turn(t.Context()); !errors.Is(err, errBeingMade) || f.zones.count() != 0 {
			t.Fatal(err)
		}
		from.births = 1
		f.settle(t)
		f.mustServe(t, "a.example. 1")
	})
}

func TestChanges(t *testing.T) {
	from := newFakeTables()
	from.set("a.example.", 1, "t TXT 1")
	from.set("b.example.", 1, "t TXT 1")
	f := newTestFollower(t, from)
	f.settle(t)
	f.mustHaveNotified(t, "a.example.", "b.example.")

	t.Run("a new version is served at the next poll, and notified", func(t *testing.T) {
		from.set("a.example.", 2, "t TXT 2")
		f.advance(t)
		if text := f.text("a.example."); text != `"2"` {
			t.Fatal(text)
		}
		f.mustServe(t, "a.example. 2, b.example. 1")
		f.mustHaveNotified(t, "a.example.")
	})
	t.Run("one statement a poll is enough", func(t *testing.T) {
		before := from.statements
		f.othersAt = f.clock.Add(time.Hour)
		f.pass(t, 10*f.poll)
		if from.statements != before+10 {
			t.Fatal(from.statements - before)
		}
	})
	t.Run("a zone that did not change is the same one in memory", func(t *testing.T) {
		before := f.zones.get("b.example.")
		from.counter++
		from.zones["b.example."].changed = from.counter
		f.advance(t)
		if f.zones.get("b.example.") != before {
			t.Fatal("another")
		}
		f.mustHaveNotified(t)
	})
	t.Run("a newer version with the same content is taken, and nobody told", func(t *testing.T) {
		from.set("b.example.", 2, "t TXT 1")
		f.advance(t)
		f.mustServe(t, "a.example. 2, b.example. 2")
		f.mustHaveNotified(t)
	})
	t.Run("other rows under the same version are taken: somebody put them right", func(t *testing.T) {
		from.set("b.example.", 2, "t TXT 3")
		f.advance(t)
		if text := f.text("b.example."); text != `"3"` {
			t.Fatal(text)
		}
		f.mustHaveNotified(t, "b.example.")
	})
	t.Run("a higher epoch is newer whatever its offset", func(t *testing.T) {
		from.set("b.example.", 1, "t TXT 4")
		from.zones["b.example."].Version.Epoch = 2
		f.advance(t)
		if text := f.text("b.example."); text != `"4"` {
			t.Fatal(text)
		}
		f.mustHaveNotified(t, "b.example.")
	})
	t.Run("a deleted zone goes at the next poll", func(t *testing.T) {
		from.delete("a.example.", 3)
		f.advance(t)
		f.mustServe(t, "b.example. 1")
	})
	t.Run("an older version of it does not bring it back", func(t *testing.T) {
		from.set("a.example.", 2)
		f.advance(t)
		f.mustServe(t, "b.example. 1")
	})
	t.Run("a newer one does, and is notified", func(t *testing.T) {
		from.set("a.example.", 4)
		f.advance(t)
		f.mustServe(t, "a.example. 4, b.example. 1")
		f.mustHaveNotified(t, "a.example.")
	})
	t.Run("the delete of a zone that was never served is no change", func(t *testing.T) {
		from.delete("c.example.", 1)
		f.advance(t)
		f.mustServe(t, "a.example. 4, b.example. 1")
		f.mustHaveNotified(t)
	})
}

func TestTablesInDoubt(t *testing.T) {
	begin := func(t *testing.T) (*fakeTables, *testFollower) {
		from := newFakeTables()
		from.set("a.example.", 3)
		from.set("b.example.", 3)
		from.set("gone.example.", 1)
		from.delete("gone.example.", 3)
		f := newTestFollower(t, from)
		f.settle(t)
		f.notified, f.poll = nil, time.Second // hours pass here
		return from, f
	}
	const all = "a.example. 3, b.example. 3"

	for _, c := range []struct {
		sentence string
		spoil    func(from *fakeTables)
		then     string // after `keep`
	}{
		{"made anew and empty", func(from *fakeTables) { from.restore(newFakeTables()); from.births = 8 }, ""},
		{"emptied under the same births", func(from *fakeTables) { from.restore(newFakeTables()) }, ""},
		{"half filled", func(from *fakeTables) { from.births++; delete(from.zones, "a.example.") }, "b.example. 3"},
		{"older than what is served", func(from *fakeTables) {
			from.births++
			from.set("a.example.", 2)
			from.set("gone.example.", 1)
		}, "a.example. 2, b.example. 3, gone.example. 1"},
		{"of a lower epoch", func(from *fakeTables) {
			from.births++
			from.zones["a.example."].Version = version{0, 99}
		}, "a.example. 99, b.example. 3"},
		{"older than the delete", func(from *fakeTables) { from.births++; from.set("gone.example.", 2) },
			"a.example. 3, b.example. 3, gone.example. 2"},
		{"older, and know of a delete that was overtaken", func(from *fakeTables) { from.births++; from.delete("a.example.", 2) },
			"b.example. 3"},
		{"back at a counter that is lower", func(from *fakeTables) {
			delete(from.zones, "a.example.")
			from.zones["b.example."].changed, from.zones["gone.example."].changed, from.counter = 1, 1, 1
		}, "b.example. 3"},
	} {
		t.Run("zones stand as they were for the time of `keep` when the tables are "+c.sentence, func(t *testing.T) {
			from, f := begin(t)
			c.spoil(from)
			for f.pass(t, f.keep-time.Minute); f.clock.Before(time.Unix(1e9, 0).Add(f.keep)); f.advance(t) {
				f.mustServe(t, all)
			}
			f.pass(t, pauseAgain)
			f.mustServe(t, c.then)
			if len(f.doubts) != 0 || len(f.expired) != 0 {
				t.Error("still in doubt")
			}
		})
		t.Run("nothing happens when they are put right in time after they were "+c.sentence, func(t *testing.T) {
			from, f := begin(t)
			whole := from.dump()
			c.spoil(from)
			f.pass(t, 30*time.Minute)
			births := from.births
			from.restore(whole)
			from.births = births + 1
			f.pass(t, 2*f.keep)
			f.mustServe(t, all)
			f.mustHaveNotified(t)
			if len(f.doubts) != 0 {
				t.Error("still in doubt")
			}
		})
	}
	t.Run("a doubt that ended begins its time anew when it comes back", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		a := from.zones["a.example."]
		delete(from.zones, "a.example.")
		f.pass(t, 50*time.Minute)
		from.births++
		from.zones["a.example."] = a
		f.pass(t, time.Minute)
		from.births++
		delete(from.zones, "a.example.")
		f.pass(t, 50*time.Minute)
		f.mustServe(t, all)
		f.pass(t, 11*time.Minute)
		f.mustServe(t, "b.example. 3")
	})
	t.Run("a zone that comes again in a newer version is not in doubt", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		delete(from.zones, "a.example.")
		f.pass(t, time.Minute)
		from.set("a.example.", 4)
		f.pass(t, 2*f.keep)
		f.mustServe(t, "a.example. 4, b.example. 3")
	})
	t.Run("a zone that others have while dadns_zones lost it stays as it is, and is theirs at the next poll after `keep`", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		delete(from.zones, "a.example.")
		from.setPlain("a.example.", "t TXT theirs")
		gaps := 0
		for range 2 * f.keep / time.Second {
			f.clock = f.clock.Add(time.Second - f.poll)
			f.advance(t)
			if f.zones.get("a.example.") == nil {
				gaps++
			}
		}
		if gaps > 1 {
			t.Fatalf("%d polls without", gaps)
		}
		if text := f.text("a.example."); text != `"theirs"` {
			t.Fatal(text)
		}
	})
	t.Run("a zone that was deleted does not come back from an older dump by way of those without versions", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		delete(from.zones, "gone.example.")
		from.setPlain("gone.example.")
		f.pass(t, 30*time.Minute)
		f.mustServe(t, all)
	})
	t.Run("a deleted zone that the tables have forgotten is not counted as served, and not forgotten", func(t *testing.T) {
		from, f := begin(t)
		from.births++
		delete(from.zones, "gone.example.")
		f.pass(t, time.Minute)
		if len(f.doubts) != 1 || f.keptCount() != 0 {
			t.Error(f.doubts, f.keptCount())
		}
		delete(from.zones, "a.example.")
		from.births++
		f.pass(t, time.Minute)
		if f.keptCount() != 1 {
			t.Error(f.doubts, f.keptCount())
		}
	})
	t.Run("meta that lost its counter while zones have higher numbers does not keep the rest from being read", func(t *testing.T) {
		from, f := begin(t)
		from.page = 1
		from.counter = 0
		from.births = 1
		from.set("c.example.", 1)
		from.zones["c.example."].changed = 99
		from.counter = 0
		f.pass(t, time.Minute)
		f.mustServe(t, all+", c.example. 1")
	})
}

func TestZonesThatCannotBeServed(t *testing.T) {
	t.Run("without SOA it stays as it was, and is looked at again after a pause", func(t *testing.T) {
		from := newFakeTables()
		from.set("a.example.", 1, "t TXT 1")
		from.set("b.example.", 1)
		f := newTestFollower(t, from)
		f.settle(t)
		f.notified = nil
		whole := *from.zones["a.example."]
		from.spoil("a.example.", 2)
		f.pass(t, time.Second)
		f.mustServe(t, "a.example. 1, b.example. 1")
		changed := from.zones["a.example."].changed
		from.zones["a.example."] = &whole // by hand: its number stays
		whole.changed, whole.Version.Offset = changed, 2
		f.pass(t, pauseAgain-2*time.Second)
		f.mustServe(t, "a.example. 1, b.example. 1")
		f.pass(t, 2*time.Second)
		f.mustServe(t, "a.example. 2, b.example. 1")
		f.mustHaveNotified(t)
		before := from.statements
		f.othersAt = f.clock.Add(time.Hour)
		f.pass(t, 2*pauseAgain)
		if from.statements-before != int(2*pauseAgain/f.poll) {
			t.Error("still looking")
		}
	})
	t.Run("a new one is not served, the others are, and the whole is ready", func(t *testing.T) {
		from := newFakeTables()
		from.spoil("a.example.", 1)
		from.set("b.example.", 1)
		f := newTestFollower(t, from)
		f.settle(t)
		f.mustServe(t, "b.example. 1")
	})
	t.Run("others that change all the time do not put off the second look", func(t *testing.T) {
		from := newFakeTables()
		from.set("a.example.", 1)
		f := newTestFollower(t, from)
		f.settle(t)
		from.spoil("a.example.", 2)
		f.advance(t)
		from.zones["a.example."].Rows = stateOf().Rows
		for n := range int64(8) {
			from.spoil("bad.example.", n+1)
			f.pass(t, pauseAgain/5)
		}
		f.mustServe(t, "a.example. 2")
	})
	t.Run("records that cannot be read are left out", func(t *testing.T) {
		from := newFakeTables()
		from.set("a.example.", 1, "t TXT 1", "bad A x", "*..worse A 192.0.2.1")
		f := newTestFollower(t, from)
		f.settle(t)
		f.mustServe(t, "a.example. 1")
		if text := f.text("a.example."); text != `"1"` {
			t.Fatal(text)
		}
	})
	t.Run("a record of a signed zone does not take the zone away", func(t *testing.T) {
		from := newFakeTables()
		from.set("a.example.", 1, "@ NSEC3PARAM 1 0 0 -", "0p9mhaveqvm6t7vbl5lop2u3t2rp3ton NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A")
		f := newTestFollower(t, from)
		f.settle(t)
		f.mustServe(t, "a.example. 1")
		if sent := transferred(t, f.zones.get("a.example.")); len(sent) != 5 {
			t.Fatal(sent)
		}
	})
}

func TestZonesWithoutVersions(t *testing.T) {
	begin := func(t *testing.T) (*fakeTables, *testFollower) {
		from := newFakeTables()
		from.set("a.example.", 1)
		from.setPlain("plain.example.", "t TXT 1")
		f := newTestFollower(t, from)
		f.settle(t)
		f.mustServe(t, "a.example. 1, plain.example. 0")
		f.notified = nil
		return from, f
	}
	t.Run("leave room for the changes when polls are further apart than looks at them", func(t *testing.T) {
		from, f := begin(t)
		f.poll = 2 * pauseOthers
		from.set("a.example.", 2)
		f.advance(t)
		f.advance(t)
		f.mustServe(t, "a.example. 2, plain.example. 0")
		from.setPlain("new.example.")
		f.advance(t)
		f.advance(t)
		f.mustServe(t, "a.example. 2, new.example. 0, plain.example. 0")
	})
	t.Run("come and change within 10 s, and are notified", func(t *testing.T) {
		from, f := begin(t)
		from.setPlain("plain.example.", "t TXT 2")
		from.setPlain("new.example.")
		f.pass(t, pauseOthers+f.poll)
		f.mustServe(t, "a.example. 1, new.example. 0, plain.example. 0")
		if text := f.text("plain.example."); text != `"2"` {
			t.Fatal(text)
		}
		f.mustHaveNotified(t, "new.example.", "plain.example.")
	})
	t.Run("that do not change are the same in memory", func(t *testing.T) {
		_, f := begin(t)
		before := f.zones.get("plain.example.")
		f.pass(t, time.Minute)
		if f.zones.get("plain.example.") != before {
			t.Fatal("another")
		}
		f.mustHaveNotified(t)
	})
	t.Run("go when they are gone twice, and can come again", func(t *testing.T) {
		from, f := begin(t)
		delete(from.plain, "plain.example.")
		f.pass(t, 2*pauseOthers+2*f.poll)
		f.mustServe(t, "a.example. 1")
		from.setPlain("plain.example.")
		f.pass(t, pauseOthers+f.poll)
		f.mustServe(t, "a.example. 1, plain.example. 0")
	})
	t.Run("stay when the table of zones is empty", func(t *testing.T) {
		from, f := begin(t)
		f.poll = time.Second
		from.restore(newFakeTables())
		f.pass(t, 2*f.keep)
		f.mustServe(t, "plain.example. 0")
	})
	t.Run("are never put over a zone with a version", func(t *testing.T) {
		from, f := begin(t)
		from.setPlain("a.example.", "t TXT theirs")
		from.births++
		delete(from.zones, "a.example.")
		f.pass(t, time.Minute)
		f.mustServe(t, "a.example. 1, plain.example. 0")
		if text := f.text("a.example."); text != "" {
			t.Fatal(text)
		}
	})
	t.Run("get a version without a moment in which they are not served", func(t *testing.T) {
		for late := 1; late <= 4; late++ { // the look at the others comes before the change is seen, or behind it
			from, f := begin(t)
			for f.othersAt.Sub(f.clock) > time.Duration(late)*f.poll {
				f.advance(t)
			}
			from.set("plain.example.", 1, "t TXT ours")
			for range 300 {
				f.advance(t)
				if f.zones.get("plain.example.") == nil {
					t.Fatal("a moment without")
				}
			}
			f.mustServe(t, "a.example. 1, plain.example. 1")
		}
	})
	t.Run("go at once when they were taken over and deleted", func(t *testing.T) {
		from, f := begin(t)
		from.delete("plain.example.", 2)
		f.advance(t)
		f.mustServe(t, "a.example. 1")
	})
	t.Run("that are there in two spellings do not take turns", func(t *testing.T) {
		from, f := begin(t)
		states := []*state{stateOf("t TXT 1"), stateOf("t TXT 2")}
		for _, s := range states {
			s.Zone, s.Version = "twice.example.", version{}
		}
		from.plain["1"], from.plain["2"] = states[0], states[1]
		f.pass(t, time.Minute)
		if count := len(f.notified); count > 2 {
			t.Fatalf("%d times notified", count)
		}
	})
}

func TestTablesThatKnowNoVersions(t *testing.T) {
	from := newFakeTables()
	from.unknowing = true
	from.setPlain("a.example.", "t TXT 1")
	from.setPlain("b.example.")
	f := newTestFollower(t, from)

	t.Run("are read whole, and ready at once", func(t *testing.T) {
		f.advance(t)
		f.mustServe(t, "a.example. 0, b.example. 0")
		if !f.wholly.Load() {
			t.Fatal("not ready")
		}
		f.mustHaveNotified(t, "a.example.", "b.example.")
	})
	t.Run("cost two statements in 10 s", func(t *testing.T) {
		before := from.statements
		f.pass(t, pauseOthers)
		if from.statements != before+2 {
			t.Fatal(from.statements - before)
		}
	})
	t.Run("are followed: a change, a new one, one that is gone", func(t *testing.T) {
		from.setPlain("a.example.", "t TXT 2")
		from.setPlain("c.example.")
		delete(from.plain, "b.example.")
		f.pass(t, 2*pauseOthers+2*f.poll)
		f.mustServe(t, "a.example. 0, c.example. 0")
		if text := f.text("a.example."); text != `"2"` {
			t.Fatal(text)
		}
		f.notified = nil
	})
	t.Run("that are emptied keep what is served", func(t *testing.T) {
		plain := from.plain
		from.plain = map[string]*state{}
		f.pass(t, time.Minute)
		f.mustServe(t, "a.example. 0, c.example. 0")
		from.plain = plain
	})
	t.Run("learn versions: dadns_zones appears, empty, and fills up", func(t *testing.T) {
		from.unknowing = false
		from.births = -1
		f.clock = f.clock.Add(pauseOthers)
		if err := f.turn(t.Context()); !errors.Is(err, errBeingMade) {
			t.Fatal(err)
		}
		from.births = 5
		f.pass(t, pauseOthers)
		f.mustServe(t, "a.example. 0, c.example. 0")
		from.set("a.example.", 1, "t TXT 2")
		f.advance(t)
		f.mustServe(t, "a.example. 1, c.example. 0")
		f.mustHaveNotified(t)
		from.delete("c.example.", 2)
		f.advance(t)
		f.mustServe(t, "a.example. 1")
		delete(from.plain, "c.example.")
		delete(from.plain, "a.example.")
		f.pass(t, time.Minute)
		f.mustServe(t, "a.example. 1")
	})
	t.Run("once they knew them are trusted no more without: dadns_zones was dropped", func(t *testing.T) {
		from.unknowing = true
		from.plain = map[string]*state{}
		from.setPlain("old.example.")
		for range 100 {
			f.clock = f.clock.Add(time.Second)
			if err := f.turn(t.Context()); err == nil {
				t.Fatal("no error")
			}
		}
		f.mustServe(t, "a.example. 1")
	})
}

func TestDatabaseAway(t *testing.T) {
	from := newFakeTables()
	from.set("a.example.", 1)
	from.setPlain("plain.example.")
	f := newTestFollower(t, from)
	f.settle(t)
	f.notified = nil

	t.Run("what was served is served", func(t *testing.T) {
		from.err = errAway
		for range 1000 {
			f.clock = f.clock.Add(pauseAway)
			if err := f.turn(t.Context()); !errors.Is(err, errAway) {
				t.Fatal(err)
			}
		}
		f.mustServe(t, "a.example. 1, plain.example. 0")
		if !f.away || !f.wholly.Load() {
			t.Fatal("is it not away? no longer ready?")
		}
	})
	t.Run("what happened meanwhile is there at the first poll", func(t *testing.T) {
		from.set("a.example.", 2, "t TXT 1")
		from.set("b.example.", 1)
		from.err = nil
		f.othersAt = f.clock.Add(pauseOthers)
		f.advance(t)
		f.mustServe(t, "a.example. 2, b.example. 1, plain.example. 0")
		if f.away {
			t.Fatal("still away")
		}
	})
	t.Run("in the middle of a pass, it goes on from there", func(t *testing.T) {
		from.page = 1
		from.births++
		f.advance(t)
		f.advance(t)
		from.err = errAway
		if f.turn(t.Context()) == nil || f.seen == nil {
			t.Fatal("no pass")
		}
		from.err = nil
		f.settle(t)
		f.mustServe(t, "a.example. 2, b.example. 1, plain.example. 0")
	})
}

func TestSnapshotOfAFollower(t *testing.T) {
	size := func(t *testing.T, path string) int64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	t.Run("serves the same after a restart without a database, and is ready", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 1, "t TXT 1")
		from.set("a.example.", 2, "t TXT 2")
		from.set("b.example.", 1)
		from.setPlain("plain.example.", "t TXT 1")
		f := withSnapshot(t, from, path)
		f.settle(t)
		from.delete("b.example.", 2)
		from.set("c.example.", 1)
		from.setPlain("plain.example.", "t TXT 2")
		f.pass(t, pauseOthers+f.poll)
		was := f.serves()
		f.end()

		from.err = errAway
		f = withSnapshot(t, from, path)
		defer f.end()
		if f.turn(t.Context()) == nil || !f.wholly.Load() {
			t.Fatal("not ready")
		}
		f.mustServe(t, was)
		if f.text("a.example.") != `"2"` || f.text("plain.example.") != `"2"` {
			t.Fatal("older ones")
		}
		f.mustHaveNotified(t)
	})
	t.Run("of a pass that was not done is served but not ready", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.page = 1
		from.set("a.example.", 1)
		from.set("b.example.", 1)
		f := withSnapshot(t, from, path)
		f.advance(t)
		f.advance(t)
		f.end()
		f = withSnapshot(t, from, path)
		defer f.end()
		f.mustServe(t, "a.example. 1")
		if f.wholly.Load() {
			t.Fatal("ready")
		}
	})
	t.Run("does not grow while nothing changes, not even by a pass or a restart", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 1)
		from.delete("gone.example.", 1)
		from.setPlain("plain.example.")
		f := withSnapshot(t, from, path)
		f.settle(t)
		from.births++
		f.pass(t, time.Minute)
		before := size(t, path)
		f.pass(t, time.Minute)
		f.end()
		f = withSnapshot(t, from, path)
		f.settle(t)
		f.pass(t, time.Minute)
		f.end()
		if after := size(t, path); after != before {
			t.Fatalf("%d octets, not %d", after, before)
		}
		f.mustHaveNotified(t)
	})
	t.Run("knows versions: after a restart older tables are as much in doubt as before", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 5)
		from.delete("gone.example.", 5)
		f := withSnapshot(t, from, path)
		f.settle(t)
		f.end()
		old := newFakeTables()
		old.set("a.example.", 4)
		old.set("gone.example.", 4)
		f = withSnapshot(t, old, path)
		defer f.end()
		f.pass(t, time.Minute)
		f.mustServe(t, "a.example. 5")
	})
	t.Run("that knows versions makes tables without them an error, not the truth", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 5)
		f := withSnapshot(t, from, path)
		f.settle(t)
		f.end()
		old := newFakeTables()
		old.unknowing = true
		old.setPlain("a.example.")
		f = withSnapshot(t, old, path)
		defer f.end()
		if err := f.turn(t.Context()); !errors.Is(err, errNoVersions) {
			t.Fatal(err)
		}
		f.mustServe(t, "a.example. 5")
	})
	t.Run("lets a zone without a version come again that had gone before the restart", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.unknowing = true
		from.setPlain("a.example.")
		from.setPlain("b.example.")
		f := withSnapshot(t, from, path)
		f.settle(t)
		delete(from.plain, "b.example.")
		f.pass(t, 2*pauseOthers+2*f.poll)
		f.mustServe(t, "a.example. 0")
		f.end()
		from.setPlain("b.example.")
		f = withSnapshot(t, from, path)
		defer f.end()
		f.mustServe(t, "a.example. 0")
		f.advance(t)
		f.mustServe(t, "a.example. 0, b.example. 0")
	})
	t.Run("forgets what ended with its doubt", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 5)
		from.set("b.example.", 5)
		f := withSnapshot(t, from, path)
		f.settle(t)
		from.births++
		delete(from.zones, "b.example.")
		f.pass(t, f.keep+time.Minute)
		f.mustServe(t, "a.example. 5")
		f.end()
		from.set("b.example.", 1)
		f = withSnapshot(t, from, path)
		defer f.end()
		f.mustServe(t, "a.example. 5")
		f.settle(t)
		f.mustServe(t, "a.example. 5, b.example. 1")
	})
}

// breakFile gives it a file that cannot be written.
func breakFile(t *testing.T, f *testFollower) (mend func()) {
	t.Helper()
	good := f.journal.file
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.journal.file = full
	return func() {
		full.Close()
		f.journal.file = good
	}
}

func TestSnapshotThatCannotBeWritten(t *testing.T) {
	begin := func(t *testing.T) (*fakeTables, *testFollower, string) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 1, "t TXT 1")
		from.set("b.example.", 1)
		f := withSnapshot(t, from, path)
		return from, f, path
	}
	restart := func(t *testing.T, f *testFollower, path string) *testFollower {
		t.Helper()
		f.end()
		f = withSnapshot(t, f.from, path)
		t.Cleanup(f.end)
		return f
	}
	t.Run("does not keep zones from being served; what is owed is written when it can be", func(t *testing.T) {
		from, f, path := begin(t)
		f.settle(t)
		mend := breakFile(t, f)
		from.set("a.example.", 2, "t TXT 2")
		from.delete("b.example.", 2)
		from.set("c.example.", 1)
		f.advance(t)
		f.mustServe(t, "a.example. 2, c.example. 1")
		f.pass(t, 20*time.Second)
		f.mustServe(t, "a.example. 2, c.example. 1")
		mend()
		f.pass(t, pauseAgain+time.Second)
		f = restart(t, f, path)
		f.mustServe(t, "a.example. 2, c.example. 1")
	})
	t.Run("is no reason to notify again", func(t *testing.T) {
		from, f, _ := begin(t)
		f.settle(t)
		f.notified = nil
		defer f.end()
		defer breakFile(t, f)()
		from.set("a.example.", 2, "t TXT 2")
		f.pass(t, time.Minute)
		f.mustHaveNotified(t, "a.example.")
	})
	t.Run("notes later that all was read", func(t *testing.T) {
		_, f, path := begin(t)
		mend := breakFile(t, f)
		f.pass(t, time.Minute)
		if !f.wholly.Load() {
			t.Fatal("not ready")
		}
		mend()
		f.pass(t, time.Minute)
		f = restart(t, f, path)
		f.mustServe(t, "a.example. 1, b.example. 1")
		if !f.wholly.Load() {
			t.Fatal("not noted")
		}
	})
	t.Run("does not put off the second look at a zone without SOA", func(t *testing.T) {
		from, f, _ := begin(t)
		f.settle(t)
		defer f.end()
		defer breakFile(t, f)()
		from.spoil("a.example.", 2)
		f.pass(t, time.Second)
		from.zones["a.example."].Rows = stateOf().Rows
		f.pass(t, pauseAgain)
		f.mustServe(t, "a.example. 2, b.example. 1")
	})
}

func TestReloadOfAServer(t *testing.T) {
	t.Run("an old server that goes on after a failed reload is as ready as before", func(t *testing.T) {
		from, path := newFakeTables(), tempSnapshot(t)
		from.set("a.example.", 1)
		f := withSnapshot(t, from, path)
		f.settle(t)
		f.end()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := f.load(path); err != nil {
			t.Fatal(err)
		}
		defer f.end()
		if !f.wholly.Load() {
			t.Fatal("not ready")
		}
		f.mustServe(t, "a.example. 1")
	})
}
