// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// reopen returns what a file has, and closes it again.
func reopen(t *testing.T, path string) (map[string]*state, bool) {
	t.Helper()
	states := map[string]*state{}
	j, complete, err := openJournal(path, func(s *state) { states[s.Zone] = s })
	if err != nil {
		t.Fatal(err)
	}
	j.close()
	return states, complete
}

func openForTest(t *testing.T, path string) *journal {
	t.Helper()
	j, _, err := openJournal(path, func(*state) {})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustKeep(t *testing.T, j *journal, states ...*state) {
	t.Helper()
	for _, s := range states {
		if err := j.keep(s); err != nil {
			t.Fatal(err)
		}
	}
}

func stateNumbered(zone string, offset int64) *state {
	s := stateOf(fmt.Sprintf("t TXT %d", offset))
	s.Zone, s.Version = zone, version{1, offset}
	return s
}

func offsets(states map[string]*state) map[string]int64 {
	found := map[string]int64{}
	for zone, s := range states {
		found[zone] = s.Version.Offset
		if s.Deleted {
			found[zone] = -s.Version.Offset
		}
	}
	return found
}

func mustHave(t *testing.T, states map[string]*state, wanted map[string]int64) {
	t.Helper()
	if got := offsets(states); !reflect.DeepEqual(got, wanted) {
		t.Fatalf("%v, not %v", got, wanted)
	}
}

func TestJournal(t *testing.T) {
	t.Run("has what was written, as it was", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		s := stateOf(`odd\ name TXT "\"\255<>&`+"\u2028"+`"`, "t TXT \xff\x00")
		s.Version = version{1 << 40, 1 << 62}
		s.Rows[3].Data = "quoted \\ and é"
		plain := stateOf()
		plain.Zone, plain.Version = "plain.example.", version{}
		gone := &state{Zone: "gone.example.", Version: version{1, 2}, Deleted: true}
		mustKeep(t, j, s, plain, gone)
		j.close()
		states, complete := reopen(t, path)
		if complete || len(states) != 3 {
			t.Fatal(complete, states)
		}
		for _, wanted := range []*state{s, plain, gone} {
			if got := states[wanted.Zone]; !reflect.DeepEqual(got, wanted) {
				t.Errorf("%+v, not %+v", got, wanted)
			}
		}
	})
	t.Run("has the last of each zone", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		mustKeep(t, j, stateNumbered("a.", 1), stateNumbered("b.", 1), stateNumbered("a.", 2), &state{Zone: "b.", Version: version{1, 2}, Deleted: true})
		j.close()
		states, _ := reopen(t, path)
		mustHave(t, states, map[string]int64{"a.": 2, "b.": -2})
	})
	t.Run("knows that it once was whole, whatever came then", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		mustKeep(t, j, stateNumbered("a.", 1))
		size := j.size
		for range 3 {
			if err := j.complete(); err != nil {
				t.Fatal(err)
			}
		}
		if one := j.size - size; one > 50 {
			t.Errorf("noted more than once: %d octets", one)
		}
		mustKeep(t, j, stateNumbered("a.", 2))
		j.close()
		if _, complete := reopen(t, path); !complete {
			t.Fatal("no")
		}
	})
	t.Run("forgets a zone without a version", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		mustKeep(t, j, stateNumbered("a.", 1), &state{Zone: "a.", Deleted: true}, stateNumbered("b.", 1))
		if len(j.lines) != 1 {
			t.Fatal(j.lines)
		}
		j.close()
		states, _ := reopen(t, path)
		mustHave(t, states, map[string]int64{"b.": 1})
	})
	t.Run("that is empty begins anew", func(t *testing.T) {
		path := tempSnapshot(t)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if states, complete := reopen(t, path); len(states) != 0 || complete {
			t.Fatal("not empty")
		}
	})
	t.Run("is readable by its owner only", func(t *testing.T) {
		path := tempSnapshot(t)
		openForTest(t, path).close()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info, err)
		}
	})
}

