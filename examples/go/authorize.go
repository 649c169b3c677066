package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// answer makes the answer to an Authorize of any version.
func answer(question *nats.Msg, known []string) ([]byte, error) {
	var payload struct {
		IDTag   string                   // 1.6
		IDToken struct{ IDToken string } // 2.x
	}
	if err := json.Unmarshal(question.Data, &payload); err != nil {
		return nil, err
	}
	tag, field := payload.IDToken.IDToken, "idTokenInfo"
	if strings.Split(question.Subject, ".")[2] == "v16" {
		tag, field = payload.IDTag, "idTagInfo"
	}
	status := "Invalid"
	if slices.Contains(known, tag) {
		status = "Accepted"
	}
	return json.Marshal(map[string]any{field: map[string]string{"status": status}})
}

// authorize answers the Authorize of all chargers, in the one queue group that answers it.
func authorize(nc *nats.Conn, known []string) error {
	_, err := nc.QueueSubscribe("ocpprpc.ask.*.Authorize.*", "authorize", func(question *nats.Msg) {
		response := nats.NewMsg(question.Reply)
		body, err := answer(question, known)
		if err != nil { // the gateway answers by its fallback at once
			response.Header.Set("Nats-Service-Error-Code", "500")
			response.Header.Set("Nats-Service-Error", "no answer")
		}
		response.Data = body
		if err := errors.Join(err, question.RespondMsg(response)); err != nil {
			fmt.Fprintln(os.Stderr, question.Subject, err)
			return
		}
		fmt.Println(question.Subject, string(body))
	})
	return err
}
