// SPDX-License-Identifier: Apache-2.0

package dadns

import (
	"context"
	"sync"
)

// notifier tells secondaries of changed zones, those that the transfer plugin names. One at a time, as one that does
// not answer takes seconds; a zone that changes while it waits its turn is told once.
type notifier struct {
	send    func(zone string) error
	mutex   sync.Mutex
	waiting map[string]bool
	wake    chan struct{}
}

func newNotifier(send func(zone string) error) *notifier {
	return &notifier{send: send, waiting: map[string]bool{}, wake: make(chan struct{}, 1)}
}

func (n *notifier) add(zone string) {
	n.mutex.Lock()
	n.waiting[zone] = true
	n.mutex.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notifier) take() map[string]bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	taken := n.waiting
	n.waiting = map[string]bool{}
	return taken
}

func (n *notifier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		for zone := range n.take() {
			if ctx.Err() != nil {
				return
			}
			if err := n.send(zone); err != nil {
				log.Warningf("NOTIFY for %s: %s", zone, err)
			}
		}
	}
}
