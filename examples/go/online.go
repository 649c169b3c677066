package main

import (
	"context"
	"encoding/json"

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
	var links []link
	for pending := info.NumPending; pending > 0; pending-- {
		message, err := consumer.Next()
		if err != nil {
			return nil, err
		}
		var last link
		if err := json.Unmarshal(message.Data(), &last); err != nil {
			return nil, err
		}
		if last.State == "up" {
			links = append(links, last)
		}
	}
	return links, nil
}
