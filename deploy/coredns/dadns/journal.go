// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"syscall"
)

// journal is the snapshot file: what is served, so that it can be served without the database after a restart.
// Each line is the CRC-32 of the rest, a space, and the JSON of a state or of a note; the last line of a zone
// counts. A line that is cut (power failed, disk full) ends the file: what follows it is dropped.
type journal struct {
	path   string
	lock   *os.File
	file   *os.File
	size   int64
	lines  map[string]extent // of each zone, the last one
	live   int64             // octets of those
	synced bool
	whole  bool // all zones were read before the last line
	at     *bookmark
}

type extent struct{ at, length int64 }

// line of the file: a state, or the note that all zones had been read before it, or up to which place.
type line struct {
	state
	Format   string    `json:"format,omitempty"`
	Complete bool      `json:"complete,omitempty"`
	At       *bookmark `json:"at,omitempty"`
}

// bookmark is a place in the changes of the tables: what is before it was read.
type bookmark struct {
	Births  int64  `json:"births"`
	Counter int64  `json:"counter"`
	Changed int64  `json:"changed"`
	Zone    string `json:"zone"`
}

const (
	journalFormat = "dadns-snapshot/1"
	garbageMin    = 1 << 20
)

// openJournal reads the file, or begins one, and hands each state that counts to `take`. complete: it once had all
// zones. One server has it at a time.
func openJournal(path string, take func(*state)) (j *journal, complete bool, err error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, false, fmt.Errorf("snapshot %s is used by another server: give each its own", path)
	}
	j = &journal{path: path, lock: lock, lines: map[string]extent{}}
	if j.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		lock.Close()
		return nil, false, err
	}
	states, complete, err := j.read()
	if err == nil && j.size == 0 {
		err = j.write(&line{Format: journalFormat})
	}
	if err != nil {
		j.close()
		return nil, false, err
	}
	for _, s := range states {
		take(s)
	}
	return j, complete, nil
}

func (j *journal) read() (states map[string]*state, complete bool, err error) {
	states = map[string]*state{}
	reader := bufio.NewReaderSize(j.file, 1<<20)
	for {
		text, err := reader.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		var read line
		if err != nil || !decode(text, &read) || j.size == 0 && read.Format != journalFormat {
			if len(text) == 0 {
				break
			}
			if j.size == 0 {
				return nil, false, fmt.Errorf("%s is no snapshot of this program: move it away", j.path)
			}
			log.Warningf("snapshot %s: what follows octet %d was cut or changed and is dropped", j.path, j.size)
			if err := j.file.Truncate(j.size); err != nil {
				return nil, false, err
			}
			break
		}
		j.note(&read, int64(len(text)))
		if read.forgotten() {
			delete(states, read.Zone)
		} else if read.Zone != "" {
			states[read.Zone] = &read.state
		}
	}
	_, err = j.file.Seek(j.size, io.SeekStart)
	return states, j.whole, err
}

// note takes down the line that stands at the end of the file.
func (j *journal) note(l *line, length int64) {
	if l.Zone != "" {
		j.place(l.Zone, length)
	}
	if l.forgotten() {
		j.live -= length
		delete(j.lines, l.Zone)
	}
	j.size += length
	j.whole = j.whole || l.Complete
	if l.At != nil {
		j.at = l.At
	}
}

func (j *journal) place(zone string, length int64) {
	j.live += length - j.lines[zone].length
	j.lines[zone] = extent{j.size, length}
}

// forgotten: a zone without a version is gone without a trace.
func (l *line) forgotten() bool { return l.Deleted && l.Version == version{} }

func decode(text []byte, into *line) bool {
	if len(text) < 11 || text[8] != ' ' || text[len(text)-1] != '\n' {
		return false
	}
	sum, err := strconv.ParseUint(string(text[:8]), 16, 32)
	body := text[9 : len(text)-1]
	return err == nil && crc32.ChecksumIEEE(body) == uint32(sum) && json.Unmarshal(body, into) == nil
}

func encode(l *line) ([]byte, error) {
	body, err := json.Marshal(l)
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(body), body), err
}

func (j *journal) write(l *line) error {
	text, err := encode(l)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(text); err != nil {
		// half a line must not stay in front of the next
		return errors.Join(err, j.file.Truncate(j.size), second(j.file.Seek(j.size, io.SeekStart)))
	}
	j.note(l, int64(len(text)))
	j.synced = false
	return nil
}

func second(_ int64, err error) error { return err }

// keep appends a state. On an error the file is as it was.
func (j *journal) keep(s *state) error { return j.write(&line{state: *s}) }

// complete notes, once, that all zones have been read.
func (j *journal) complete() error {
	if j.whole {
		return nil
	}
	return j.write(&line{Complete: true})
}

// mark notes the place, if it is another one.
func (j *journal) mark(at *bookmark) error {
	if j.at != nil && *j.at == *at {
		return nil
	}
	return j.write(&line{At: at})
}

// tend brings what was written to the disk, and writes the file anew when most of it is out of date.
func (j *journal) tend() error {
	if j.size-j.live > j.live+garbageMin {
		return j.rewrite()
	}
	if j.synced {
		return nil
	}
	err := j.file.Sync()
	j.synced = err == nil
	return err
}

// rewrite copies the lines that count.
func (j *journal) rewrite() error {
	file, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fresh := &journal{path: j.path, lock: j.lock, file: file, lines: map[string]extent{}, synced: true}
	err = fresh.copyFrom(j)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), j.path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		_ = file.Close()
		return err
	}
	_ = j.file.Close()
	*j = *fresh
	return nil
}

func (j *journal) copyFrom(old *journal) error {
	if err := j.write(&line{Format: journalFormat}); err != nil {
		return err
	}
	out := bufio.NewWriterSize(j.file, 1<<20)
	for zone, extent := range old.lines {
		if _, err := io.Copy(out, io.NewSectionReader(old.file, extent.at, extent.length)); err != nil {
			return err
		}
		j.place(zone, extent.length)
		j.size += extent.length
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if !old.whole {
		return nil
	}
	if old.at != nil {
		if err := j.mark(old.at); err != nil {
			return err
		}
	}
	return j.complete()
}

func (j *journal) close() {
	_ = j.file.Close()
	_ = j.lock.Close()
}