func TestJournalThatWasCut(t *testing.T) {
	path := tempSnapshot(t)
	j := openForTest(t, path)
	mustKeep(t, j, stateNumbered("a.", 1), stateNumbered("b.", 1))
	before := j.size
	if err := j.complete(); err != nil {
		t.Fatal(err)
	}
	noted := j.size
	mustKeep(t, j, stateNumbered("a.", 2))
	first := j.size
	mustKeep(t, j, &state{Zone: "b.", Version: version{1, 2}, Deleted: true})
	j.close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("at any octet of its last lines has the state before, and goes on from there", func(t *testing.T) {
		for cut := before; cut <= int64(len(text)); cut++ {
			if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			wanted := map[string]int64{"a.": 1, "b.": 1}
			if cut >= first {
				wanted["a."] = 2
			}
			if cut == int64(len(text)) {
				wanted["b."] = -2
			}
			states, complete := reopen(t, path)
			mustHave(t, states, wanted)
			if complete != (cut >= noted) {
				t.Fatalf("cut at %d: complete %v", cut, complete)
			}
			j := openForTest(t, path)
			mustKeep(t, j, stateNumbered("c.", 3))
			j.close()
			wanted["c."] = 3
			states, _ = reopen(t, path)
			mustHave(t, states, wanted)
		}
	})
	t.Run("or changed at any octet has the state before it", func(t *testing.T) {
		for at := before; at < int64(len(text)); at++ {
			for _, flip := range []byte{1, 0x20, 0x80} {
				changed := bytes.Clone(text)
				changed[at] ^= flip
				if err := os.WriteFile(path, changed, 0o600); err != nil {
					t.Fatal(err)
				}
				states, _ := reopen(t, path)
				got := offsets(states)
				if at < first && got["a."] != 1 && changed[at]|0x20 != text[at]|0x20 {
					t.Fatalf("octet %d: %v", at, got)
				}
				if got["b."] == -2 && changed[at]|0x20 != text[at]|0x20 { // the sum may be in capitals
					t.Fatalf("octet %d: the last line was taken", at)
				}
			}
		}
	})
	t.Run("or filled with zeroes behind a power cut has the state before", func(t *testing.T) {
		zeroed := append(bytes.Clone(text[:first]), make([]byte, 4096)...)
		if err := os.WriteFile(path, zeroed, 0o600); err != nil {
			t.Fatal(err)
		}
		states, _ := reopen(t, path)
		mustHave(t, states, map[string]int64{"a.": 2, "b.": 1})
		if info, _ := os.Stat(path); info.Size() != first {
			t.Fatal("what is dropped stays")
		}
	})
}

func TestJournalThatIsRefused(t *testing.T) {
	for sentence, text := range map[string]string{
		"another program's":             "; a zone file\n",
		"ours but for the first octets": "x" + mustEncode(&line{Format: journalFormat}),
		"of another format":             mustEncode(&line{Format: "dadns-snapshot/2"}),
		"a state without the beginning": mustEncode(&line{state: state{Zone: "a."}}),
		"cut within its first line":     mustEncode(&line{Format: journalFormat})[:20],
		"a large one without a newline": strings.Repeat("x", 3<<20),
	} {
		t.Run("a file that is "+sentence+" is refused and left as it is", func(t *testing.T) {
			path := tempSnapshot(t)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := openJournal(path, func(*state) {})
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Fatal(err)
			}
			if after, _ := os.ReadFile(path); string(after) != text {
				t.Fatal("it was changed")
			}
		})
	}
	t.Run("a second server on one file is refused, until the first has ended", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		if _, _, err := openJournal(path, func(*state) {}); err == nil || !strings.Contains(err.Error(), "another server") {
			t.Fatal(err)
		}
		j.live, j.size = 0, garbageMin+1
		j.close()
		openForTest(t, path).close()
	})
	t.Run("a folder that is not there is an error", func(t *testing.T) {
		if _, _, err := openJournal("/nonexistent/zones", func(*state) {}); err == nil {
			t.Fatal("none")
		}
	})
}

