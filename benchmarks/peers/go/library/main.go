// A central system on ocpp-go as its example shows one, which validates by default. It stores nothing.
// Run: library PORT
package main

import (
	"log"
	"os"
	"strconv"
	"time"

	ocpp16 "github.com/lorenzodonini/ocpp-go/ocpp1.6"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/core"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/types"
)

// answers has the two actions that the load sends.
type answers struct{ core.CentralSystemHandler }

func (answers) OnHeartbeat(string, *core.HeartbeatRequest) (*core.HeartbeatConfirmation, error) {
	return core.NewHeartbeatConfirmation(types.NewDateTime(time.Now())), nil
}

func (answers) OnMeterValues(string, *core.MeterValuesRequest) (*core.MeterValuesConfirmation, error) {
	return core.NewMeterValuesConfirmation(), nil
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	system := ocpp16.NewCentralSystem(nil, nil)
	system.SetCoreHandler(answers{})
	system.Start(port, "/bench/{id}")
}
