// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"errors"
	"testing"
)

func TestNotifier(t *testing.T) {
	t.Run("tells of each zone, also behind one that fails", func(t *testing.T) {
		sent := make(chan string)
		n := newNotifier(func(zone string) error {
			sent <- zone
			return errors.New("no answer")
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.run(ctx); close(done) }()
		n.add("a.")
		if zone := <-sent; zone != "a." {
			t.Fatal(zone)
		}
		n.add("b.")
		if zone := <-sent; zone != "b." {
			t.Fatal(zone)
		}
		cancel()
		<-done
	})
	t.Run("tells once of a zone that changed often while it waited, and never keeps who adds it waiting", func(t *testing.T) {
		begun, proceed, sent := make(chan struct{}, 1), make(chan struct{}), map[string]int{}
		n := newNotifier(func(zone string) error {
			begun <- struct{}{}
			<-proceed
			sent[zone]++
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.run(ctx); close(done) }()
		n.add("slow.")
		<-begun
		for range 1000 {
			n.add("a.")
			n.add("slow.")
		}
		proceed <- struct{}{}
		for range 2 {
			<-begun
			proceed <- struct{}{}
		}
		cancel()
		<-done
		if sent["a."] != 1 || sent["slow."] != 2 {
			t.Fatal(sent)
		}
	})
	t.Run("ends with its context, zones waiting or not", func(t *testing.T) {
		n := newNotifier(func(string) error { return nil })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n.add("a.")
		n.run(ctx)
	})
}
