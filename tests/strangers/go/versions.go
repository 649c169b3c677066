package main

import (
	"github.com/lorenzodonini/ocpp-go/ocpp"
	ocpp16 "github.com/lorenzodonini/ocpp-go/ocpp1.6"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/core"
	types16 "github.com/lorenzodonini/ocpp-go/ocpp1.6/types"
	ocpp2 "github.com/lorenzodonini/ocpp-go/ocpp2.0.1"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/authorization"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/availability"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/provisioning"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/remotecontrol"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/transactions"
	types2 "github.com/lorenzodonini/ocpp-go/ocpp2.0.1/types"
	"github.com/lorenzodonini/ocpp-go/ws"
)

func newStation(version, identity string, client ws.WsClient) (station, []*ocpp.Profile) {
	if version == "1.6" {
		charger := ocpp16.NewChargePoint(identity, nil, client)
		charger.SetCoreHandler(handler16{})
		return charger, []*ocpp.Profile{core.Profile}
	}
	charger := ocpp2.NewChargingStation(identity, nil, client)
	charger.SetProvisioningHandler(provision{})
	charger.SetRemoteControlHandler(remote{})
	return charger, []*ocpp.Profile{
		provisioning.Profile, availability.Profile, authorization.Profile, transactions.Profile,
	}
}

// The commands of the conversation; any other one would hit the nil interface.

type handler16 struct{ core.ChargePointHandler }

func (handler16) OnChangeConfiguration(*core.ChangeConfigurationRequest) (*core.ChangeConfigurationConfirmation, error) {
	tell("command", "ChangeConfiguration")
	return core.NewChangeConfigurationConfirmation(core.ConfigurationStatusAccepted), nil
}

func (handler16) OnRemoteStartTransaction(*core.RemoteStartTransactionRequest) (*core.RemoteStartTransactionConfirmation, error) {
	tell("command", "RemoteStartTransaction")
	return core.NewRemoteStartTransactionConfirmation(types16.RemoteStartStopStatusAccepted), nil
}

func (handler16) OnReset(*core.ResetRequest) (*core.ResetConfirmation, error) {
	tell("command", "Reset")
	return core.NewResetConfirmation(core.ResetStatusAccepted), nil
}

type provision struct {
	provisioning.ChargingStationHandler
}

func (provision) OnSetVariables(request *provisioning.SetVariablesRequest) (*provisioning.SetVariablesResponse, error) {
	tell("command", "SetVariables")
	var results []provisioning.SetVariableResult
	for _, wanted := range request.SetVariableData {
		results = append(results, provisioning.SetVariableResult{
			AttributeStatus: provisioning.SetVariableStatusAccepted,
			Component:       wanted.Component,
			Variable:        wanted.Variable,
		})
	}
	return provisioning.NewSetVariablesResponse(results), nil
}

func (provision) OnReset(*provisioning.ResetRequest) (*provisioning.ResetResponse, error) {
	tell("command", "Reset")
	response := provisioning.NewResetResponse(provisioning.ResetStatusAccepted)
	// Without it the library writes `"statusInfo":null`, which 2.x forbids: the outcome would be bad_result.
	response.StatusInfo = types2.NewStatusInfo("NoError", "")
	return response, nil
}

type remote struct {
	remotecontrol.ChargingStationHandler
}

func (remote) OnRequestStartTransaction(*remotecontrol.RequestStartTransactionRequest) (*remotecontrol.RequestStartTransactionResponse, error) {
	tell("command", "RequestStartTransaction")
	return remotecontrol.NewRequestStartTransactionResponse(remotecontrol.RequestStartStopStatusAccepted), nil
}
