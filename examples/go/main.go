// Four small services of a charging network on Voltgate; docs/backends.md explains them.
//
//	billing [NAME]                     records every session, as the durable consumer NAME
//	totals [NAME]                      the Wh of each tag that billing NAME has recorded
//	authorize TAG...                   answers Authorize: these tags are accepted
//	command IDENTITY ACTION [JSON [S]] sends a command, with S seconds for the charger; exit code 0 only for a result
//	online                             the chargers that are connected
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("billing, totals, authorize, command or online")
	}
	nc, err := connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	switch verb, args := args[0], args[1:]; verb {
	case "billing", "totals":
		return bill(ctx, js, verb, optional(args, 0, "billing"))
	case "authorize":
		if err := authorize(nc, args); err != nil {
			return err
		}
		<-ctx.Done()
		return drain(nc)
	case "command":
		if len(args) < 2 {
			return errors.New("command IDENTITY ACTION [JSON]")
		}
		payload := []byte(optional(args, 2, "{}"))
		timeout, err := time.ParseDuration(optional(args, 3, "30") + "s")
		if err != nil {
			return err
		}
		answer, err := send(ctx, nc, args[0], args[1], payload, nuid.Next(), timeout)
		if err != nil {
			return err
		}
		fmt.Println(answer.outcome, string(answer.body))
		if answer.outcome != "result" {
			os.Exit(1)
		}
		return nil
	case "online":
		links, err := online(ctx, js)
		for _, link := range links {
			fmt.Println(link.Identity, link.Version)
		}
		return err
	default:
		return fmt.Errorf("%s: no such command", verb)
	}
}

func bill(ctx context.Context, js jetstream.JetStream, verb, name string) error {
	bucket, err := js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name})
	}
	if err != nil {
		return err
	}
	if verb == "billing" {
		return facts(ctx, js, "OCPP_TX", name, "ocpp.tx.>", func(fact jetstream.Msg) error {
			return record(ctx, bucket, fact)
		})
	}
	sums, err := totals(ctx, bucket)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(sums)
}

// drain answers what has arrived, and leaves the queue group before it closes the connection.
func drain(nc *nats.Conn) error {
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if err := nc.Drain(); err != nil {
		return err
	}
	<-closed
	return nil
}

func optional(args []string, index int, otherwise string) string {
	if index < len(args) {
		return args[index]
	}
	return otherwise
}
