// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/go-sql-driver/mysql"
)

const goodURL = "database mysql://reader@db.example:3307/dc1"

func parseText(text string) (*config, error) {
	return parseConfig(caddy.NewTestController("dns", text))
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCorefiles(t *testing.T) {
	t.Run("one with the database alone has good defaults", func(t *testing.T) {
		found, err := parseText("dadns {\n" + goodURL + "\n}")
		if err != nil {
			t.Fatal(err)
		}
		if found.poll != 125*time.Millisecond || found.keep != time.Hour || found.snapshot != "" {
			t.Errorf("%+v", found)
		}
		d := found.database
		if d.Net != "tcp" || d.Addr != "db.example:3307" || d.User != "reader" || d.DBName != "dc1" || d.Passwd != "" || d.TLS != nil {
			t.Errorf("%+v", d)
		}
		if d.Timeout == 0 || d.ReadTimeout == 0 || d.WriteTimeout == 0 {
			t.Error("it may wait forever")
		}
	})
	t.Run("one with everything", func(t *testing.T) {
		found, err := parseText("dadns {\n" + goodURL + "\npassword_file " + writeFile(t, "secret\n") +
			"\nsnapshot /var/lib/zones\npoll 1s\nkeep 2h\n}")
		if err != nil || found.poll != time.Second || found.keep != 2*time.Hour || found.snapshot != "/var/lib/zones" {
			t.Fatal(found, err)
		}
	})
	for url, wanted := range map[string][2]string{
		"mysql://u@h/db":                     {"tcp", "h:3306"},
		"mysql://u@[2001:db8::1]:33/db":      {"tcp", "[2001:db8::1]:33"},
		"mysql://u@[2001:db8::1]/db":         {"tcp", "[2001:db8::1]:3306"},
		"mysql://u@/db?socket=/run/x/socket": {"unix", "/run/x/socket"},
		"mysql://u:p%40ss@h/db":              {"tcp", "h:3306"},
	} {
		t.Run("the URL "+url+" is understood", func(t *testing.T) {
			found, err := parseURL(url)
			if err != nil || found.Net != wanted[0] || found.Addr != wanted[1] || found.DBName != "db" {
				t.Fatal(found, err)
			}
			if strings.Contains(url, "p%40ss") && found.Passwd != "p@ss" {
				t.Error(found.Passwd)
			}
		})
	}
	ca := writeFile(t, "no certificate")
	for sentence, text := range map[string]string{
		"no database":                 "dadns",
		"no database among others":    "dadns {\npoll 1s\n}",
		"a database twice as a block": "dadns {\n" + goodURL + "\n}\ndadns {\n" + goodURL + "\n}",
		"a value behind its name":     "dadns mysql://u:hunter2@h/db",
		"two values":                  "dadns {\ndatabase mysql://u:p hunter2@h/db\n}",
		"no value":                    "dadns {\ndatabase\nmysql://u:hunter2@h/db\n}",
		"a value without an option":   "dadns {\nmysql://u:hunter2@h/db\n}",
		"an option that is none":      "dadns {\n" + goodURL + "\nretries 3\n}",
		"another scheme":              "dadns {\ndatabase postgres://u:hunter2@h/db\n}",
		"no scheme":                   "dadns {\ndatabase u:hunter2@h/db\n}",
		"the driver's own form":       "dadns {\ndatabase u:hunter2@tcp(h:3306)/db\n}",
		"one slash":                   "dadns {\ndatabase mysql:/u:hunter2@h/db\n}",
		"an escape that is none":      "dadns {\ndatabase mysql://u:hunter2%zz@h/db\n}",
		"a port that is none":         "dadns {\ndatabase mysql://u:hunter2@h:port/db\n}",
		"no account":                  "dadns {\ndatabase mysql://h/db\n}",
		"no account but a password":   "dadns {\ndatabase mysql://:hunter2@h/db\n}",
		"no name of the database":     "dadns {\ndatabase mysql://u:hunter2@h\n}",
		"two names of databases":      "dadns {\ndatabase mysql://u:hunter2@h/a/b\n}",
		"no host":                     "dadns {\ndatabase mysql://u:hunter2@/db\n}",
		"a host and a socket":         "dadns {\ndatabase mysql://u:hunter2@h/db?socket=/run/x\n}",
		"another parameter":           "dadns {\ndatabase mysql://u:hunter2@h/db?tls=true\n}",
		"a socket and another":        "dadns {\ndatabase mysql://u:hunter2@/db?socket=/run/x&tls=true\n}",
		"a poll that is too short":    "dadns {\n" + goodURL + "\npoll 99ms\n}",
		"a poll without a unit":       "dadns {\n" + goodURL + "\npoll 200\n}",
		"a keep in the past":          "dadns {\n" + goodURL + "\nkeep -1s\n}",
		"a password file not there":   "dadns {\n" + goodURL + "\npassword_file /nonexistent\n}",
		"an authority not there":      "dadns {\n" + goodURL + "\ntls_ca /nonexistent\n}",
		"an authority that is none":   "dadns {\n" + goodURL + "\ntls_ca " + ca + "\n}",
	} {
		t.Run("one with "+sentence+" is refused, and no password shown", func(t *testing.T) {
			_, err := parseText(text)
			if err == nil {
				t.Fatal("taken")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatal(err)
			}
			if len(err.Error()) < 10 {
				t.Error(err)
			}
		})
	}
	t.Run("the password is read again for each connection, without the newline", func(t *testing.T) {
		path := writeFile(t, "one\r\n")
		found, err := parseText("dadns {\n" + goodURL + "\npassword_file " + path + "\n}")
		if err != nil {
			t.Fatal(err)
		}
		if found.database.Passwd != "" || strings.Contains(found.database.FormatDSN(), "one") {
			t.Error("it is kept")
		}
	})
	t.Run("TLS is checked for the host of the URL", func(t *testing.T) {
		config, err := parseURL("mysql://u@db.example/dc1")
		if err != nil {
			t.Fatal(err)
		}
		if err := secure(config, "", writeFile(t, testCertificate)); err != nil {
			t.Fatal(err)
		}
		if config.TLS == nil || config.TLS.ServerName != "db.example" || config.TLS.InsecureSkipVerify {
			t.Fatal(config.TLS)
		}
		if _, err := mysql.NewConnector(config); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSetup(t *testing.T) {
	t.Run("puts the plugin into the chain and touches nothing outside", func(t *testing.T) {
		c := caddy.NewTestController("dns", "dadns {\n"+goodURL+"\nsnapshot /nonexistent/zones\n}")
		if err := setup(c); err != nil {
			t.Fatal(err)
		}
		chain := dnsserver.GetConfig(c).Plugin
		if len(chain) != 1 || chain[0](nil).Name() != "dadns" {
			t.Fatal(chain)
		}
	})
	t.Run("says which plugin it is that refuses", func(t *testing.T) {
		if err := setup(caddy.NewTestController("dns", "dadns")); err == nil || !strings.Contains(err.Error(), "dadns") {
			t.Fatal(err)
		}
	})
}

// Of nobody: to be read, not to be trusted.
const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUdR98SQvINt6qKqQ7NOpSbsRr+A0wCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFdGVzdHMwIBcNMjYxMTIxMjE0MDU5WhgPMjEyNjEwMjgyMTQw
NTlaMBAxDjAMBgNVBAMMBXRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
wVkXlcLVtc7+TtTuAr4dX04aBcthyieoOca7ukMxxG8BJQ1dFoeJim4YVj4gjOeG
EQdzMfxcqQzXozOMtogyhaNTMFEwHQYDVR0OBBYEFDuGIhS3ocVGV7jTqGt9pFMR
ejg8MB8GA1UdIwQYMBaAFDuGIhS3ocVGV7jTqGt9pFMRejg8MA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAIIBMlGpw795FeOFRW5/FDWxP3UhoS/W
vDH9CW1yv+QAAiAtbh87Gfair6kGVlunb27fJkOvvCYysNsVGL8rrzLiFg==
-----END CERTIFICATE-----
`
