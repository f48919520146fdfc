// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"
)

// source is where zones come from.
type source interface {
	// changes reads what was committed behind `after`, at most `limit` zones, with what the tables say of
	// themselves, as they are at one moment. errNoVersions: they have no such thing.
	changes(ctx context.Context, after cursor, limit int) (*page, error)
	// others reads all zones that dadns_zones does not have, of tables without it all; some: there are zones at all.
	others(ctx context.Context, versions bool) (states []*state, some bool, err error)
	close()
}

// cursor is a place in dadns_zones: changes are numbered in the order of their commits, one number for a batch.
type cursor struct {
	changed int64
	zone    string
	whole   bool // all of that number were read
}

type page struct {
	births  int64 // another number: tables were made anew
	counter int64 // of the newest change
	states  []*state
	next    cursor
	full    bool // there may be more
}

var errNoVersions = errors.New("there is no table dadns_zones")

const (
	patience    = 5 * time.Second
	tableAbsent = 1146 // ER_NO_SUCH_TABLE
)

// One statement, so one moment. It reads two rows when nothing has changed.
const selectChanges = `
SELECT name, value, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM dadns_meta WHERE name IN ('births', 'changed')
UNION ALL
SELECT z.zone, z.epoch, z.push_offset, z.deleted, z.changed, z.digest, r.hostname, r.type, r.data, r.ttl
FROM (SELECT zone, epoch, push_offset, deleted, changed, digest, zone_id FROM dadns_zones
      WHERE changed >= ? AND (changed > ? OR zone > ?) ORDER BY changed, zone LIMIT ?) AS z
LEFT JOIN records AS r ON r.zone_id = z.zone_id AND r.online <> 0`

// Its first row says whether there are zones at all.
const (
	selectSome   = "SELECT '', EXISTS (SELECT 1 FROM zones), NULL, NULL, NULL, NULL UNION ALL "
	selectAll    = "SELECT z.zone_name, 1, r.hostname, r.type, r.data, r.ttl FROM zones AS z"
	selectRows   = " LEFT JOIN records AS r ON r.zone_id = z.id AND r.online <> 0"
	selectOthers = " LEFT JOIN dadns_zones AS d" +
		" ON d.zone = CONVERT(TRIM(TRAILING '.' FROM LOWER(z.zone_name)) USING ascii) COLLATE ascii_bin"
	selectNotOurs = " WHERE d.zone IS NULL"
)

type tables struct{ db *sql.DB }

func openTables(config *mysql.Config) (*tables, error) {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return &tables{db}, nil
}

func (t *tables) close() { _ = t.db.Close() }

func (t *tables) query(ctx context.Context, take func(*sql.Rows) error, text string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	metricStatements.Inc()
	rows, err := t.db.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Columns of one record; all null: the zone has none.
type joined struct {
	host, kind, data sql.NullString
	ttl              sql.NullInt64
}

func (j *joined) addTo(s *state) {
	if j.host.Valid {
		s.Rows = append(s.Rows, row{j.host.String, j.kind.String, j.ttl.Int64, j.data.String})
	}
}

func (t *tables) changes(ctx context.Context, after cursor, limit int) (*page, error) {
	found := &page{births: -1, counter: -1, next: after}
	states := map[string]*state{}
	from := after.changed
	if after.whole {
		from++
	}
	err := t.query(ctx, func(rows *sql.Rows) error {
		var name string
		var a, b, deleted, changed int64
		var digest sql.NullString
		var record joined
		if err := rows.Scan(&name, &a, &b, &deleted, &changed, &digest, &record.host, &record.kind, &record.data, &record.ttl); err != nil {
			return err
		}
		switch {
		case changed == 0 && name == "births":
			found.births = a
		case changed == 0 && name == "changed":
			found.counter = a
		default:
			s := states[name]
			if s == nil {
				s = &state{Zone: name, Version: version{a, b}, Deleted: deleted != 0, Zonemd: digest.String}
				states[name] = s
				found.states = append(found.states, s)
				if place := (cursor{changed: changed, zone: name}); found.next.before(place) {
					found.next = place
				}
			}
			record.addTo(s)
		}
		return nil
	}, selectChanges, from, after.changed, after.zone, limit)
	var fault *mysql.MySQLError
	if errors.As(err, &fault) && fault.Number == tableAbsent {
		return nil, errNoVersions
	}
	if err != nil {
		return nil, err
	}
	found.full = len(found.states) >= limit
	found.states = spelled(found.states)
	return found, nil
}

func (c cursor) before(other cursor) bool {
	return c.changed < other.changed || c.changed == other.changed && c.zone < other.zone
}

func (t *tables) others(ctx context.Context, versions bool) (states []*state, some bool, err error) {
	text := selectSome + selectAll + selectRows
	if versions {
		text = selectSome + selectAll + selectOthers + selectRows + selectNotOurs
	}
	byName := map[string]*state{}
	err = t.query(ctx, func(rows *sql.Rows) error {
		var name string
		var there bool
		var record joined
		if err := rows.Scan(&name, &there, &record.host, &record.kind, &record.data, &record.ttl); err != nil {
			return err
		}
		if name == "" {
			some = there
			return nil
		}
		s := byName[name]
		if s == nil {
			s = &state{Zone: name}
			byName[name] = s
			states = append(states, s)
		}
		record.addTo(s)
		return nil
	}, text)
	return spelled(states), some, err
}

// spelled leaves out zones whose names are none.
func spelled(states []*state) []*state {
	kept := states[:0]
	for _, s := range states {
		name, err := spell(s.Zone)
		if err != nil {
			metricErrors.WithLabelValues("zone").Inc()
			log.Warningf("zone %q is left out: %s", s.Zone, err)
			continue
		}
		s.Zone = name
		kept = append(kept, s)
	}
	return kept
}
