// A charger made of ocpp-go's charge points, which redial by themselves; see the README beside this folder.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/lorenzodonini/ocpp-go/ocpp"
	"github.com/lorenzodonini/ocpp-go/ws"
)

// station is what both versions of the library's charge point have.
type station interface {
	Start(url string) error
	Stop()
	IsConnected() bool
	SendRequest(request ocpp.Request) (ocpp.Response, error)
}

var writing sync.Mutex

func tell(key string, value any) {
	writing.Lock()
	defer writing.Unlock()
	line, err := json.Marshal(map[string]any{key: value})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func main() {
	url, identity, version := os.Args[1], os.Args[2], os.Args[3]
	client := newClient(os.Args[5], os.Args[6], os.Args[7])
	if password := os.Args[4]; password != "" {
		client.SetBasicAuth(identity, password)
	}
	timeouts := ws.NewClientTimeoutConfig()
	timeouts.RetryBackOffWaitMinimum = 200 * time.Millisecond
	timeouts.RetryBackOffRandomRange = 0
	timeouts.RetryBackOffRepeatTimes = 1
	client.SetTimeoutConfig(timeouts)
	charger, profiles := newStation(version, identity, client)
	if err := charger.Start(url); err != nil {
		panic(err)
	}
	go watch(charger)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var wanted struct {
			Call    string
			Payload json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
			panic(err)
		}
		answer, err := call(charger, profiles, wanted.Call, wanted.Payload)
		if err != nil {
			tell("error", err.Error())
		} else {
			tell("answer", answer)
		}
	}
	charger.Stop()
}

// newClient trusts the authority in the file ca; without one it does not use TLS.
func newClient(ca, certificate, key string) *ws.Client {
	if ca == "" {
		return ws.NewClient()
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		panic(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			panic(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return ws.NewTLSClient(config)
}

// call sends the library's own request type, filled from the payload.
func call(charger station, profiles []*ocpp.Profile, action string, payload json.RawMessage) (ocpp.Response, error) {
	for _, profile := range profiles {
		if feature := profile.GetFeature(action); feature != nil {
			request := reflect.New(feature.GetRequestType()).Interface()
			if err := json.Unmarshal(payload, request); err != nil {
				return nil, err
			}
			return charger.SendRequest(request.(ocpp.Request))
		}
	}
	return nil, fmt.Errorf("no feature %s", action)
}

// watch tells when a connection stands: the library has no event for the first one.
func watch(charger station) {
	up := false
	for {
		if now := charger.IsConnected(); now != up {
			up = now
			if up {
				tell("up", true)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
