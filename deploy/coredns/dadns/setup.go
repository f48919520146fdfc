// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/go-sql-driver/mysql"
)

func init() { plugin.Register(pluginName, setup) }

type config struct {
	database *mysql.Config
	snapshot string
	poll     time.Duration
	keep     time.Duration
}

var options = []string{"database", "password_file", "tls_ca", "snapshot", "poll", "keep"}

const (
	pollDefault = 125 * time.Millisecond
	pollMin     = 100 * time.Millisecond // ten statements a second
	keepDefault = time.Hour
)

func setup(c *caddy.Controller) error {
	config, err := parseConfig(c)
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	source, err := openTables(config.database)
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	zones := newZones()
	d := &Dadns{zones: zones, follower: newFollower(source, zones)}
	d.follower.poll = config.poll
	d.follower.keep = config.keep
	var life life
	server := dnsserver.GetConfig(c)
	begin := func() error {
		if config.snapshot != "" {
			if err := d.follower.load(config.snapshot); err != nil {
				return plugin.Error(pluginName, err)
			}
		}
		if transfer, ok := server.Handler("transfer").(*transfer.Transfer); ok {
			notifier := newNotifier(transfer.Notify)
			d.follower.notify = notifier.add
			life.start(notifier.run)
		}
		life.start(d.follower.run)
		return nil
	}
	shut := func() {
		life.end()
		source.close()
	}
	c.OnStartup(func() error {
		begun.note(shut)
		return begin()
	})
	c.OnRestart(func() error { // the new one wants the snapshot; until it serves we go on from memory
		begun.take()
		life.end()
		return nil
	})
	c.OnRestartFailed(func() error {
		for _, shut := range begun.take() {
			shut()
		}
		return begin()
	})
	c.OnShutdown(func() error {
		shut()
		return nil
	})
	server.AddPlugin(func(next plugin.Handler) plugin.Handler {
		d.next = next
		return d
	})
	return nil
}

// begun has what ends those that were started since the last restart: caddy drops an instance that could not be
// started as a whole without a word to it, and the one before it needs the snapshot back.
var begun starts

type starts struct {
	mutex sync.Mutex
	ends  []func()
}

func (s *starts) note(end func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ends = append(s.ends, end)
}

func (s *starts) take() []func() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	taken := s.ends
	s.ends = nil
	return taken
}

// life of goroutines that end with their context.
type life struct {
	cancel context.CancelFunc
	ctx    context.Context
	group  sync.WaitGroup
}

func (l *life) start(run func(context.Context)) {
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
	l.group.Go(func() { run(l.ctx) })
}

func (l *life) end() {
	if l.ctx != nil {
		l.cancel()
		l.group.Wait()
		l.ctx = nil
	}
}

func parseConfig(c *caddy.Controller) (*config, error) {
	found := &config{poll: pollDefault, keep: keepDefault}
	var password, ca string
	for first := true; c.Next(); first = false {
		if !first {
			return nil, c.Err("only once in a server block")
		}
		if len(c.RemainingArgs()) != 0 { // not ArgErr: it would show the last one, perhaps a password
			return nil, c.Err("its options stand in braces")
		}
		for c.NextBlock() {
			option := c.Val()
			args := c.RemainingArgs()
			if !slices.Contains(options, option) {
				return nil, c.Errf("the options are %s", strings.Join(options, ", "))
			}
			if len(args) != 1 {
				return nil, c.Errf("%s takes one value", option)
			}
			value := args[0]
			var err error
			switch option {
			case "database":
				found.database, err = parseURL(value)
			case "password_file":
				password = value
			case "tls_ca":
				ca = value
			case "snapshot":
				found.snapshot = value
			case "poll":
				found.poll, err = parseDuration(value, pollMin)
			case "keep":
				found.keep, err = parseDuration(value, 0)
			}
			if err != nil {
				return nil, c.Errf("%s: %s", option, err)
			}
		}
	}
	if found.database == nil {
		return nil, c.Err("database mysql://USER@HOST:PORT/NAME is missing")
	}
	return found, secure(found.database, password, ca)
}

func parseDuration(text string, min time.Duration) (time.Duration, error) {
	duration, err := time.ParseDuration(text)
	if err == nil && duration < min {
		err = fmt.Errorf("at least %s", min)
	}
	return duration, err
}

// parseURL reads mysql://USER[:PASSWORD]@HOST[:PORT]/NAME, or mysql://USER@/NAME?socket=PATH.
func parseURL(text string) (*mysql.Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	name := strings.TrimPrefix(u.Path, "/")
	socket := u.Query().Get("socket")
	switch {
	case u.Scheme != "mysql" || u.User.Username() == "" || name == "" || strings.Contains(name, "/"):
		return nil, errors.New("must be mysql://USER@HOST:PORT/NAME")
	case (u.Hostname() == "") == (socket == ""):
		return nil, errors.New("must have a host or ?socket=PATH")
	case u.RawQuery != "" && (socket == "" || len(u.Query()) != 1):
		return nil, errors.New("the only parameter is socket")
	}
	config := mysql.NewConfig()
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = name
	config.Net, config.Addr = "unix", socket
	if socket == "" {
		port := u.Port()
		if port == "" {
			port = "3306"
		}
		config.Net, config.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	}
	config.Timeout = 2 * time.Second
	config.ReadTimeout = patience
	config.WriteTimeout = patience
	config.InterpolateParams = true // one statement, not three
	// For a table that is dropped the server would wait a day, in nobody's name, and hold up who drops it.
	config.Params = map[string]string{"lock_wait_timeout": "3"}
	config.Logger = &mysql.NopLogger{}
	return config, nil
}

// secure adds the password, which is read for each connection, and the authority that the server must show.
func secure(config *mysql.Config, password, ca string) error {
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("tls_ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return fmt.Errorf("tls_ca %s: there is no certificate in it", ca)
		}
		config.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		config.TLS.ServerName, _, _ = net.SplitHostPort(config.Addr)
	}
	if password == "" {
		return nil
	}
	if _, err := readSecret(password); err != nil {
		return fmt.Errorf("password_file: %w", err)
	}
	return config.Apply(mysql.BeforeConnect(func(_ context.Context, config *mysql.Config) (err error) {
		config.Passwd, err = readSecret(password)
		return err
	}))
}

func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimRight(string(text), "\r\n"), err
}
