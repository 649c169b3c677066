package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"example.com/voltgate-backend/models"
	"github.com/nats-io/nats.go/jetstream"
)

// What the bucket holds, each entry under a key that a repeated fact has too, so that writing is idempotent:
//
//	tag/S       who charges, in the session S
//	begin/S     the meter when it began, in Wh
//	id/S        1.6: the transaction that S is, from the Response
//	end/T       the meter when the transaction T ended, in Wh
//
// S is the ocpp-key of StartTransaction in 1.6, and T itself in 2.x; T is identity and transaction id.

// The models of what billing reads; of 2.0.1, because 2.1 has the same members, and more.
//
//go:generate mkdir -p models
//go:generate sh -c "go run github.com/atombender/go-jsonschema@v0.24.1 --only-models --struct-name-from-title --tags json --package models ../schemas/v16/StartTransaction.*.json ../schemas/v16/StopTransaction.request.json ../schemas/v201/TransactionEvent.request.json | sed -E -f models.sed > models/models.go"

// errIncomplete is the error of a fact that lacks a member, which the gateway passes on with the header
// ocpp-violation. The fact comes again, and is a dead letter in the end.
var errIncomplete = errors.New("a member that is billed is missing")

// record stores what one fact says. It may be called twice with one fact, and with facts in any order.
func record(ctx context.Context, bucket jetstream.KeyValue, fact jetstream.Msg) error {
	subject := strings.Split(fact.Subject(), ".")
	version, action, charger := subject[2], subject[3], subject[4]
	session := fact.Headers().Get("ocpp-key")
	var entries map[string]string
	var err error
	switch version + " " + action {
	case "v16 StartTransaction", "v16 StartTransactionResponse", "v16 StopTransaction":
		entries, err = readTransaction(action, charger, session, fact.Data())
	case "v201 TransactionEvent", "v21 TransactionEvent":
		entries, err = readEvent(charger, fact.Data())
	}
	if err != nil {
		return err
	}
	for name, value := range entries {
		if _, err := bucket.PutString(ctx, name, value); err != nil {
			return err
		}
	}
	return nil
}

func readTransaction(action, charger, session string, data []byte) (map[string]string, error) {
	entries := map[string]string{}
	switch action {
	case "StartTransaction":
		var payload models.StartTransactionRequest
		if err := json.Unmarshal(data, &payload); err != nil {
			return nil, err
		}
		if payload.IdTag == nil || payload.MeterStart == nil {
			return nil, errIncomplete
		}
		entries["tag/"+session] = *payload.IdTag
		entries["begin/"+session] = strconv.Itoa(*payload.MeterStart)
	case "StartTransactionResponse":
		var payload models.StartTransactionResponse
		if err := json.Unmarshal(data, &payload); err != nil {
			return nil, err
		}
		if payload.TransactionId != nil { // else it is a CALLERROR
			entries["id/"+session] = fmt.Sprintf("%s/%d", charger, *payload.TransactionId)
		}
	case "StopTransaction":
		var payload models.StopTransactionRequest
		if err := json.Unmarshal(data, &payload); err != nil {
			return nil, err
		}
		if payload.TransactionId == nil || payload.MeterStop == nil {
			return nil, errIncomplete
		}
		entries[fmt.Sprintf("end/%s/%d", charger, *payload.TransactionId)] = strconv.Itoa(*payload.MeterStop)
	}
	return entries, nil
}

func readEvent(charger string, data []byte) (map[string]string, error) {
	var payload models.TransactionEventRequestJson
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err
	}
	info, tag, kind := payload.TransactionInfo, payload.IdToken, payload.EventType
	if info == nil || info.TransactionId == nil || kind == nil || tag != nil && tag.IdToken == nil {
		return nil, errIncomplete
	}
	meter, err := registers(payload)
	if err != nil {
		return nil, err
	}
	entries, session := map[string]string{}, charger+"/"+key(*info.TransactionId)
	if tag != nil && *kind != models.TransactionEventEnumTypeEnded {
		entries["tag/"+session] = *tag.IdToken
	}
	if len(meter) > 0 && *kind == models.TransactionEventEnumTypeStarted {
		entries["begin/"+session] = strconv.FormatInt(meter[0], 10)
	} else if len(meter) > 0 && *kind == models.TransactionEventEnumTypeEnded {
		entries["end/"+session] = strconv.FormatInt(meter[len(meter)-1], 10)
	}
	return entries, nil
}

// registers are the readings of the energy register in Wh, in the order of the message.
func registers(payload models.TransactionEventRequestJson) ([]int64, error) {
	var readings []int64
	for _, value := range payload.MeterValue {
		for _, s := range value.SampledValue {
			if s.Phase != nil || s.Measurand != nil && *s.Measurand != models.MeasurandEnumTypeEnergyActiveImportRegister {
				continue
			}
			if s.Value == nil {
				return nil, errIncomplete
			}
			wh := *s.Value
			if unit := s.UnitOfMeasure; unit != nil && unit.Multiplier != nil {
				wh *= math.Pow10(*unit.Multiplier)
			}
			if unit := s.UnitOfMeasure; unit != nil && unit.Unit != nil && *unit.Unit == "kWh" { // the default is Wh
				wh *= 1000
			}
			readings = append(readings, int64(math.Round(wh)))
		}
	}
	return readings, nil
}

// totals adds up the Wh of each tag, over all sessions that ended.
func totals(ctx context.Context, bucket jetstream.KeyValue) (map[string]int64, error) {
	watcher, err := bucket.WatchAll(ctx)
	if err != nil {
		return nil, err
	}
	defer watcher.Stop()
	entries := map[string]string{}
	for entry := range watcher.Updates() {
		if entry == nil { // the end of what is stored
			break
		}
		entries[entry.Key()] = string(entry.Value())
	}
	sums := map[string]int64{}
	for name, tag := range entries {
		session, isTag := strings.CutPrefix(name, "tag/")
		if !isTag {
			continue
		}
		id, isJoined := entries["id/"+session]
		if !isJoined {
			id = session
		}
		begin, errBegin := strconv.ParseInt(entries["begin/"+session], 10, 64)
		end, errEnd := strconv.ParseInt(entries["end/"+id], 10, 64)
		if errBegin == nil && errEnd == nil { // else it goes on
			sums[tag] += end - begin
		}
	}
	return sums, nil
}
