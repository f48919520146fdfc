// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// startMariaDB starts a server of its own, in a folder of its own, without a port; it ends with the test.
func startMariaDB(t *testing.T) (socket string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "dadns-coredns.") // not t.TempDir: the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket = filepath.Join(folder, "socket")
	output, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+folder+"/data", "--skip-test-db",
		"--auth-root-authentication-method=normal", "--user=root", "--innodb-log-file-size=32M").CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb-install-db: %s\n%s", err, output)
	}
	init := filepath.Join(folder, "init.sql")
	if err := os.WriteFile(init, []byte("CREATE USER tests@localhost IDENTIFIED BY 'secret';\n"+
		"GRANT ALL ON *.* TO tests@localhost WITH GRANT OPTION;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command("mariadbd", "--no-defaults", "--datadir="+folder+"/data", "--socket="+socket, "--skip-networking",
		"--log-error="+folder+"/log", "--pid-file="+folder+"/pid", "--init-file="+init, "--innodb-buffer-pool-size=64M",
		"--innodb-log-file-size=32M", "--innodb-flush-method=nosync", "--performance-schema=0", "--user=root")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	db := openAs(t, socket, "tests", "secret", "mysql")
	for until := time.Now().Add(time.Minute); db.Ping() != nil; {
		if time.Now().After(until) {
			text, _ := os.ReadFile(folder + "/log")
			t.Fatalf("mariadbd: %s\n%s", db.Ping(), text)
		}
		time.Sleep(20 * time.Millisecond) // a process of somebody else's comes up
	}
	return socket
}

func configOf(t *testing.T, socket, user, password, database string) *mysql.Config {
	t.Helper()
	config, err := parseURL("mysql://" + user + ":" + password + "@/" + database + "?socket=" + socket)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func openAs(t *testing.T, socket, user, password, database string) *sql.DB {
	t.Helper()
	connector, err := mysql.NewConnector(configOf(t, socket, user, password, database))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatalf("%s: %s", text, err)
	}
}

// tablesOfWriter returns the statements that writer-mysql makes its tables with, out of its source.
func tablesOfWriter(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("../../../services/writer-mysql/schema.c")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	var made []string
	for _, list := range []string{"our_tables[]", "coredns_tables[]"} {
		_, text, found := strings.Cut(string(source), list+" = {")
		text, _, ended := strings.Cut(text, "\n};")
		if !found || !ended {
			t.Fatal("no " + list)
		}
		for _, table := range strings.Split(text, "\n\t{")[1:] {
			statement := ""
			for i, part := range literal.FindAllStringSubmatch(table, -1) {
				if i != 0 {
					statement += part[1]
				}
			}
			if statement != "" {
				made = append(made, statement)
			}
		}
	}
	if len(made) != 5 {
		t.Fatal(made)
	}
	return made
}

// What the public plugin's documentation says to make.
var publicTables = []string{
	"CREATE TABLE zones (id INT NOT NULL AUTO_INCREMENT, zone_name VARCHAR(255) NOT NULL, PRIMARY KEY (id), UNIQUE (zone_name))",
	"CREATE TABLE records (id INT NOT NULL AUTO_INCREMENT, zone_id INT NOT NULL, hostname VARCHAR(512) NOT NULL," +
		" type VARCHAR(10) NOT NULL, data VARCHAR(1024) NOT NULL, ttl INT NOT NULL DEFAULT 120, online INT NOT NULL DEFAULT 0, PRIMARY KEY (id)," +
		" FOREIGN KEY (zone_id) REFERENCES zones (id) ON DELETE CASCADE)",
}

// database is one of a server, with tables.
type database struct {
	*sql.DB
	*tables
	name string
}

func makeDatabase(t *testing.T, socket, name, charset string, statements []string) *database {
	t.Helper()
	admin := openAs(t, socket, "tests", "secret", "mysql")
	mustExec(t, admin, "CREATE DATABASE "+name+" CHARACTER SET "+charset)
	mustExec(t, admin, "CREATE USER "+name+"_reader@localhost IDENTIFIED BY 'secret'")
	mustExec(t, admin, "GRANT SELECT ON "+name+".* TO "+name+"_reader@localhost")
	d := &database{DB: openAs(t, socket, "tests", "secret", name), name: name}
	for _, statement := range statements {
		mustExec(t, d.DB, statement)
	}
	source, err := openTables(configOf(t, socket, name+"_reader", "secret", name))
	if err != nil {
		t.Fatal(err)
	}
	d.tables = source
	t.Cleanup(source.close)
	return d
}