func mustEncode(l *line) string {
	text, err := encode(l)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestRewrite(t *testing.T) {
	large := stateNumbered("large.", 1)
	large.Rows[2].Data = strings.Repeat("x", 64<<10)
	grow := func(t *testing.T, j *journal) {
		t.Helper()
		for n := range int64(24) {
			large.Version.Offset = n
			mustKeep(t, j, large)
		}
		mustKeep(t, j, stateNumbered("a.", 1), &state{Zone: "b.", Version: version{1, 5}, Deleted: true},
			stateNumbered("c.", 1), &state{Zone: "c.", Deleted: true})
	}
	wanted := map[string]int64{"large.": 23, "a.": 1, "b.": -5}

	t.Run("makes the file small when most of it is out of date; its content is the same", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		if err := j.complete(); err != nil {
			t.Fatal(err)
		}
		grow(t, j)
		if err := j.tend(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() != j.size || j.size > 100<<10 {
			t.Fatal(info, j.size)
		}
		mustKeep(t, j, stateNumbered("a.", 2))
		j.close()
		states, complete := reopen(t, path)
		wanted["a."] = 2
		mustHave(t, states, wanted)
		wanted["a."] = 1
		if !complete {
			t.Error("it was whole")
		}
		if files, _ := filepath.Glob(path + "*"); len(files) != 2 {
			t.Error(files)
		}
	})
	t.Run("does not make it whole", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		grow(t, j)
		if err := j.rewrite(); err != nil {
			t.Fatal(err)
		}
		j.close()
		states, complete := reopen(t, path)
		mustHave(t, states, wanted)
		if complete {
			t.Fatal("it does")
		}
	})
	t.Run("waits until it is worth it", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		defer j.close()
		for n := range int64(50) {
			mustKeep(t, j, stateNumbered("a.", n))
		}
		before := j.size
		if err := j.tend(); err != nil || j.size != before || !j.synced {
			t.Fatal(err, j.size)
		}
	})
	t.Run("counts what is out of date the same after a restart", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		grow(t, j)
		live, size := j.live, j.size
		j.close()
		j = openForTest(t, path)
		defer j.close()
		if j.live != live || j.size != size || len(j.lines) != 3 {
			t.Fatalf("%d of %d, not %d of %d", j.live, j.size, live, size)
		}
	})
	t.Run("that fails leaves the file as it is, and works afterwards", func(t *testing.T) {
		path := tempSnapshot(t)
		j := openForTest(t, path)
		grow(t, j)
		if err := os.Mkdir(path+".new", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := j.tend(); err == nil {
			t.Fatal("no error")
		}
		mustKeep(t, j, stateNumbered("a.", 1))
		if err := os.Remove(path + ".new"); err != nil {
			t.Fatal(err)
		}
		if err := j.tend(); err != nil {
			t.Fatal(err)
		}
		j.close()
		states, _ := reopen(t, path)
		mustHave(t, states, wanted)
	})
}

// A disk that is full, by a limit on the size of files, which holds for the whole process: in one of its own.
func TestDiskFull(t *testing.T) {
	if path := os.Getenv("DADNS_TEST_DISK_FULL"); path != "" {
		diskFull(t, path)
		return
	}
	program := exec.Command(os.Args[0], "-test.run=^TestDiskFull$")
	program.Env = append(os.Environ(), "DADNS_TEST_DISK_FULL="+tempSnapshot(t))
	if output, err := program.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%s", err, output)
	}
}

func diskFull(t *testing.T, path string) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	j := openForTest(t, path)
	mustKeep(t, j, stateNumbered("a.", 1))
	full := func(octets int64) {
		limit.Cur = uint64(octets)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	length := int64(len(mustEncode(&line{state: *stateNumbered("a.", 2)})))
	for room := range length { // so much of the line still finds its place
		full(j.size + room)
		before := j.size
		if err := j.keep(stateNumbered("a.", 2)); err == nil {
			t.Fatalf("no error with room for %d octets", room)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != before || j.size != before {
			t.Fatalf("half a line stays: %d octets, not %d", info.Size(), before)
		}
		if room%16 == 0 {
			full(1 << 30)
			mustKeep(t, j, stateNumbered("b.", room))
		}
	}
	full(1 << 30)
	mustKeep(t, j, stateNumbered("a.", 3), stateNumbered("b.", 3))
	j.close()
	states, _ := reopen(t, path)
	mustHave(t, states, map[string]int64{"a.": 3, "b.": 3})
}
