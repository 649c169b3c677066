package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect connects to NATS and keeps connecting: a restart of NATS does not end the program.
func connect() (*nats.Conn, error) {
	address := cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL)
	return nats.Connect(address, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
}

// token is the charger's identity as it appears in subjects and keys.
func token(identity string) string {
	var b strings.Builder
	for _, c := range []byte(identity) {
		if c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// key joins parts to one key in the spelling of the header ocpp-key.
func key(parts ...string) string {
	tokens := make([]string, len(parts))
	for i, part := range parts {
		tokens[i] = token(part)
	}
	return strings.Join(tokens, "/")
}

// text decodes the value of a header. PathUnescape, not QueryUnescape: a plus sign is a plus sign.
func text(header string) (string, error) {
	return url.PathUnescape(header)
}

// Outcomes of a command that the header ocpp-outcome does not have.
const (
	notConnected = "not_connected" // the charger is not connected anywhere; not sent
	unknown      = "unknown"       // no reply in time; the charger may have got the command
)

// reply is how a command ended, and what the charger or the gateway said about it.
type reply struct {
	outcome string
	body    []byte
}

// send sends a command and waits a little longer than the charger has time. An error says that NATS failed.
// Repeated with the same id, the command is sent to the charger once.
func send(ctx context.Context, nc *nats.Conn, identity, action string, payload []byte, id string, timeout time.Duration) (reply, error) {
	command := nats.NewMsg("ocpprpc.send." + action + "." + token(identity))
	command.Data = payload
	// Header names are case-sensitive: nats.Header does not canonicalize them.
	command.Header.Set("ocpp-command-id", id)
	command.Header.Set("ocpp-timeout", fmt.Sprint(timeout.Seconds()))
	for again := time.Now().Add(time.Second); ; {
		waiting, cancel := context.WithTimeout(ctx, timeout+5*time.Second)
		answer, err := nc.RequestMsgWithContext(waiting, command)
		cancel()
		switch {
		case err == nil:
			return reply{answer.Header.Get("ocpp-outcome"), answer.Data}, nil
		case errors.Is(err, nats.ErrNoResponders) && time.Now().Before(again):
			time.Sleep(100 * time.Millisecond) // a charger that moves to another gateway is away for a moment
		case errors.Is(err, nats.ErrNoResponders):
			return reply{outcome: notConnected}, nil
		case errors.Is(err, context.DeadlineExceeded):
			return reply{outcome: unknown}, nil
		default:
			return reply{}, err
		}
	}
}

// facts calls handle with every fact of a durable consumer, which is made where it is missing. A fact is
// acknowledged after handle; one that handle failed on comes again. It returns when ctx ends.
func facts(ctx context.Context, js jetstream.JetStream, stream, durable, filter string, handle func(jetstream.Msg) error) error {
	consumer, err := js.Consumer(ctx, stream, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
			Durable:       durable,
			FilterSubject: filter,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       10 * time.Second,
			MaxDeliver:    10, // then it is a dead letter
		})
	}
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		fact, err := messages.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil: // NATS is away: the iterator goes on by itself
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		if err := handle(fact); err != nil {
			fmt.Fprintln(os.Stderr, fact.Subject(), err)
			_ = fact.NakWithDelay(5 * time.Second)
		} else {
			_ = fact.Ack() // one that is lost brings the fact again
		}
	}
}