// addZone brings a zone as the public plugin's users do, and returns its id.
func (d *database) addZone(t *testing.T, name string, rows ...string) int64 {
	t.Helper()
	result, err := d.Exec("INSERT INTO zones (zone_name) VALUES (?)", name)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := result.LastInsertId()
	for _, row := range stateOf(rows...).Rows {
		mustExec(t, d.DB, "INSERT INTO records (zone_id, hostname, type, data, ttl, online) VALUES (?, ?, ?, ?, ?, 1)", id, row.Host, row.Type,
			row.Data, row.TTL)
	}
	return id
}

// stamp is what writer-mysql notes of it.
func (d *database) stamp(t *testing.T, zone string, id any, offset, changed int64, deleted int) {
	t.Helper()
	mustExec(t, d.DB, "REPLACE INTO dadns_zones (zone, epoch, push_offset, owner, digest, serial, deleted, zone_id, changed)"+
		" VALUES (?, 1, ?, 'o', '', 1, ?, ?, ?)", zone, offset, deleted, id, changed)
	mustExec(t, d.DB, "REPLACE INTO dadns_meta VALUES ('births', 77), ('changed', (SELECT MAX(changed) FROM dadns_zones))")
}

func names(states []*state) string {
	list := []string{}
	for _, s := range states {
		list = append(list, fmt.Sprintf("%s %d %v %d", s.Zone, s.Version.Offset, s.Deleted, len(s.Rows)))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (d *database) mustRead(t *testing.T, after cursor, limit int, wanted string) *page {
	t.Helper()
	found, err := d.changes(t.Context(), after, limit)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(found.states); got != wanted {
		t.Fatalf("%q, not %q", got, wanted)
	}
	return found
}

func (d *database) plan(t *testing.T, text string, args ...any) map[string]map[string]string {
	t.Helper()
	rows, err := d.Query("EXPLAIN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	plan := map[string]map[string]string{}
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		places := make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			t.Fatal(err)
		}
		step := map[string]string{}
		for i, column := range columns {
			step[column] = values[i].String
		}
		plan[step["table"]] = step
	}
	return plan
}

func TestSource(t *testing.T) {
	socket := startMariaDB(t)
	ours := tablesOfWriter(t)

	for _, charset := range []string{"latin1", "utf8mb4"} {
		t.Run("tables of the writer in a database of "+charset, func(t *testing.T) {
			d := makeDatabase(t, socket, "ours_"+charset, charset, ours)
			followed(t, d)
		})
	}
	t.Run("the public plugin's tables", func(t *testing.T) {
		for _, charset := range []string{"latin1", "utf8mb4"} {
			public(t, makeDatabase(t, socket, "public_"+charset, charset, publicTables), ours)
		}
	})
	t.Run("errors of the server", func(t *testing.T) { refused(t, socket, ours) })
	t.Run("many zones", func(t *testing.T) { many(t, makeDatabase(t, socket, "many", "latin1", ours)) })
}

func followed(t *testing.T, d *database) {
	t.Run("without dadns_meta's rows are being made", func(t *testing.T) {
		if found := d.mustRead(t, cursor{}, 10, ""); found.births >= 0 || found.counter >= 0 || found.full {
			t.Fatal(found)
		}
	})
	a := d.addZone(t, "a.example.", "www A 192.0.2.1", `odd TXT "\195\188"`)
	b := d.addZone(t, "b.example.")
	c := d.addZone(t, "c.example.")
	mustExec(t, d.DB, "UPDATE records SET hostname = ? WHERE hostname = 'odd'", `odd\ one`)
	mustExec(t, d.DB, "UPDATE records SET online = 0 WHERE hostname = 'www' AND zone_id = ?", a)
	d.stamp(t, "a.example", a, 1, 1, 0)
	d.stamp(t, "b.example", b, 1, 2, 0)
	d.stamp(t, "c.example", c, 1, 2, 0)
	d.stamp(t, "d.example", nil, 1, 2, 1)
	d.stamp(t, "e.example", nil, 1, 3, 1)

	t.Run("are read whole, with the rows that are online", func(t *testing.T) {
		found := d.mustRead(t, cursor{}, 10, "a.example. 1 false 3, b.example. 1 false 2, c.example. 1 false 2, d.example. 1 true 0, e.example. 1 true 0")
		if found.births != 77 || found.counter != 3 || found.full || found.next != (cursor{changed: 3, zone: "e.example"}) {
			t.Fatalf("%+v", found)
		}
		for _, s := range found.states {
			if s.Zone == "a.example." && !slices.Contains(s.Rows, row{`odd\ one`, "TXT", 300, `"\195\188"`}) {
				t.Error(s.Rows)
			}
		}
	})
	t.Run("are read page by page, also within one batch", func(t *testing.T) {
		found := d.mustRead(t, cursor{}, 2, "a.example. 1 false 3, b.example. 1 false 2")
		if !found.full || found.next != (cursor{changed: 2, zone: "b.example"}) {
			t.Fatalf("%+v", found)
		}
		found = d.mustRead(t, found.next, 2, "c.example. 1 false 2, d.example. 1 true 0")
		found = d.mustRead(t, found.next, 2, "e.example. 1 true 0")
		if found.full {
			t.Fatal("more?")
		}
		found = d.mustRead(t, found.next, 2, "")
		if found.next != (cursor{changed: 3, zone: "e.example"}) || found.births != 77 {
			t.Fatalf("%+v", found)
		}
	})
	t.Run("have others, all without a row in dadns_zones", func(t *testing.T) {
		d.addZone(t, "Plain.Example.", "www A 192.0.2.1")
		d.addZone(t, "nodot.example")
		d.addZone(t, "D.example.") // of ours, and deleted
		states, some, err := d.others(t.Context(), true)
		if err != nil || !some || names(states) != "nodot.example. 0 false 2, plain.example. 0 false 3" {
			t.Fatal(names(states), some, err)
		}
	})
	t.Run("are followed from the first pass to the delete", func(t *testing.T) {
		f := newTestFollower(t, nil)
		f.source = d.tables
		for !f.wholly.Load() {
			f.advance(t)
		}
		f.mustServe(t, "a.example. 1, b.example. 1, c.example. 1, nodot.example. 0, plain.example. 0")
		mustExec(t, d.DB, "UPDATE records SET data = '\"new\"' WHERE zone_id = ? AND type = 'TXT'", a)
		d.stamp(t, "a.example", a, 2, 4, 0)
		mustExec(t, d.DB, "DELETE FROM records WHERE zone_id = ?", b)
		mustExec(t, d.DB, "DELETE FROM zones WHERE id = ?", b)
		d.stamp(t, "b.example", nil, 2, 5, 1)
		f.advance(t)
		f.mustServe(t, "a.example. 2, c.example. 1, nodot.example. 0, plain.example. 0")
		if text := f.data("a.example.", `odd\ one.a.example.`, 16); text != `"new"` {
			t.Fatal(text)
		}
		mustExec(t, d.DB, "DELETE FROM dadns_meta")
		if err := f.turn(t.Context()); !errors.Is(err, errBeingMade) {
			t.Fatal(err)
		}
		mustExec(t, d.DB, "DROP TABLE dadns_zones")
		if err := f.turn(t.Context()); !errors.Is(err, errNoVersions) {
			t.Fatal(err)
		}
		f.mustServe(t, "a.example. 2, c.example. 1, nodot.example. 0, plain.example. 0")
	})
}

func public(t *testing.T, d *database, ours []string) {
	d.addZone(t, "a.example.", "www A 192.0.2.1", "@ TXT "+strings.Repeat("x", 250))
	mustExec(t, d.DB, "INSERT INTO zones (zone_name) VALUES ('empty.example.')")
	if _, err := d.changes(t.Context(), cursor{}, 10); !errors.Is(err, errNoVersions) {
		t.Fatal(err)
	}
	states, some, err := d.others(t.Context(), false)
	if err != nil || !some || names(states) != "a.example. 0 false 4, empty.example. 0 false 0" {
		t.Fatal(names(states), some, err)
	}
	f := newTestFollower(t, nil)
	f.source = d.tables
	f.advance(t)
	f.mustServe(t, "a.example. 0")
	for _, statement := range ours { // the writer takes over
		mustExec(t, d.DB, statement)
	}
	d.stamp(t, "a.example", 1, 5, 1, 0)
	f.pass(t, 2*pauseOthers)
	f.mustServe(t, "a.example. 5")
	if _, some, err := d.others(t.Context(), true); err != nil || !some {
		t.Fatal(err)
	}
}

func refused(t *testing.T, socket string, ours []string) {
	d := makeDatabase(t, socket, "refused", "latin1", ours)
	read := func(config *mysql.Config) error {
		source, err := openTables(config)
		if err != nil {
			t.Fatal(err)
		}
		defer source.close()
		_, err = source.changes(t.Context(), cursor{}, 1)
		return err
	}
	for sentence, config := range map[string]*mysql.Config{
		"a wrong password":            configOf(t, socket, "refused_reader", "wrong", "refused"),
		"a database that is not ours": configOf(t, socket, "refused_reader", "secret", "mysql"),
		"a server that is not there":  configOf(t, socket+"x", "refused_reader", "secret", "refused"),
	} {
		t.Run(sentence+" is no table that is missing, and the password is not said", func(t *testing.T) {
			if err := read(config); err == nil || errors.Is(err, errNoVersions) || strings.Contains(err.Error(), "secret") {
				t.Fatal(err)
			}
		})
	}
	t.Run("the account cannot write", func(t *testing.T) {
		if _, err := d.tables.db.Exec("INSERT INTO dadns_meta VALUES ('births', 1)"); err == nil {
			t.Fatal("it can")
		}
	})
	t.Run("the password file is read for each connection", func(t *testing.T) {
		config := configOf(t, socket, "refused_reader", "", "refused")
		path := writeFile(t, "wrong")
		if err := secure(config, path, ""); err != nil {
			t.Fatal(err)
		}
		source, err := openTables(config)
		if err != nil {
			t.Fatal(err)
		}
		defer source.close()
		if _, err := source.changes(t.Context(), cursor{}, 1); err == nil {
			t.Fatal("wrong, but taken")
		}
		if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := source.changes(t.Context(), cursor{}, 1); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a context that ended ends the statement", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.changes(ctx, cursor{}, 1); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
	t.Run("a connection that was killed is replaced", func(t *testing.T) {
		var id int64
		if err := d.tables.db.QueryRow("SELECT CONNECTION_ID()").Scan(&id); err != nil {
			t.Fatal(err)
		}
		mustExec(t, d.DB, fmt.Sprintf("KILL %d", id))
		if _, err := d.changes(t.Context(), cursor{}, 1); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("names that are none are left out, the others read", func(t *testing.T) {
		d.addZone(t, "a..b.")
		d.addZone(t, "good.example.")
		states, _, err := d.others(t.Context(), true)
		if err != nil || names(states) != "good.example. 0 false 2" {
			t.Fatal(names(states), err)
		}
	})
}

func many(t *testing.T, d *database) {
	const count = 10000
	for _, statement := range []string{
		"INSERT INTO zones (zone_name) SELECT CONCAT('zone', seq, '.example.') FROM seq_1_to_10000",
		"INSERT INTO records (zone_id, hostname, type, data, ttl, online) SELECT id, '@', 'SOA', 'a. b. 1 2 3 4 5', 300, 1 FROM zones",
		"INSERT INTO records (zone_id, hostname, type, data, ttl, online) SELECT id, 'www', 'A', '192.0.2.1', 300, 1 FROM zones",
		"INSERT INTO dadns_zones (zone, epoch, push_offset, owner, digest, serial, deleted, zone_id, changed)" +
			" SELECT TRIM(TRAILING '.' FROM zone_name), 1, id, '', '', 1, 0, id, id DIV 100 FROM zones WHERE id % 100 <> 0",
		"INSERT INTO dadns_meta VALUES ('births', 1), ('changed', 100)",
		"ANALYZE TABLE zones, records, dadns_zones",
	} {
		rows, err := d.Query(statement)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	t.Run("others are found by the key of dadns_zones, in less than a second", func(t *testing.T) {
		plan := d.plan(t, selectAll+selectOthers+selectRows+selectNotOurs)
		if step := plan["d"]; step["key"] != "PRIMARY" || !strings.HasSuffix(step["type"], "ref") {
			t.Errorf("%v", step)
		}
		if step := plan["r"]; step["key"] != "zone_hostname_type" || step["type"] != "ref" {
			t.Errorf("%v", step)
		}
		began := time.Now()
		states, some, err := d.others(t.Context(), true)
		if took := time.Since(began); err != nil || !some || len(states) != count/100 || took > time.Second {
			t.Fatal(len(states), some, err, took)
		}
	})
	t.Run("when nothing has changed the index of `changed` says so", func(t *testing.T) {
		plan := d.plan(t, selectChanges, 100, 100, "zone9999.example", pageZones)
		step := plan["dadns_zones"]
		if step["key"] != "changed" || step["type"] != "range" && step["type"] != "ref" {
			t.Errorf("%v", plan)
		}
		read := func(name string) (value int64) {
			t.Helper()
			if err := d.tables.db.QueryRow("SHOW SESSION STATUS LIKE '"+name+"'").Scan(new(string), &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
		before, scanned := read("Rows_read"), read("Handler_read_rnd_next")
		d.mustRead(t, cursor{changed: 100, zone: "zone9999.example"}, pageZones, "")
		if rows := read("Rows_read") - before; rows > 200 { // those of the last batch
			t.Errorf("%d rows read", rows)
		}
		if rows := read("Handler_read_rnd_next") - scanned; rows > 100 {
			t.Errorf("%d rows scanned", rows)
		}
	})
	t.Run("a pass over all of them has each once", func(t *testing.T) {
		seen, at := map[string]bool{}, cursor{}
		for {
			found, err := d.changes(t.Context(), at, pageZones)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range found.states {
				if seen[s.Zone] || len(s.Rows) != 2 {
					t.Fatal(s)
				}
				seen[s.Zone] = true
			}
			if at = found.next; !found.full {
				break
			}
		}
		if len(seen) != count-count/100 {
			t.Fatal(len(seen))
		}
	})
}
