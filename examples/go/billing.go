package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

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

// A member that is missing is nil: as the zero value it would be billed.

// transaction is a StartTransaction or StopTransaction of 1.6, or a Response.
type transaction struct {
	IDTag         *string
	MeterStart    *int64
	MeterStop     *int64
	TransactionID *int64
}

// event is a TransactionEvent of 2.x.
type event struct {
	EventType       *string
	IDToken         *struct{ IDToken *string }
	TransactionInfo struct{ TransactionID *string }
	MeterValue      []struct{ SampledValue []sample }
}

// sample is one value of a 2.x meter.
type sample struct {
	Value         *float64
	Measurand     string
	Phase         string
	UnitOfMeasure struct {
		Unit       string
		Multiplier int
	}
}

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
	var payload transaction
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err
	}
	entries := map[string]string{}
	switch {
	case action == "StartTransaction" && payload.IDTag != nil && payload.MeterStart != nil:
		entries["tag/"+session] = *payload.IDTag
		entries["begin/"+session] = strconv.FormatInt(*payload.MeterStart, 10)
	case action == "StopTransaction" && payload.TransactionID != nil && payload.MeterStop != nil:
		id := fmt.Sprintf("end/%s/%d", charger, *payload.TransactionID)
		entries[id] = strconv.FormatInt(*payload.MeterStop, 10)
	case action == "StartTransactionResponse" && payload.TransactionID != nil:
		entries["id/"+session] = fmt.Sprintf("%s/%d", charger, *payload.TransactionID)
	case action != "StartTransactionResponse": // else it is a CALLERROR
		return nil, errIncomplete
	}
	return entries, nil
}

func readEvent(charger string, data []byte) (map[string]string, error) {
	var payload event
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err
	}
	id, tag, kind := payload.TransactionInfo.TransactionID, payload.IDToken, payload.EventType
	if id == nil || kind == nil || tag != nil && tag.IDToken == nil {
		return nil, errIncomplete
	}
	meter, err := registers(payload)
	if err != nil {
		return nil, err
	}
	entries, session := map[string]string{}, charger+"/"+key(*id)
	if tag != nil && *kind != "Ended" {
		entries["tag/"+session] = *tag.IDToken
	}
	if len(meter) > 0 && *kind == "Started" {
		entries["begin/"+session] = strconv.FormatInt(meter[0], 10)
	} else if len(meter) > 0 && *kind == "Ended" {
		entries["end/"+session] = strconv.FormatInt(meter[len(meter)-1], 10)
	}
	return entries, nil
}

// registers are the readings of the energy register in Wh, in the order of the message.
func registers(payload event) ([]int64, error) {
	var readings []int64
	for _, value := range payload.MeterValue {
		for _, s := range value.SampledValue {
			if s.Phase != "" || s.Measurand != "" && s.Measurand != "Energy.Active.Import.Register" {
				continue
			}
			if s.Value == nil {
				return nil, errIncomplete
			}
			wh := *s.Value * math.Pow10(s.UnitOfMeasure.Multiplier)
			if s.UnitOfMeasure.Unit == "kWh" { // the default is Wh
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
