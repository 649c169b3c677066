package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// link is the last message of a charger in OCPP_LINKS; it has more fields.
type link struct {
	State    string
	Identity string
	Version  string
}

// online gives the links of the chargers that are connected.
func online(ctx context.Context, js jetstream.JetStream) ([]link, error) {
	consumer, err := js.OrderedConsumer(ctx, "OCPP_LINKS", jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return nil, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, err
	}
	if info.NumPending == 0 {
		return nil, nil
	}
	// All in one request: an ordered consumer is made anew for each.
	batch, err := consumer.Fetch(int(info.NumPending))
	if err != nil {
		return nil, err
	}
	var links []link
	var read uint64
	for message := range batch.Messages() {
		var last link
		if err := json.Unmarshal(message.Data(), &last); err != nil {
			return nil, err
		}
		if last.State == "up" {
			links = append(links, last)
		}
		read++
	}
	if read < info.NumPending {
		return nil, fmt.Errorf("%d of %d links: %w", read, info.NumPending, cmp.Or(batch.Error(), nats.ErrTimeout))
	}
	return links, nil
}
